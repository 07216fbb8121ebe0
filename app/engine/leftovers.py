"""Created resources: what tasks note of them, and how they are rolled back.

A task notes what it creates before it asks for it, and again when the host has said that it was created. When the task
fails, it rolls that back itself; when its host was lost meanwhile, the notes stay, and the host's return is the time
for it. What it may not have created, or what is in use by then, is left where it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from app.core.errors import HostError, HypervisorRefused, VmGone
from app.core.storage.created_volumes import CREATED, REQUESTED, VM, VOLUME
from app.core.vms.states import VmState
from app.hypervisor import Host

log = structlog.get_logger(__name__)

POOL, NETWORK, FILTER = "pool", "network", "filter"
MOVED = "moved"  # the copy of a volume has taken its place; it is no leftover any more
_KEY = ("kind", "pool", "name", "uuid")


def key_of(note: Mapping[str, str]) -> tuple[str | None, ...]:
    """What two notes of the same thing have in common."""
    return tuple(note.get(field) for field in _KEY)


def vm(uuid: str) -> dict[str, str]:
    """The note of a VM's definition."""
    return {"kind": VM, "uuid": uuid}


def take_back(
    host: Host, made: Sequence[Mapping[str, str]], *, ended: bool = False
) -> list[Mapping[str, str]]:
    """Remove what was created, last things first; what is gone already is no error. Return what is left in doubt.

    `ended`: the task has ended, maybe long ago, so that a VM which runs is somebody's by now and is left. Raises
    HostError when something stays that should not.
    """
    problem: HostError | None = None
    doubtful: list[Mapping[str, str]] = []
    for each in reversed(made):
        try:
            if not _remove(host, each, ended):
                doubtful.append(each)
        except HypervisorRefused as error:
            log.warning("leftover_stays", code=error.code, **each)
            problem = problem or error
    if problem is not None:
        raise problem
    return doubtful


def _remove(host: Host, what: Mapping[str, str], ended: bool) -> bool:
    """Whether it is gone, or was not to go; False when it is there and may be, or is used by, somebody else's."""
    kind, uuid = what["kind"], what.get("uuid", "")
    if kind == VOLUME:
        try:
            return _remove_volume(host, what)
        except HypervisorRefused as error:
            if error.code != "no_such_pool":
                raise
    elif kind == VM:
        return _remove_vm(host, uuid, ended)
    elif kind == POOL:
        host.storage.remove_pool(uuid)
        host.pool_secrets.forget(uuid)
    elif kind == NETWORK and host.networks.find(uuid) is not None:
        host.networks.stop(uuid)
        host.networks.delete(uuid)
    elif kind == FILTER:
        host.filters.delete(uuid)
    return True


def _remove_vm(host: Host, uuid: str, ended: bool) -> bool:
    try:
        if host.read_vm(uuid).state is not VmState.SHUTOFF:
            if ended:
                return False
            host.force_off(uuid)
        host.machines.undefine(uuid)
    except VmGone:
        log.info("vm_gone_already", uuid=uuid)
    return True


def _remove_volume(host: Host, what: Mapping[str, str]) -> bool:
    """Remove a volume that is surely the task's, unless a VM has it by now. `vm` and `moving` are what it was for."""
    found = host.storage.find_volume(what["pool"], what["name"])
    if found is None:
        return True
    state = what.get("state")  # none: noted by an earlier version before it asked for the volume
    if state != CREATED and not (state == REQUESTED and what.get("size") == str(found.capacity_bytes)):
        return False
    vm = what.get("vm")
    try:
        if vm is not None and host.disks.has(vm, found.path):
            return True
        if vm is not None and "moving" in what:
            host.disks.stop_copy(vm, what["moving"])
    except VmGone:
        log.info("volume_without_vm", **what)
    if host.disks.vms_with(found.path):
        return False  # somebody has given it to another VM
    host.storage.delete_volume(what["pool"], what["name"])
    return True
