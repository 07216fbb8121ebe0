"""What is read of networks, their leases and network filters."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NetworkObservation:
    """A virtual network of a host."""

    uuid: str
    name: str
    active: bool
    autostart: bool
    persistent: bool
    bridge: str | None
    forward_mode: str  # nat, route, open, bridge, hostdev, isolated...
    addresses: tuple[str, ...] = ()  # CIDR
    dhcp: bool = False
    xml: str | None = None  # its lasting definition, without who is connected at the moment
    live_xml: str | None = None  # what runs, where that differs
    mtu: int | None = None
    vlan: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """An address that a guest has from a network's DHCP. All its texts come from the guest."""

    address: str
    prefix: int
    mac: str | None = None
    hostname: str | None = None
    expires_at: str | None = None  # ISO, UTC; None: never


@dataclass(frozen=True, slots=True)
class NwfilterObservation:
    """A network filter (nwfilter) of a host."""

    uuid: str
    name: str
    xml: str
