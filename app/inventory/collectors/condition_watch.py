"""What is watched beside states: QEMU processes that answer, files of disks and directories of pools that are there."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from app.core.errors import HostError
from app.core.hosts.observations import FileCheck
from app.core.inventory.conditions import (
    DIRECTORY_MISSING,
    DISK_MISSING,
    NOT_ANSWERING,
    READ_ONLY,
    ObservedCondition,
)
from app.core.inventory.usage import UsageSample
from app.core.storage.observations import PoolObservation
from app.core.vms.observations import VmObservation
from app.hypervisor import Host

Conditions = dict[str, tuple[ObservedCondition, ...]]
LOOK_AGAIN_S = 1.0  # after the first sign that a QEMU process does not answer
HUNG_FILES_S = (
    300.0  # until a host is asked again of whose files a look hung; each may leave a process behind
)
FOLDER_KINDS = frozenset({"dir", "fs", "netfs"})


class ConditionWatch:
    """Remembers what to look for on one host, and tells what holds when that changed. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._disks: dict[str, tuple[tuple[str, str], ...]] = {}  # by UUID: target and path
        self._directories: dict[str, str] = {}  # by UUID of a pool that runs
        self._silent: frozenset[str] = frozenset()  # by the last reading
        self._hung = False  # the last reading of statistics did not return
        self._told: Conditions = {}
        self.poll_soon = False  # whether statistics should be read again at once
        self.files_hung_until = 0.0

    def forget_reported(self) -> None:
        """A new connection: all is told again, so that what ended meanwhile ends."""
        with self._lock:
            self._told = {}

    def learn(self, vms: Iterable[VmObservation], *, complete: bool = False) -> None:
        """Take the disks of VMs from their definitions."""
        found = {vm.uuid: _files(vm) for vm in vms if vm.definition is not None}
        with self._lock:
            self._disks = found if complete else self._disks | found

    def forget(self, uuid: str) -> None:
        """The host does not have the VM any more."""
        with self._lock:
            self._disks.pop(uuid, None)

    def learn_pools(self, pools: Iterable[PoolObservation]) -> None:
        """Take the directories of the pools that run; a complete listing."""
        directories = {
            pool.uuid: pool.target_path
            for pool in pools
            if pool.kind in FOLDER_KINDS and pool.state == "running" and pool.target_path
        }
        with self._lock:
            self._directories = directories

    def silent(self, sample: UsageSample) -> Conditions:
        """VMs whose QEMU process gives no statistics: for the second time, or after a reading that hung."""
        with self._lock:
            if not sample.complete:
                self.poll_soon, self._hung = not self._hung, True
                return {}
            now = frozenset(vm.uuid for vm in sample.vms if not vm.answers)
            sure = now if self._hung else now & self._silent
            self.poll_soon = not self._hung and bool(now - self._silent)
            self._hung, self._silent = False, now
            return self._changed({NOT_ANSWERING: tuple(ObservedCondition(uuid) for uuid in sorted(sure))})

    def files(self, host: Host) -> Conditions:
        """Disks whose file is gone, and pools whose directory is gone or read-only."""
        with self._lock:
            disks, directories = dict(self._disks), dict(self._directories)
        paths = {path for disk in disks.values() for _, path in disk}
        if not paths and not directories:
            look: FileCheck | None = FileCheck(frozenset(), frozenset())
        else:
            look = self._look(host, paths, set(directories.values()))
        if look is None:
            return {}
        found: Conditions = {
            DISK_MISSING: tuple(
                ObservedCondition(uuid, path, {"target": target, "path": path})
                for uuid, item in sorted(disks.items())
                for path, target in {path: target for target, path in item}.items()
                if path in look.missing
            )
        }
        if look.read_only is not None:
            for code, places in ((DIRECTORY_MISSING, look.missing), (READ_ONLY, look.read_only)):
                found[code] = tuple(
                    ObservedCondition(uuid, "", {"path": path})
                    for uuid, path in sorted(directories.items())
                    if path in places
                )
        with self._lock:
            return self._changed(found)

    def _look(self, host: Host, paths: set[str], directories: set[str]) -> FileCheck | None:
        try:
            return host.check_files(paths, directories)
        except HostError:
            if not host.is_open:
                raise
            # A file system hangs, not the host.
            self.files_hung_until = time.monotonic() + HUNG_FILES_S
            return None

    def _changed(self, found: Conditions) -> Conditions:
        changed = {code: item for code, item in found.items() if self._told.get(code) != item}
        self._told |= changed
        return changed


def _files(vm: VmObservation) -> tuple[tuple[str, str], ...]:
    disks = vm.definition.disks if vm.definition is not None else ()
    return tuple((disk.target, disk.source) for disk in disks if disk.source and disk.source.startswith("/"))
