"""How networks and network filters that a task has created are removed again."""

from __future__ import annotations

from app.hypervisor import Host
from app.tasks.undo import Note, Undo, declare_undo

NETWORK, NWFILTER = "network", "nwfilter"


def _remove_network(host: Host, note: Note, ended: bool) -> bool:
    if host.networks.find(note["uuid"]) is not None:
        host.networks.stop(note["uuid"])
        host.networks.delete(note["uuid"])
    return True


def _remove_nwfilter(host: Host, note: Note, ended: bool) -> bool:
    host.nwfilters.delete(note["uuid"])
    return True


declare_undo(NETWORK, Undo(_remove_network))
declare_undo(NWFILTER, Undo(_remove_nwfilter))
