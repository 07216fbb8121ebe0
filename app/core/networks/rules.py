"""Rules of networks: what goes with which mode, addresses inside their subnets, no overlaps. Pure.

Every rule names the field that breaks it, as the caller wrote it: `subnets.0.dhcp.1.end`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from app.core.errors import InvalidInput
from app.core.messages import N_
from app.core.networks.specs import OWN_BRIDGE, TAGGING, DhcpRange, NetworkPlan, Reservation, Subnet

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
IpInterface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
MIN_IPV6_MTU = 1280
MAX_RANGE_ADDRESSES = 65536  # addresses of one DHCP range: what dnsmasq takes


def check(plan: NetworkPlan) -> None:
    """Raise InvalidInput for the first rule that the plan breaks by itself."""
    _check_mode(plan)
    _check_vlans(plan)
    _check_groups(plan)
    nets = [_check_subnet(subnet, f"subnets.{number}") for number, subnet in enumerate(plan.subnets)]
    for number, net in enumerate(nets):
        for other in nets[:number]:
            if _overlap(net, other):
                raise InvalidInput(
                    f"subnets.{number}.address",
                    N_("overlaps %(other)s of this network"),
                    params={"other": str(other)},
                )
    if plan.mtu is not None and plan.mtu < MIN_IPV6_MTU and any(net.version == 6 for net in nets):
        raise InvalidInput("mtu", N_("must be 1280 or more: IPv6 needs that"))
    _check_once(plan)
    _check_dns(plan)


def check_neighbours(
    plan: NetworkPlan, others: Iterable[tuple[str, str]], management: str | None = None
) -> None:
    """Raise InvalidInput when a subnet overlaps another network of the host (name, CIDR), or its own address."""
    taken = [(name, net) for name, cidr in others if (net := network_of(cidr)) is not None]
    address = address_of(management)
    for number, subnet in enumerate(plan.subnets):
        net = ipaddress.ip_interface(subnet.address).network
        field = f"subnets.{number}.address"
        for name, other in taken:
            if _overlap(net, other):
                raise InvalidInput(
                    field,
                    N_("%(net)s overlaps %(other)s of the network %(name)s on this host"),
                    params={"net": str(net), "other": str(other), "name": name},
                    hint=N_("Choose another subnet."),
                    code="subnet_overlaps",
                )
        if address is not None and address.version == net.version and address in net:
            raise InvalidInput(
                field,
                N_("%(net)s holds %(address)s, by which Vigie reaches the host"),
                params={"net": str(net), "address": str(address)},
                hint=N_("Choose another subnet: this one would cut the host off."),
                code="subnet_overlaps",
            )


def network_of(cidr: str) -> IpNetwork | None:
    """The subnet of an address with its prefix; None when a host wrote something else."""
    try:
        return ipaddress.ip_interface(cidr).network
    except ValueError:
        return None


def address_of(text: str | None) -> IpAddress | None:
    """The address, or None when the text is none."""
    try:
        return ipaddress.ip_address((text or "").strip("[]").partition("%")[0])
    except ValueError:
        return None


def _check_mode(plan: NetworkPlan) -> None:
    own = plan.mode in OWN_BRIDGE
    if not own and plan.subnets:
        raise InvalidInput("subnets", N_("only networks with a bridge of their own have subnets"))
    if plan.mode in ("nat", "route", "open") and not plan.subnets:
        raise InvalidInput("subnets", N_("this mode needs a subnet"))
    if plan.mode in ("bridge", "openvswitch") and plan.bridge is None:
        raise InvalidInput("bridge", N_("is needed: name the bridge of the host"))
    if plan.mode in ("macvtap", "hostdev") and plan.bridge is not None:
        raise InvalidInput("bridge", N_("this mode has no bridge"))
    if plan.mode in ("macvtap", "hostdev") and not plan.devices:
        raise InvalidInput("devices", N_("is needed: name an interface of the host"))
    if plan.mode in ("nat", "route", "hostdev") and len(plan.devices) > 1:
        raise InvalidInput("devices", N_("this mode has one interface"))
    if plan.mode in ("isolated", "open", "bridge", "openvswitch") and plan.devices:
        raise InvalidInput("devices", N_("this mode has no interface"))
    if len(set(plan.devices)) != len(plan.devices):
        raise InvalidInput("devices", N_("each interface may be given once"))
    if (plan.mode == "macvtap") != (plan.macvtap_mode is not None):
        raise InvalidInput("macvtap_mode", N_("goes with mode macvtap, which needs one"))
    if not own:
        for name in ("domain", "dns_hosts", "dns_forwarders", "dns_services", "in_kbps", "out_kbps"):
            if getattr(plan, name):
                raise InvalidInput(name, N_("only networks with a bridge of their own have this"))
    if plan.mode == "hostdev" and plan.mtu is not None:
        raise InvalidInput("mtu", N_("this mode has no MTU of its own"))
    if plan.domain_local and plan.domain is None:
        raise InvalidInput("domain_local", N_("needs a domain"))


def _check_vlans(plan: NetworkPlan) -> None:
    if plan.vlans and plan.mode not in TAGGING:
        raise InvalidInput("vlans", N_("only Open vSwitch, SR-IOV and macvtap passthrough can tag frames"))
    if plan.vlans and plan.mode == "macvtap" and plan.macvtap_mode != "passthrough":
        raise InvalidInput("vlans", N_("only Open vSwitch, SR-IOV and macvtap passthrough can tag frames"))
    _check_tags(plan.mode, plan.vlans, plan.native_vlan, "")


def _check_tags(mode: str, vlans: Sequence[int], native: int | None, where: str) -> None:
    if len(set(vlans)) != len(vlans):
        raise InvalidInput(f"{where}vlans", N_("each VLAN may be given once"))
    if len(vlans) > 1 and mode != "openvswitch":
        raise InvalidInput(f"{where}vlans", N_("only Open vSwitch has trunks of several VLANs"))
    if native is not None and (native not in vlans or mode != "openvswitch"):
        raise InvalidInput(f"{where}native_vlan", N_("must be one of the VLANs of an Open vSwitch trunk"))


def _check_groups(plan: NetworkPlan) -> None:
    names = [group.name for group in plan.port_groups]
    for number, group in enumerate(plan.port_groups):
        where = f"port_groups.{number}."
        if group.name in names[:number]:
            raise InvalidInput(f"{where}name", N_("each name may be given once"))
        if group.default and any(port_group.default for port_group in plan.port_groups[:number]):
            raise InvalidInput(f"{where}default", N_("only one can be the default"))
        if group.vlans and plan.mode not in ("openvswitch", "hostdev", "macvtap"):
            raise InvalidInput(
                f"{where}vlans", N_("only Open vSwitch, SR-IOV and macvtap passthrough can tag frames")
            )
        _check_tags(plan.mode, group.vlans, group.native_vlan, where)


def _check_subnet(subnet: Subnet, where: str) -> IpNetwork:
    own = _interface(subnet.address, f"{where}.address")
    net = own.network
    if net.version == 4 and net.prefixlen < 31 and own.ip in (net.network_address, net.broadcast_address):
        raise InvalidInput(
            f"{where}.address", N_("must be the host's own address in the subnet, such as its first")
        )
    if own.ip.is_multicast or own.ip.is_loopback or own.ip.is_unspecified:
        raise InvalidInput(f"{where}.address", N_("must be an address that machines can have"))
    if net.version == 6 and subnet.dhcp and net.prefixlen != 64:
        raise InvalidInput(f"{where}.address", N_("must have the prefix 64: DHCP for IPv6 needs that"))
    ranges: list[tuple[IpAddress, IpAddress]] = []
    for number, item in enumerate(subnet.dhcp):
        ranges.append(_check_range(item, f"{where}.dhcp.{number}", own, ranges))
    for number, reservation in enumerate(subnet.reservations):
        _check_reservation(reservation, f"{where}.reservations.{number}", own)
    return net


def _check_range(
    dhcp_range: DhcpRange, where: str, own: IpInterface, before: Sequence[tuple[IpAddress, IpAddress]]
) -> tuple[IpAddress, IpAddress]:
    start, end = (
        _inside(dhcp_range.start, f"{where}.start", own),
        _inside(dhcp_range.end, f"{where}.end", own),
    )
    if int(end) < int(start):
        raise InvalidInput(f"{where}.end", N_("must not lie before the start"))
    if int(end) - int(start) >= MAX_RANGE_ADDRESSES:
        raise InvalidInput(
            f"{where}.end",
            N_("a range has at most %(count)d addresses"),
            params={"count": MAX_RANGE_ADDRESSES},
        )
    if int(start) <= int(own.ip) <= int(end):
        raise InvalidInput(f"{where}.start", N_("the range holds the host's own address"))
    if any(int(start) <= int(last) and int(first) <= int(end) for first, last in before):
        raise InvalidInput(f"{where}.start", N_("overlaps another range"))
    return start, end


def _check_reservation(reservation: Reservation, where: str, own: IpInterface) -> None:
    address = _inside(reservation.address, f"{where}.address", own)
    if address == own.ip:
        raise InvalidInput(f"{where}.address", N_("is the host's own address"))
    if address.version == 4:
        if reservation.duid is not None or (reservation.mac is None and reservation.name is None):
            raise InvalidInput(f"{where}.mac", N_("an IPv4 reservation needs a MAC address or a name"))
    elif reservation.mac is not None or (reservation.duid is None and reservation.name is None):
        raise InvalidInput(
            f"{where}.duid", N_("an IPv6 reservation needs a DUID or a name, and no MAC address")
        )


def _check_once(plan: NetworkPlan) -> None:
    """Addresses, MACs, DUIDs and names of reservations are there once in their subnet."""
    for number, subnet in enumerate(plan.subnets):
        for key in ("address", "mac", "duid", "name"):
            seen: set[str] = set()
            for place, item in enumerate(subnet.reservations):
                value = getattr(item, key)
                value = value and (str(address_of(value)) if key == "address" else value.lower())
                if value is None:
                    continue
                if value in seen:
                    raise InvalidInput(
                        f"subnets.{number}.reservations.{place}.{key}",
                        N_("%(value)s is reserved twice"),
                        params={"value": value},
                    )
                seen.add(value)


def _check_dns(plan: NetworkPlan) -> None:
    for number, host in enumerate(plan.dns_hosts):
        _address(host.address, f"dns_hosts.{number}.address")
        if any(
            address_of(host.address) == address_of(dns_host.address) for dns_host in plan.dns_hosts[:number]
        ):
            raise InvalidInput(
                f"dns_hosts.{number}.address", N_("each address may be given once, with all its names")
            )
    for number, forwarder in enumerate(plan.dns_forwarders):
        if forwarder.address is None and forwarder.domain is None:
            raise InvalidInput(
                f"dns_forwarders.{number}.address", N_("a forwarder needs an address or a domain")
            )
        if forwarder.address is not None:
            _address(forwarder.address, f"dns_forwarders.{number}.address")
    if not plan.dns and (plan.dns_hosts or plan.dns_forwarders or plan.dns_services):
        raise InvalidInput("dns", N_("records and forwarders need DNS to be on"))


def _inside(text: str, field: str, own: IpInterface) -> IpAddress:
    address, net = _address(text, field), own.network
    edges = (net.network_address, net.broadcast_address) if net.version == 4 and net.prefixlen < 31 else ()
    if address.version != net.version or address not in net or address in edges:
        raise InvalidInput(
            field,
            N_("%(address)s is no address for guests of %(net)s"),
            params={"address": str(address), "net": str(net)},
        )
    return address


def _interface(text: str, field: str) -> IpInterface:
    try:
        return ipaddress.ip_interface(text)
    except ValueError:
        raise InvalidInput(field, N_("must be an address with its prefix, such as 192.0.2.1/24")) from None


def _address(text: str, field: str) -> IpAddress:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise InvalidInput(field, N_("must be an IP address")) from None


def _overlap(one: IpNetwork, other: IpNetwork) -> bool:
    if isinstance(one, ipaddress.IPv4Network):
        return isinstance(other, ipaddress.IPv4Network) and one.overlaps(other)
    return isinstance(other, ipaddress.IPv6Network) and one.overlaps(other)
