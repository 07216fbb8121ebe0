"""What libvirt can change of a network that runs: the steps from one plan to another. https://libvirt.org/formatnetwork.html"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal, TypeVar

from lxml import etree

from app.core.networks.specs import DhcpRange, NetworkPlan, PortGroup, Reservation, Subnet
from app.hypervisor.xml.domains.read import parse
from app.hypervisor.xml.networks.network_build import (
    write_dns_host,
    write_group,
    write_reservation,
    write_service,
)
from app.hypervisor.xml.networks.networks import cidr
from app.hypervisor.xml.write import Element, node

T = TypeVar("T")
Section = Literal["ip-dhcp-host", "ip-dhcp-range", "dns-host", "dns-srv", "portgroup", "forward-interface"]


@dataclass(frozen=True, slots=True)
class Update:
    """One step. `subnet` is the number of the `ip` element, -1 for what has none."""

    command: Literal["add", "delete", "modify"]
    section: Section
    xml: str
    subnet: int = -1


def updates(live_xml: str, live: NetworkPlan, wanted: NetworkPlan) -> list[Update]:
    """The steps, removals before additions. What libvirt cannot change while the network runs is left out."""
    found: list[Update] = []
    tree = parse(live_xml, "network")
    elements = tree.findall("ip")
    numbers = [cidr(element) for element in elements]
    requested = {subnet.address: subnet for subnet in wanted.subnets}
    for subnet in live.subnets:
        if subnet.address in requested and subnet.address in numbers:
            number = numbers.index(subnet.address)
            found += _of_subnet(subnet, requested[subnet.address], number, elements[number])
    found += _steps("dns-host", "host", live.dns_hosts, wanted.dns_hosts, write_dns_host)
    found += _steps("dns-srv", "srv", live.dns_services, wanted.dns_services, write_service)
    found += _of_groups(
        live, wanted, {portgroup.get("name"): portgroup for portgroup in tree.findall("portgroup")}
    )
    if live.mode == "macvtap":
        found += _steps("forward-interface", "interface", live.devices, wanted.devices, _write_interface)
    return found


def _of_subnet(live: Subnet, wanted: Subnet, number: int, element: Element) -> Iterator[Update]:
    yield from _steps("ip-dhcp-range", "range", live.dhcp, wanted.dhcp, _write_range, number)
    hosts = {item.get("ip"): item for item in element.findall("dhcp/host")}

    def write(host: Element, reservation: Reservation) -> None:
        _take_over(host, hosts.get(reservation.address))
        write_reservation(host, reservation)

    yield from _steps("ip-dhcp-host", "host", live.reservations, wanted.reservations, write, number)


def _of_groups(
    live: NetworkPlan, wanted: NetworkPlan, elements: Mapping[str | None, Element]
) -> Iterator[Update]:
    def write(element: Element, group: PortGroup) -> None:
        _take_over(element, elements.get(group.name))
        write_group(element, group)

    before = {group.name: group for group in live.port_groups}
    after = {group.name: group for group in wanted.port_groups}
    for name, group in before.items():
        if name not in after:
            yield Update("delete", "portgroup", _element("portgroup", group, write_group))
    for name, group in after.items():
        if before.get(name) != group:
            command: Literal["add", "modify"] = "modify" if name in before else "add"
            yield Update(command, "portgroup", _element("portgroup", group, write))


def _take_over(element: Element, live: Element | None) -> None:
    """Begin with what runs: what Vigie does not know of it stays."""
    if live is not None:
        element.attrib.update(live.attrib)
        element.extend(deepcopy(item) for item in live)


def _steps(
    section: Section,
    tag: str,
    live: Sequence[T],
    wanted: Sequence[T],
    fill: Callable[[Element, T], object],
    number: int = -1,
) -> Iterator[Update]:
    kept = {_key(item) for item in live} & {_key(item) for item in wanted}
    for item in live:
        if _key(item) not in kept:
            yield Update("delete", section, _element(tag, item, fill), number)
    for entry in wanted:
        if _key(entry) not in kept:
            yield Update("add", section, _element(tag, entry, fill), number)


def _key(part: object) -> str:
    return repr(part)


def _element(tag: str, part: T, fill: Callable[[Element, T], object]) -> str:
    element = node(tag)
    fill(element, part)
    return etree.tostring(element, encoding="unicode")


def _write_range(element: Element, part: DhcpRange) -> None:
    element.set("start", part.start)
    element.set("end", part.end)


def _write_interface(element: Element, name: str) -> None:
    element.set("dev", name)
