"""Reading the networks of a host."""

from __future__ import annotations

import re

import libvirt

from app.core.errors import HypervisorRefused
from app.core.networks.observations import NetworkObservation
from app.hypervisor import errors
from app.hypervisor.domains.queries import uuids_of
from app.hypervisor.transport.connection import Connection
from app.hypervisor.xml.domains import read
from app.hypervisor.xml.networks import networks

_CONNECTIONS = re.compile(r" connections='\d+'")


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
