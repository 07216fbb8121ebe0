"""Reading the leases of networks whose DHCP is libvirt's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import libvirt

from app.core.errors import HypervisorRefused
from app.core.networks.observations import Lease
from app.hypervisor import errors
from app.hypervisor.transport.connection import Connection

MAX_LEASES = 1000
MAX_TEXT = 255


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
