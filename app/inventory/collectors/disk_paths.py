"""Where the disks of running VMs lie, from statistics: libvirt sends no event for an external snapshot."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from app.core.inventory.usage import UsageSample
from app.core.vms.observations import VmObservation

_Paths = dict[str, str | None]  # by target; None for an empty drive


class DiskPaths:
    """Compares samples with the definitions that were read last, and with each other. All lanes may learn at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._named: dict[str, _Paths] = {}  # by UUID: what the definition says that was read last
        # By UUID: what the statistics said when that was something else.
        self._odd: dict[str, tuple[tuple[tuple[str, str | None], ...], _Paths]] = {}

    def learn(self, vms: Iterable[VmObservation], *, complete: bool = False) -> None:
        """Definitions that were read; `complete`: there are no other VMs."""
        found = {vm.uuid: _named_by(vm) for vm in vms}
        with self._lock:
            self._named = found if complete else self._named | found

    def forget(self, uuid: str) -> None:
        """The VM is gone."""
        with self._lock:
            self._named.pop(uuid, None)

    def elsewhere(self, sample: UsageSample) -> set[str]:
        """UUIDs of VMs to read again: their disks lie elsewhere than their definitions said.

        A definition that says so also after that is left alone until the disks lie elsewhere again.
        """
        wanted: set[str] = set()
        odd = {}
        with self._lock:
            for vm in sample.vms:
                named = self._named.get(vm.uuid)
                if named is None or all(named.get(target, path) == path for target, path in vm.disk_paths):
                    continue
                paths, then = self._odd.get(vm.uuid, ((), named))
                if paths == vm.disk_paths and then is not named:
                    odd[vm.uuid] = paths, then
                else:
                    odd[vm.uuid] = vm.disk_paths, named
                    wanted.add(vm.uuid)
            self._odd = odd
        return wanted


def _named_by(vm: VmObservation) -> _Paths:
    """Where the disks lie that the definition names by path, and which drives are empty."""
    disks = () if vm.definition is None else vm.definition.disks
    return {disk.target: disk.source for disk in disks if disk.source is None or disk.source.startswith("/")}
