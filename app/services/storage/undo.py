"""How volumes and pools that a task has created are removed again."""

from __future__ import annotations

import structlog

from app.core.errors import HypervisorRefused, VmGone
from app.core.messages import N_
from app.core.storage.created_volumes import CREATED, REQUESTED, VOLUME
from app.hypervisor import Host
from app.tasks.undo import LeftEvent, Note, Undo, declare_undo

log = structlog.get_logger(__name__)

POOL = "pool"


def _remove_volume(host: Host, note: Note, ended: bool) -> bool:
    """Remove a volume that is surely the task's, unless a VM has it by now. `vm` and `moving` are what it was for."""
    try:
        return _remove_if_own(host, note)
    except HypervisorRefused as error:
        if error.code != "no_such_pool":
            raise
    return True


def _remove_if_own(host: Host, note: Note) -> bool:
    found = host.storage.find_volume(note["pool"], note["name"])
    if found is None:
        return True
    state = note.get("state")  # none: noted by an earlier version before it asked for the volume
    if state != CREATED and not (state == REQUESTED and note.get("size") == str(found.capacity_bytes)):
        return False
    vm = note.get("vm")
    try:
        if vm is not None and host.disks.has(vm, found.path):
            return True
        if vm is not None and "moving" in note:
            host.disks.stop_copy(vm, note["moving"])
    except VmGone:
        log.info("volume_without_vm", **note)
    if host.disks.vms_with(found.path):
        return False  # somebody has given it to another VM
    host.storage.delete_volume(note["pool"], note["name"])
    return True


def _remove_pool(host: Host, note: Note, ended: bool) -> bool:
    host.storage.remove_pool(note["uuid"])
    host.pool_secrets.forget(note["uuid"])
    return True


def _left(note: Note) -> LeftEvent:
    return LeftEvent(
        "volume.left",
        N_(
            "Volume %(name)s was left in its pool: Vigie or its connection was interrupted while a task was creating it, "
            "and somebody else may have made it or use it by now. Delete it if nobody needs it."
        ),
        {"name": note["name"]},
    )


declare_undo(VOLUME, Undo(_remove_volume, _left))
declare_undo(POOL, Undo(_remove_pool))
