"""What is asked of virtual networks. The rules between the values are in `core.networks.rules`.

Rates are kilobytes per second, as libvirt counts them. https://libvirt.org/formatnetwork.html
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.core.specs import ListQuery, ObjectId, Spec
from app.core.vms.create.spec import HostName, Mac, VmName

Mode = Literal["nat", "route", "isolated", "open", "bridge", "macvtap", "openvswitch", "hostdev"]
OWN_BRIDGE = ("nat", "route", "isolated", "open")
"""Modes in which libvirt makes a bridge with addresses, DHCP and DNS of its own."""
TAGGING = ("openvswitch", "hostdev", "macvtap")
"""Modes that can tag frames with a VLAN."""

NetworkName = VmName
Interface = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$")]
"""A network interface of a host; Linux takes at most 15 characters."""
GroupName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,59}$")]
Address = Annotated[str, StringConstraints(min_length=2, max_length=45, pattern=r"^[0-9A-Fa-f.:]+$")]
Cidr = Annotated[str, StringConstraints(min_length=4, max_length=49, pattern=r"^[0-9A-Fa-f.:]+/[0-9]{1,3}$")]
Domain = Annotated[
    str,
    StringConstraints(
        max_length=253,
        pattern=r"^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$",
    ),
]
Duid = Annotated[str, StringConstraints(pattern=r"^([0-9A-Fa-f]{1,2}:){2,127}[0-9A-Fa-f]{1,2}$")]
Vlan = Annotated[int, Field(ge=1, le=4094)]
Rate = Annotated[int, Field(ge=1, le=2**32 - 1)]


class DhcpRange(Spec):
    """Addresses that DHCP hands out, both ends included."""

    start: Address
    end: Address


class Reservation(Spec):
    """An address that one guest always gets: known by its MAC (IPv4), DUID (IPv6) or host name."""

    address: Address
    mac: Mac | None = None
    duid: Duid | None = None
    name: HostName | None = None


class Subnet(Spec):
    """Addresses of a network. `address` is the host's own, with the prefix: 192.0.2.1/24."""

    address: Cidr = Field(examples=["192.0.2.1/24"])
    dhcp: list[DhcpRange] = Field([], max_length=32)
    reservations: list[Reservation] = Field([], max_length=1000)


class DnsHost(Spec):
    """Names that the network's DNS answers with an address."""

    address: Address
    names: list[Domain] = Field(min_length=1, max_length=20)


class Forwarder(Spec):
    """Where questions go that the network's DNS cannot answer: all, or those of one domain."""

    address: Address | None = None
    domain: Domain | None = None


class DnsService(Spec):
    """An SRV record of the network's DNS."""

    service: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,63}$")]
    protocol: Literal["tcp", "udp"]
    target: Domain | None = None
    port: int | None = Field(None, ge=1, le=65535)
    priority: int | None = Field(None, ge=0, le=65535)
    weight: int | None = Field(None, ge=0, le=65535)
    domain: Domain | None = None


class PortGroup(Spec):
    """A kind of port that interfaces of VMs can ask for; the default one is for those that ask for none."""

    name: GroupName
    default: bool = False
    vlans: list[Vlan] = Field([], max_length=64)
    native_vlan: Vlan | None = None
    in_kbps: Rate | None = None
    out_kbps: Rate | None = None


class NetworkPatch(Spec):
    """Changes of a network; what is left out stays. A list replaces the whole list that was there."""

    bridge: Interface | None = Field(
        None,
        description="nat, route, isolated, open: the bridge to make; bridge, openvswitch: the one to use.",
    )
    devices: list[Interface] | None = Field(
        None,
        max_length=64,
        description="Interfaces of the host: the way out (nat, route), for macvtap, or the SR-IOV card (hostdev).",
    )
    macvtap_mode: Literal["bridge", "vepa", "private", "passthrough"] | None = None
    mtu: int | None = Field(None, ge=68, le=65535)
    domain: Domain | None = None
    domain_local: bool | None = Field(None, description="Questions of the domain are never forwarded.")
    subnets: list[Subnet] | None = Field(None, max_length=16)
    dns: bool | None = Field(None, description="Whether the host answers DNS in the network.")
    dns_hosts: list[DnsHost] | None = Field(None, max_length=500)
    dns_forwarders: list[Forwarder] | None = Field(None, max_length=32)
    dns_services: list[DnsService] | None = Field(None, max_length=100)
    vlans: list[Vlan] | None = Field(None, max_length=64, description="One is a tag, several are a trunk.")
    native_vlan: Vlan | None = Field(None, description="The VLAN of frames without a tag, of a trunk.")
    port_groups: list[PortGroup] | None = Field(None, max_length=64)
    in_kbps: Rate | None = Field(None, description="Average limit of what VMs send into the bridge.")
    out_kbps: Rate | None = None
    autostart: bool | None = Field(None, description="Start it with its host.")


class NetworkPlan(Spec):
    """What Vigie knows of a network's definition, whole: what `NetworkPatch` can change, and name and mode."""

    name: str = Field(min_length=1)  # of one that others made: as it is
    mode: Mode
    bridge: Interface | None = None
    devices: list[Interface] = Field([], max_length=64)
    macvtap_mode: Literal["bridge", "vepa", "private", "passthrough"] | None = None
    mtu: int | None = Field(None, ge=68, le=65535)
    domain: Domain | None = None
    domain_local: bool = False
    subnets: list[Subnet] = Field([], max_length=16)
    dns: bool = True
    dns_hosts: list[DnsHost] = Field([], max_length=500)
    dns_forwarders: list[Forwarder] = Field([], max_length=32)
    dns_services: list[DnsService] = Field([], max_length=100)
    vlans: list[Vlan] = Field([], max_length=64, description="One is a tag, several are a trunk.")
    native_vlan: Vlan | None = None
    port_groups: list[PortGroup] = Field([], max_length=64)
    in_kbps: Rate | None = None
    out_kbps: Rate | None = None


class NetworkSpec(NetworkPlan):
    """A network to create."""

    name: NetworkName
    host_id: ObjectId
    autostart: bool = Field(True, description="Start it with its host.")
    start: bool = Field(True, description="Start it when it is made.")


class NetworkCopy(Spec):
    """Hosts that shall get the same network: a task for each."""

    host_ids: list[ObjectId] = Field(min_length=1, max_length=2500)
    start: bool = True


class NetworkQuery(ListQuery):
    """Filters of the network list."""

    host: ObjectId | None = None
    name: str | None = Field(None, max_length=300, description="The exact name.")
    mode: (
        Literal["nat", "route", "open", "isolated", "bridge", "private", "vepa", "passthrough", "hostdev"]
        | None
    ) = Field(None, description="The forwarding, in libvirt's words.")
    active: bool | None = None


class LogicalNetworkHostsQuery(ListQuery):
    """Filters of the hosts of one network name."""

    name: str = Field(min_length=1, max_length=300)
    show: Literal["all", "missing", "differs", "inactive"] = "all"
