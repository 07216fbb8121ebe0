"""Network filters (nwfilter) of a host: read, defined, removed. https://libvirt.org/formatnwfilter.html"""

from __future__ import annotations

import libvirt

from app.core.errors import HypervisorRefused
from app.core.networks.nwfilters import NwfilterPlan
from app.core.networks.observations import NwfilterObservation
from app.hypervisor import errors
from app.hypervisor.transport.connection import Connection
from app.hypervisor.transport.connections import HostConnections
from app.hypervisor.xml.nwfilters import build, edit

CHANGE_S = 75.0  # rules of running interfaces are made anew, under the lock of the firewall


class Nwfilters:
    """Verbs on network filters, named by UUID. Raises `core.errors`: HypervisorRefused with no_such_filter."""

    def __init__(self, connections: HostConnections) -> None:
        self._connections = connections

    def read(self) -> tuple[NwfilterObservation, ...] | None:
        """All; None where the host has no such things."""
        with self._connections.reads() as reads:
            return list_nwfilters(reads)

    def find(self, name: str) -> NwfilterObservation | None:
        """One, by name or UUID; None when the host has none of that name."""
        with self._connections.looks() as work:
            found = _find(work, name)
            if found is None:
                return None
            return NwfilterObservation(found.UUIDString(), work.call(found.name), work.call(found.XMLDesc, 0))

    def create(self, plan: NwfilterPlan, uuid: str) -> None:
        """Define a new filter. The host validates it."""
        self._define(build(plan, uuid))

    def change(self, uuid: str, wanted: NwfilterPlan) -> None:
        """Define a filter anew; interfaces that use it follow at once. What Vigie does not know of it stays."""
        with self._connections.work() as work:
            text = work.call(work.call(work.raw.nwfilterLookupByUUIDString, uuid).XMLDesc, 0)
        self._define(edit(text, wanted))

    def delete(self, uuid: str) -> None:
        """Remove a filter; no error when there is none. The host refuses one that is in use."""
        with self._connections.work() as work:
            found = _find(work, uuid)
            if found is not None:
                work.call(found.undefine, deadline_s=CHANGE_S)

    def _define(self, text: str) -> None:
        with self._connections.work() as work:
            flags = libvirt.VIR_NWFILTER_DEFINE_VALIDATE
            try:
                work.call(work.raw.nwfilterDefineXMLFlags, text, flags, deadline_s=CHANGE_S)
            except HypervisorRefused as error:
                # libvirt before 7.7 has no such call, and validates nothing.
                if error.code != "not_supported":
                    raise
                work.call(work.raw.nwfilterDefineXML, text, deadline_s=CHANGE_S)


def _find(work: Connection, key: str) -> libvirt.virNWFilter | None:
    for lookup in (work.raw.nwfilterLookupByUUIDString, work.raw.nwfilterLookupByName):
        try:
            return work.call(lookup, key)
        except HypervisorRefused as error:
            if error.code not in ("no_such_filter", "invalid_argument"):
                raise
    return None


def list_nwfilters(connection: Connection) -> tuple[NwfilterObservation, ...] | None:
    """All network filters that can be read; None where the host has none of such things."""
    listed: list[libvirt.virNWFilter] | None = connection.optional(
        "nwfilters", connection.raw.listAllNWFilters, 0
    )
    if listed is None:
        return None
    found = []
    for item in listed:
        try:
            text = connection.call(item.XMLDesc, 0)
            found.append(NwfilterObservation(item.UUIDString(), connection.call(item.name), text))
        except HypervisorRefused as error:
            if error.code != "no_such_filter" and not errors.is_unreadable(error):
                raise
    return tuple(found)
