"""libvirt's XML of networks: read into observations and plans. https://libvirt.org/formatnetwork.html"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator

from lxml import etree
from pydantic import ValidationError

from app.core.networks.observations import NetworkObservation
from app.core.networks.specs import NetworkPlan
from app.hypervisor.xml.domains.read import parse, without_connections
from app.hypervisor.xml.write import Element

_PORTS = ("1024", "65535")  # of NAT, which libvirt writes for what runs only
_MACVTAP = ("private", "vepa", "passthrough")


def read_plan(xml: str) -> NetworkPlan | None:
    """What Vigie can change of a network; None when it holds values that Vigie would not write."""
    tree = parse(xml, "network")
    mode = _mode(tree)
    forward, dns, domain = tree.find("forward"), tree.find("dns"), tree.find("domain")
    vlans, native = read_tags(tree)
    found: dict[str, object] = {
        "name": tree.findtext("name") or "",
        "mode": mode,
        "bridge": _get(tree.find("bridge"), "name"),
        "devices": _devices(forward, mode),
        "macvtap_mode": _get(forward, "mode") if mode == "macvtap" else None,
        "mtu": _get(tree.find("mtu"), "size"),
        "domain": _get(domain, "name"),
        "domain_local": _get(domain, "localOnly") == "yes",
        "subnets": [_read_subnet(ip) for ip in tree.findall("ip") if ip.get("address")],
        "dns": _get(dns, "enable") != "no",
        "dns_hosts": [
            {"address": item.get("ip"), "names": [name.text or "" for name in item.findall("hostname")]}
            for item in _all(dns, "host")
        ],
        "dns_forwarders": [
            {"address": item.get("addr"), "domain": item.get("domain")} for item in _all(dns, "forwarder")
        ],
        "dns_services": [dict(item.attrib) for item in _all(dns, "srv")],
        "vlans": vlans,
        "native_vlan": native,
        "port_groups": [read_group(portgroup) for portgroup in tree.findall("portgroup")],
        "in_kbps": _get(tree.find("bandwidth/inbound"), "average"),
        "out_kbps": _get(tree.find("bandwidth/outbound"), "average"),
    }
    try:
        return NetworkPlan.model_validate(found)
    except ValidationError:
        return None


def port_owner(xml: str) -> str | None:
    """The UUID of the VM that has a port of a network. Raises UnreadableXml."""
    return parse(xml, "networkport").findtext("owner/uuid")


def facts(tree: Element) -> tuple[int | None, str | None]:
    """MTU, and VLANs as people write them."""
    size = _get(tree.find("mtu"), "size") or ""
    vlans, native = read_tags(tree)
    message = ", ".join(f"{vlan} (native)" if vlan == native else vlan for vlan in vlans)
    return int(size) if size.isdecimal() and len(size) < 10 else None, message[:200] or None


def digest(xml: str) -> str:
    """What two texts of the same definition have in common, whoever is connected."""
    text = without_connections(parse(xml, "network"))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two definitions of a network mean the same; what libvirt adds while it runs does not count."""
    return _plain(one) == _plain(other)


def _plain(xml: str) -> str:
    tree = parse(xml, "network")
    forward = tree.find("forward")
    for item in tree.iter():
        item.attrib.pop("connections", "")
        item.text = (item.text or "").strip()
        item.tail = None
    for nat in _all(forward, "nat"):
        for port in nat.findall("port"):
            if (port.get("start"), port.get("end")) == _PORTS:
                nat.remove(port)
        if forward is not None and not len(nat) and not nat.attrib:
            forward.remove(nat)
    if forward is not None and (forward.find("pf") is not None or forward.get("dev")):
        # Of a card libvirt lists the functions that it found; of a way out it repeats the interface.
        for entry in (*forward.findall("address"), *forward.findall("interface")):
            forward.remove(entry)
    tree[:] = sorted(tree, key=lambda item: str(item.tag))
    return etree.tostring(tree, method="c14n", encoding=None).decode()


def observe(
    live: str, saved: str | None, uuid: str, name: str, *, active: bool, autostart: bool
) -> NetworkObservation:
    """A network as seen: facts of what runs, the definition that lasts. Raises UnreadableXml."""
    tree = parse(live, "network")
    forward, addresses = tree.find("forward"), tree.findall("ip")
    mtu, vlan = facts(tree)
    lasting = live if saved is None else saved
    differs = active and saved is not None and not same(live, saved)
    return NetworkObservation(
        uuid=uuid,
        name=name,
        active=active,
        autostart=autostart,
        persistent=saved is not None,
        bridge=_get(tree.find("bridge"), "name"),
        forward_mode="isolated" if forward is None else forward.get("mode", "nat"),
        addresses=tuple(cidr(address) for address in addresses if address.get("address")),
        dhcp=any(address.find("dhcp") is not None for address in addresses),
        xml=without_connections(parse(lasting, "network")),
        live_xml=without_connections(tree) if differs else None,
        mtu=mtu,
        vlan=vlan,
    )


def _mode(tree: Element) -> str:
    forward = tree.find("forward")
    if forward is None:
        return "isolated"
    mode = forward.get("mode", "nat")
    if mode in _MACVTAP:
        return "macvtap"
    if mode == "bridge":
        if _get(tree.find("virtualport"), "type") == "openvswitch":
            return "openvswitch"
        return "bridge" if tree.find("bridge") is not None else "macvtap"
    return mode


def _devices(forward: Element | None, mode: str) -> list[str]:
    if forward is None:
        return []
    if mode == "hostdev":
        return [name for name in [_get(forward.find("pf"), "dev")] if name]
    names = [forward.get("dev"), *(interface.get("dev") for interface in forward.findall("interface"))]
    return list(dict.fromkeys(name for name in names if name))


def cidr(element: Element) -> str:
    """An `ip` element's address with its prefix; classful where it has none, as libvirt takes it."""
    address = element.get("address", "")
    length = element.get("prefix") or element.get("netmask")
    if length is None and ":" not in address:
        first = int(address.partition(".")[0] or 0) if address[:1].isdecimal() else 0
        length = "8" if first < 128 else "16" if first < 192 else "24"
    try:
        return str(ipaddress.ip_interface(f"{address}/{length or 64}").with_prefixlen)
    except ValueError:
        return f"{address}/{length}"


def _read_subnet(element: Element) -> dict[str, object]:
    dhcp = element.find("dhcp")
    return {
        "address": cidr(element),
        "dhcp": [{"start": item.get("start"), "end": item.get("end")} for item in _all(dhcp, "range")],
        "reservations": [
            {
                "address": item.get("ip"),
                "mac": item.get("mac"),
                "duid": item.get("id"),
                "name": item.get("name"),
            }
            for item in _all(dhcp, "host")
        ],
    }


def read_group(element: Element) -> dict[str, object]:
    vlans, native = read_tags(element)
    return {
        "name": element.get("name"),
        "default": element.get("default") == "yes",
        "vlans": vlans,
        "native_vlan": native,
        "in_kbps": _get(element.find("bandwidth/inbound"), "average"),
        "out_kbps": _get(element.find("bandwidth/outbound"), "average"),
    }


def read_tags(parent: Element) -> tuple[list[str], str | None]:
    tags = parent.findall("vlan/tag")
    native = next((tag.get("id") for tag in tags if tag.get("nativeMode") == "untagged"), None)
    return [tag.get("id", "") for tag in tags], native


def _get(element: Element | None, name: str) -> str | None:
    return None if element is None else element.get(name)


def _all(parent: Element | None, tag: str) -> Iterator[Element]:
    return iter(()) if parent is None else iter(parent.findall(tag))
