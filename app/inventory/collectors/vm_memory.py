"""What is remembered of the VMs of one host, so that no more of them is read and reported than needed."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping

from app.core.inventory.usage import UsageSample
from app.core.vms.observations import VmObservation
from app.inventory.collectors.disk_paths import DiskPaths

Vms = tuple[VmObservation, ...]


class UsageMemory:
    """The counters that were read last; one lane alone uses it."""

    def __init__(self) -> None:
        self.sample: UsageSample | None = None


class VmMemory:
    """All lanes of a host use it at the same time: what they share is behind the lock.

    What one lane hands to another is taken out as a whole when the work on it begins, so that what comes in
    meanwhile is kept for the next time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._disks = DiskPaths()
        # By UUID: digest of the state that was last reported with a definition.
        self._seen: dict[str, int] = {}
        # Single and complete ones: a listing that was begun before one of them is out of date.
        self._readings = 0
        self._listing = 0  # mark of the last listing that was reported
        self._listed: Vms | None = None
        self._listed_at = 0
        self._unsaved: set[str] = set()  # running VMs whose saved definition is still to be read
        self._unread: set[str] = set()  # VMs that were found changed though no event said so
        self._marks: dict[
            str, int
        ] = {}  # of the definitions of VMs that are off, by UUID, as they were read last
        # Marks of the saved definitions that were reported last, by UUID; the slow lane alone uses them.
        self.saved_marks: dict[str, int] = {}

    @property
    def readings(self) -> int:
        """How many readings with definitions there were."""
        return self._readings

    @property
    def has_unread(self) -> bool:
        """Whether VMs were found changed though no event said so."""
        return bool(self._unread)

    def learn_all(self, vms: Vms) -> None:
        """All VMs were read with their definitions."""
        self._disks.learn((vm for vm in vms if vm.definition is not None), complete=True)
        with self._lock:
            self._readings += 1
            self._seen = {vm.uuid: _digest(vm) for vm in vms}
            self._marks = {vm.uuid: vm.text_mark for vm in vms if vm.text_mark is not None}
            self._listing = 0
            self._unsaved = {vm.uuid for vm in vms if vm.domain_id is not None and vm.persistent}

    def learn(self, vm: VmObservation) -> None:
        """One VM was read by itself."""
        self._disks.learn((vm,))
        with self._lock:
            self._unsaved.discard(vm.uuid)
            self._seen[vm.uuid] = _digest(vm)
            self._marks.pop(vm.uuid, None)
            if vm.text_mark is not None:
                self._marks[vm.uuid] = vm.text_mark

    def forget(self, uuid: str) -> None:
        """The host does not have the VM any more."""
        self._disks.forget(uuid)
        with self._lock:
            self._seen.pop(uuid, None)
            self._marks.pop(uuid, None)

    def count_readings(self, number: int) -> None:
        """So many VMs were read by themselves."""
        with self._lock:
            self._readings += number

    def learn_sample(self, sample: UsageSample) -> None:
        """Have those VMs read again whose disks lie elsewhere than their definitions say."""
        elsewhere = self._disks.elsewhere(sample)
        with self._lock:
            self._unread |= elsewhere

    def is_new_listing(self, vms: Vms, readings: int) -> bool:
        """Whether a listing of states is to be reported; `readings`: how many there were when it began.

        VMs that it shows changed are to be read again in any case.
        """
        if vms is self._listed and readings == self._listed_at:
            return False  # the host hands out the same tuple again as long as nothing changed
        listing = hash(vms)
        with self._lock:
            self._unread |= {vm.uuid for vm in vms if self._seen.get(vm.uuid) != _digest(vm)}
            is_old = readings != self._readings
            is_new = not is_old and listing != self._listing
            self._listing = 0 if is_old else listing
        self._listed, self._listed_at = (None, 0) if is_old else (vms, readings)
        return is_new

    def compare_marks(self, off: Mapping[str, int]) -> None:
        """Have those VMs that are off read again whose definitions are not as they were read last."""
        with self._lock:
            self._unread |= {uuid for uuid, mark in off.items() if self._marks.get(uuid, mark) != mark}

    def take_unread(self) -> set[str]:
        """Hand out the VMs to read again now."""
        with self._lock:
            unread, self._unread = self._unread, set()
        return unread

    def take_unsaved(self) -> set[str]:
        """Hand out the running VMs whose saved definitions are to be read now."""
        with self._lock:
            wanted, self._unsaved = self._unsaved, set()
        return wanted

    def put_back_unsaved(self, uuids: Collection[str]) -> None:
        """Those could not be read."""
        with self._lock:
            self._unsaved |= set(uuids)


def _digest(vm: VmObservation) -> int:
    return hash((vm.name, vm.state, vm.domain_id, vm.persistent, vm.autostart, vm.has_managed_save))
