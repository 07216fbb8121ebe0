"""libvirt's XML of networks: built from a plan, edited in place by one.

An edit touches only what the plan changes; all else of the tree stays as it is.
https://libvirt.org/formatnetwork.html
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from lxml import etree

from app.core.networks.specs import (
    OWN_BRIDGE,
    DnsHost,
    DnsService,
    NetworkPlan,
    PortGroup,
    Reservation,
    Subnet,
)
from app.hypervisor.xml.domains.read import parse_for_edit
from app.hypervisor.xml.networks.networks import cidr, read_group, read_plan
from app.hypervisor.xml.write import Element, node, text_of

T = TypeVar("T")

ORDER = (
    "name", "uuid", "metadata", "title", "description", "forward", "virtualport", "bridge", "mtu", "mac", "domain",
    "dns", "vlan", "bandwidth", "ip", "route", "portgroup",
)  # fmt: skip
Tags = tuple[list[int], int | None]
Rates = tuple[int | None, int | None]


def build(plan: NetworkPlan, uuid: str) -> str:
    """The definition of a new network."""
    tree = node("network", node("name", plan.name), node("uuid", uuid))
    if plan.mode == "bridge":
        tree.append(node("forward", mode="bridge"))
    elif plan.mode == "openvswitch":
        tree.extend((node("forward", mode="bridge"), node("virtualport", type="openvswitch")))
    elif plan.mode == "macvtap":
        tree.append(node("forward", mode=plan.macvtap_mode or "bridge"))
    elif plan.mode == "hostdev":
        tree.append(node("forward", mode="hostdev", managed="yes"))
    elif plan.mode != "isolated":
        tree.append(node("forward", mode=plan.mode))
    if plan.mode in OWN_BRIDGE:
        tree.append(node("bridge", stp="on", delay="0"))
    _write(tree, NetworkPlan(name=plan.name, mode=plan.mode, macvtap_mode=plan.macvtap_mode), plan)
    return text_of(tree)


def edit(xml: str, wanted: NetworkPlan) -> str:
    """The definition with what the plan changes. Raises UnreadableXml, and ValueError for what has no plan."""
    tree = parse_for_edit(xml, "network")
    before = read_plan(xml)
    if before is None:
        raise ValueError("not a network that Vigie can edit")
    _write(tree, before, wanted)
    return etree.tostring(tree, encoding="unicode")


def _write(tree: Element, before: NetworkPlan, wanted: NetworkPlan) -> None:
    """Bring the tree from one plan to another."""
    if wanted.bridge != before.bridge:
        _set(tree, "bridge", name=wanted.bridge)
    if (wanted.devices, wanted.macvtap_mode) != (before.devices, before.macvtap_mode):
        _write_devices(tree, wanted)
    if wanted.mtu != before.mtu:
        _set_or_remove(tree, "mtu", size=_text(wanted.mtu))
    if (wanted.domain, wanted.domain_local) != (before.domain, before.domain_local):
        _set_or_remove(tree, "domain", name=wanted.domain, localOnly="yes" if wanted.domain_local else None)
    _write_dns(tree, before, wanted)
    _write_tags(tree, (before.vlans, before.native_vlan), (wanted.vlans, wanted.native_vlan))
    _write_rates(tree, (before.in_kbps, before.out_kbps), (wanted.in_kbps, wanted.out_kbps))
    if wanted.subnets != before.subnets:
        _write_subnets(tree, wanted.subnets)
    if wanted.port_groups != before.port_groups:
        _match(
            tree,
            "portgroup",
            wanted.port_groups,
            lambda element: element.get("name"),
            lambda group: group.name,
            write_group,
        )


def _write_devices(tree: Element, wanted: NetworkPlan) -> None:
    forward = tree.find("forward")
    if forward is None:
        return
    if wanted.mode == "hostdev":
        forward[:] = [item for item in forward if item.tag != "address"]
        _set(forward, "pf", dev=wanted.devices[0])
        return
    if wanted.mode == "macvtap":
        forward.set("mode", wanted.macvtap_mode or "bridge")
        forward.attrib.pop("dev", "")
    else:
        forward[:] = [item for item in forward if item.tag != "interface"]
        _put(forward, "dev", wanted.devices[0] if wanted.devices else None)
        return
    _match(
        forward,
        "interface",
        wanted.devices,
        lambda element: element.get("dev"),
        lambda name: name,
        lambda element, name: element.set("dev", name),
    )


def _write_dns(tree: Element, before: NetworkPlan, wanted: NetworkPlan) -> None:
    names = ("dns", "dns_hosts", "dns_forwarders", "dns_services")
    if all(getattr(before, name) == getattr(wanted, name) for name in names):
        return
    dns = child(tree, "dns")
    if wanted.dns != before.dns:
        _put(dns, "enable", None if wanted.dns else "no")
    _match(
        dns,
        "forwarder",
        wanted.dns_forwarders,
        lambda element: (element.get("addr"), element.get("domain")),
        lambda item: (item.address, item.domain),
        lambda element, forwarder: _puts(element, addr=forwarder.address, domain=forwarder.domain),
    )
    _match(
        dns,
        "srv",
        wanted.dns_services,
        lambda element: tuple(sorted(element.attrib.items())),
        lambda item: tuple(sorted(_service(item).items())),
        lambda element, service: _puts(element, **_service(service)),
    )
    _match(
        dns,
        "host",
        wanted.dns_hosts,
        lambda element: element.get("ip"),
        lambda item: item.address,
        write_dns_host,
    )
    if not len(dns) and not dns.attrib:
        tree.remove(dns)


def _service(service: DnsService) -> dict[str, str]:
    return {name: str(value) for name, value in service.model_dump(exclude_none=True).items()}


def write_service(element: Element, service: DnsService) -> None:
    """Fill in an SRV record."""
    _puts(element, **_service(service))


def write_dns_host(element: Element, host: DnsHost) -> None:
    """Fill in an address and its names."""
    element.set("ip", host.address)
    if [name.text for name in element.findall("hostname")] != host.names:
        element[:] = [node("hostname", name) for name in host.names]


def _write_subnets(tree: Element, wanted: Sequence[Subnet]) -> None:
    """Subnets keep their elements while their address stays, or as the next of their family that changed."""
    left = [ip for ip in tree.findall("ip") if ip.get("address")]
    pairs: list[tuple[Element | None, Subnet]] = []
    held = {cidr(item): item for item in left}
    for subnet in wanted:
        element = held.pop(_normal(subnet.address), None)
        if element is not None:
            left.remove(element)
        pairs.append((element, subnet))
    for element, subnet in pairs:
        if element is None:
            family = ":" in subnet.address
            element = next((item for item in left if (":" in item.get("address", "")) == family), None)
            if element is None:
                element = _insert(tree, node("ip"))
            else:
                left.remove(element)
        write_subnet(element, subnet)
    for element in left:
        tree.remove(element)


def write_subnet(element: Element, subnet: Subnet) -> None:
    """Fill in an `ip` element."""
    if cidr(element) != _normal(subnet.address):
        address, _, prefix = subnet.address.partition("/")
        _puts(
            element,
            family="ipv6" if ":" in address else None,
            address=address,
            prefix=prefix,
            netmask=None,
        )
    if not subnet.dhcp and not subnet.reservations and element.find("dhcp") is None:
        return
    dhcp = child(element, "dhcp")
    _match(
        dhcp,
        "range",
        subnet.dhcp,
        lambda item: (item.get("start"), item.get("end")),
        lambda item: (item.start, item.end),
        lambda found, dhcp_range: _puts(found, start=dhcp_range.start, end=dhcp_range.end),
    )
    _match(
        dhcp,
        "host",
        subnet.reservations,
        lambda item: item.get("ip"),
        lambda item: item.address,
        write_reservation,
    )
    if not len(dhcp):
        element.remove(dhcp)


def write_reservation(element: Element, reservation: Reservation) -> None:
    """Fill in a DHCP host."""
    if (element.get("mac") or "").lower() == reservation.mac:
        _puts(element, id=reservation.duid, name=reservation.name, ip=reservation.address)
    else:
        _puts(
            element, mac=reservation.mac, id=reservation.duid, name=reservation.name, ip=reservation.address
        )


def write_group(element: Element, group: PortGroup) -> None:
    """Fill in a port group."""
    before = PortGroup.model_validate(read_group(element) | {"name": group.name})
    _puts(element, name=group.name, default="yes" if group.default else None)
    _write_tags(element, (before.vlans, before.native_vlan), (group.vlans, group.native_vlan))
    _write_rates(element, (before.in_kbps, before.out_kbps), (group.in_kbps, group.out_kbps))


def _write_tags(parent: Element, before: Tags, wanted: Tags) -> None:
    if before == wanted:
        return
    vlans, native = wanted
    if not vlans:
        _set_or_remove(parent, "vlan")
        return
    vlan = child(parent, "vlan")
    _put(vlan, "trunk", "yes" if len(vlans) > 1 else None)
    vlan[:] = [node("tag", id=str(item)) for item in vlans]
    for tag in vlan:
        if tag.get("id") == str(native):
            tag.set("nativeMode", "untagged")


def _write_rates(parent: Element, before: Rates, wanted: Rates) -> None:
    if before == wanted:
        return
    bandwidth = child(parent, "bandwidth")
    for name, rate in zip(("inbound", "outbound"), wanted, strict=True):
        if rate is None:
            for item in bandwidth.findall(name):
                bandwidth.remove(item)
        else:
            element = child(bandwidth, name)
            element.set("average", str(rate))
            if int(element.get("peak") or 0) < rate:  # it would win over the average
                element.attrib.pop("peak", "")
    if not len(bandwidth):
        parent.remove(bandwidth)


def _match(
    parent: Element,
    tag: str,
    wanted: Sequence[T],
    key_of: Callable[[Element], Hashable],
    key: Callable[[T], Hashable],
    fill: Callable[[Element, T], object],
) -> None:
    """Keep the elements of what is still wanted, fill in all, add what is new and remove the rest."""
    held = {key_of(item): item for item in parent.findall(tag)}
    for item in wanted:
        element = held.pop(key(item), None)
        if element is None:
            element = _insert(parent, node(tag))
        fill(element, item)
    for element in held.values():
        parent.remove(element)


def child(parent: Element, tag: str) -> Element:
    """The first child of this name, made if need be."""
    found = parent.find(tag)
    return _insert(parent, node(tag)) if found is None else found


def _insert(parent: Element, element: Element) -> Element:
    """Put an element where libvirt would write it: behind all of its kind and of those that come before it."""
    if parent.tag != "network":
        parent.append(element)
        return element
    rank = ORDER.index(element.tag)
    place = 0
    for number, item in enumerate(parent):
        if item.tag in ORDER and ORDER.index(item.tag) <= rank:
            place = number + 1
    parent.insert(place, element)
    return element


def _set(parent: Element, tag: str, **attributes: str | None) -> None:
    _puts(child(parent, tag), **attributes)


def _set_or_remove(parent: Element, tag: str, **attributes: str | None) -> None:
    """Set the attributes of the child; without any, it goes."""
    if any(value is not None for value in attributes.values()):
        _set(parent, tag, **attributes)
        return
    for item in parent.findall(tag):
        parent.remove(item)


def _puts(element: Element, **attributes: str | None) -> None:
    for name, value in attributes.items():
        _put(element, name, value)


def _put(element: Element, name: str, value: str | None) -> None:
    if value is None:
        element.attrib.pop(name, "")
    else:
        element.set(name, value)


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)


def _normal(address: str) -> str:
    return ipaddress.ip_interface(address).with_prefixlen
