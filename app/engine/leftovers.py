"""Taking back what a task had begun to make and did not finish.

A task notes what it makes before it makes it (`Run.make`). When it fails, it takes that back itself; when its
host was lost meanwhile, the notes stay, and the host's return is the time for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from app.core.errors import HostError, HypervisorRefused, VmGone
from app.core.states import VmState
from app.hypervisor import Host

log = structlog.get_logger(__name__)

VOLUME, VM, COPY = "volume", "vm", "copy"


def volume(pool: str, name: str) -> dict[str, str]:
    """The note of a volume."""
    return {"kind": VOLUME, "pool": pool, "name": name}


def vm(uuid: str) -> dict[str, str]:
    """The note of a VM's definition."""
    return {"kind": VM, "uuid": uuid}


def copy(pool: str, name: str, vm: str, path: str) -> dict[str, str]:
    """The note of a volume to which the disk at `path` of a VM is being moved."""
    return {"kind": COPY, "pool": pool, "name": name, "vm": vm, "path": path}


def take_back(host: Host, made: Sequence[Mapping[str, str]]) -> None:
    """Remove what was made, last things first. What is gone already is no error. Raises HostError when one stays."""
    problem: HostError | None = None
    for each in reversed(made):
        try:
            _remove(host, each)
        except HypervisorRefused as error:
            log.warning("leftover_stays", code=error.code, **each)
            problem = problem or error
    if problem is not None:
        raise problem


def _remove(host: Host, what: Mapping[str, str]) -> None:
    if what["kind"] == VOLUME:
        try:
            host.storage.delete_volume(what["pool"], what["name"])
        except HypervisorRefused as error:
            if error.code != "no_such_pool":
                raise
    elif what["kind"] == COPY:
        _remove_copy(host, what)
    elif what["kind"] == VM:
        try:
            if host.read_vm(what["uuid"]).state is not VmState.SHUTOFF:
                host.force_off(what["uuid"])
            host.machines.undefine(what["uuid"])
        except VmGone:
            return


def _remove_copy(host: Host, what: Mapping[str, str]) -> None:
    """Remove the copy, unless the VM goes on with it already: then it is no copy any more."""
    found = host.storage.find_volume(what["pool"], what["name"])
    if found is None:
        return
    try:
        if host.disks.is_at(what["vm"], found.path):
            return
        host.disks.stop_copy(what["vm"], what["path"])
    except VmGone:
        log.info("copy_without_vm", **what)
    host.storage.delete_volume(what["pool"], what["name"])
