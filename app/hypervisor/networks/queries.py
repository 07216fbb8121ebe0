"""Reading the networks of a host, with the leases of their DHCP."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import libvirt

from app.core.errors import HypervisorRefused
from app.core.networks.observations import Lease, NetworkObservation
from app.hypervisor import errors
from app.hypervisor.domains.queries import uuids_of
from app.hypervisor.transport.connection import Connection
from app.hypervisor.xml.domains import read
from app.hypervisor.xml.networks import networks

_CONNECTIONS = re.compile(r" connections='\d+'")
MAX_LEASES = 1000
MAX_TEXT = 255


def list_networks(connection: Connection) -> tuple[NetworkObservation, ...]:
    """All virtual networks that can be read."""
    raw = connection.raw
    listed: list[libvirt.virNetwork] = connection.optional("networks", raw.listAllNetworks, 0) or []
    if not listed:
        return ()
    inactive = uuids_of(connection.call(raw.listAllNetworks, libvirt.VIR_CONNECT_LIST_NETWORKS_INACTIVE))
    autostart = uuids_of(connection.call(raw.listAllNetworks, libvirt.VIR_CONNECT_LIST_NETWORKS_AUTOSTART))
    transient = uuids_of(connection.call(raw.listAllNetworks, libvirt.VIR_CONNECT_LIST_NETWORKS_TRANSIENT))
    found = []
    for item in listed:
        uuid = item.UUIDString()
        active = uuid not in inactive
        try:
            saved = None if uuid in transient else saved_network(connection, item)
            live = connection.call(item.XMLDesc, 0) if active or saved is None else saved
            name = connection.call(item.name)
            seen = networks.observe(live, saved, uuid, name, active=active, autostart=uuid in autostart)
            found.append(seen)
        except read.UnreadableXml:
            continue
        except HypervisorRefused as error:
            if error.code != "no_such_network" and not errors.is_unreadable(error):
                raise
    return tuple(found)


def network_mark(connection: Connection) -> tuple[int, int]:
    """A number that changes when any network does, whoever is connected, and how many round trips that took.

    `virsh net-update` and autostart send no event.
    """
    raw, flags = connection.raw, libvirt.VIR_CONNECT_LIST_NETWORKS_AUTOSTART
    listed: list[libvirt.virNetwork] = connection.optional("networks", raw.listAllNetworks, 0) or []
    if not listed:
        return 0, 1
    autostart = uuids_of(connection.call(raw.listAllNetworks, flags))
    seen = []
    for item in listed:
        uuid = item.UUIDString()
        try:
            texts = connection.readable(item.XMLDesc, 0), saved_network(connection, item)
        except HypervisorRefused as error:
            if error.code != "no_such_network" and not errors.is_unreadable(error):
                raise
            continue
        plain = (_CONNECTIONS.sub("", text or "") for text in texts)
        seen.append((uuid, uuid in autostart, *plain))
    return hash(tuple(sorted(seen))), 2 + 2 * len(listed)


def saved_network(connection: Connection, network: libvirt.virNetwork) -> str:
    """The lasting definition of a network; what runs where the host makes no difference."""
    flags = libvirt.VIR_NETWORK_XML_INACTIVE
    saved: str | None = connection.optional("saved networks", network.XMLDesc, flags)
    return saved if saved is not None else connection.call(network.XMLDesc, 0)


def list_leases(connection: Connection) -> dict[str, tuple[Lease, ...]]:
    """The leases of all networks that run and have DHCP, by UUID; a round trip each."""
    flags = libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE
    listed: list[libvirt.virNetwork] = (
        connection.optional("networks", connection.raw.listAllNetworks, flags) or []
    )
    found = {}
    for item in listed:
        try:
            seen = read_leases(connection, item)
        except HypervisorRefused as error:
            if error.code != "no_such_network":
                raise
            continue
        if seen is not None:
            found[item.UUIDString()] = seen
    return found


def read_leases(connection: Connection, network: libvirt.virNetwork) -> tuple[Lease, ...] | None:
    """The leases of a network, cleaned and no more than a thousand; None where they cannot be told."""
    try:
        found: list[dict[str, Any]] | None = connection.optional("leases", network.DHCPLeases)
    except HypervisorRefused as error:
        # A network that is off, or that has no DHCP of libvirt's.
        if error.code in ("wrong_state", "hypervisor_refused") or errors.is_unreadable(error):
            return None
        raise
    return None if found is None else tuple(_lease(item) for item in found[:MAX_LEASES])


def _lease(payload: dict[str, Any]) -> Lease:
    expiry = payload.get("expirytime")
    # 0: a lease that never ends.
    ends = isinstance(expiry, int) and 0 < expiry < 2**33
    return Lease(
        address=errors.clean(payload.get("ipaddr") or "")[:MAX_TEXT],
        prefix=int(payload.get("prefix") or 0),
        mac=(errors.clean(payload["mac"])[:MAX_TEXT].lower() if payload.get("mac") else None),
        hostname=(errors.clean(payload["hostname"])[:MAX_TEXT] if payload.get("hostname") else None),
        expires_at=datetime.fromtimestamp(expiry, UTC).isoformat() if ends and expiry else None,
    )
