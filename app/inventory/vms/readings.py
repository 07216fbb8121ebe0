"""What was read of the VMs of a host: listings, VMs read by themselves, those that are gone, saved definitions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from app.core.vms.observations import DefinitionObservation, VmObservation
from app.inventory.merged_report import Reading


@dataclass(frozen=True, slots=True)
class VmReadings:
    """One or more readings of the VMs of a host, by UUID.

    `complete`: all VMs were listed; one that is neither `listed` nor in `unsure` is not on the host. Of those in
    `unsure` something newer is known than the listing says. `gone`: the host said that it does not have them. `saved`:
    definitions that running VMs have after their next power-off, read without the running ones.
    """

    listed: Mapping[str, VmObservation] = field(default_factory=dict)
    complete: bool = False
    unsure: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    saved: Mapping[str, DefinitionObservation] = field(default_factory=dict)

    @classmethod
    def listing(cls, vms: Iterable[VmObservation]) -> VmReadings:
        """A listing of all VMs, with definitions or without."""
        return cls({vm.uuid: vm for vm in vms}, complete=True)

    @classmethod
    def single(cls, *vms: VmObservation, gone: Collection[str] = ()) -> VmReadings:
        """VMs that were read by themselves, and UUIDs of those that the host does not have."""
        return cls({vm.uuid: vm for vm in vms}, gone=frozenset(gone))

    @property
    def is_full(self) -> bool:
        """Whether it is a complete reading with definitions, though some may be unreadable: no listing of states."""
        return self.complete and (not self.listed or any(vm.definition for vm in self.listed.values()))

    @property
    def has_definitions(self) -> bool:
        """Whether every VM of the host came with its XML."""
        return self.complete and all(vm.definition for vm in self.listed.values())

    def lacks(self, uuid: str) -> bool:
        """Whether the host says that it does not have the VM."""
        return uuid in self.gone or (self.complete and uuid not in self.listed and uuid not in self.unsure)

    def speaks_of(self, uuid: str) -> bool:
        """Whether it says anything of this VM."""
        return self.complete or uuid in self.listed or uuid in self.gone


VmReading = Reading[VmReadings]


def merge(earlier: VmReadings, later: VmReadings) -> VmReadings:
    """A listing overtakes all but what is newer than it; a definition that the later reading lacks is kept."""
    known = earlier.listed
    unsure, listed, gone, saved = earlier.unsure, dict(known), set(earlier.gone), dict(earlier.saved)
    if later.complete:
        unsure = later.unsure
        listed = {uuid: vm for uuid, vm in known.items() if uuid in unsure}
        gone &= unsure
    for uuid, vm in later.listed.items():
        listed[uuid] = _with_definitions(vm, known.get(uuid))
        gone.discard(uuid)
        if listed[uuid].saved is not None:
            saved.pop(uuid, None)
    for uuid in later.gone:
        listed.pop(uuid, None)
    return VmReadings(
        listed,
        earlier.complete or later.complete,
        unsure,
        frozenset(gone | later.gone),
        saved | dict(later.saved),
    )


def _with_definitions(vm: VmObservation, before: VmObservation | None) -> VmObservation:
    if before is not None and vm.definition is None and before.definition is not None:
        vm = replace(vm, definition=before.definition)
    if (
        before is not None
        and before.saved is not None
        and vm.saved is None
        and vm.domain_id == before.domain_id
    ):
        vm = replace(vm, saved=before.saved)
    return vm


def join_saved(readings: VmReadings) -> VmReadings:
    """Put saved definitions to the VMs whose running ones were read with them; drop those of VMs that are off."""
    both = readings.saved.keys() & readings.listed.keys()
    if not both:
        return readings
    listed, saved = dict(readings.listed), dict(readings.saved)
    for uuid in both:
        vm = listed[uuid]
        if vm.domain_id is None:
            del saved[uuid]
        elif vm.definition is not None:
            listed[uuid] = replace(vm, saved=saved.pop(uuid))
    return replace(readings, listed=listed, saved=saved)


def admit(value: VmReadings, times: dict[str, float], began_s: float) -> VmReadings | None:
    """The readings without what newer ones have told; `times`: when the newest of each VM, and of all (""), began.

    Times of single VMs are kept until the next complete reading only.
    """
    if value.complete:
        admitted = _admit_listing(value, times, began_s)
        if admitted is None:
            return None
        value = admitted
    else:
        value = replace(
            value,
            listed={
                uuid: vm for uuid, vm in value.listed.items() if _note(times, uuid, vm.read_from_s or began_s)
            },
            gone=frozenset(uuid for uuid in value.gone if _note(times, uuid, began_s)),
        )
    if value.saved:
        saved = {uuid: item for uuid, item in value.saved.items() if times.get(uuid, began_s) <= began_s}
        value = replace(value, saved=saved)
    return value


def _admit_listing(value: VmReadings, times: dict[str, float], began_s: float) -> VmReadings | None:
    """A listing says nothing of the VMs that were read by themselves since it began."""
    if began_s < times.get("", began_s):
        return None
    newer = frozenset(uuid for uuid, at in times.items() if uuid and at > began_s)
    if value.is_full:
        kept = {uuid: times[uuid] for uuid in newer}
        times.clear()
        times.update(kept | {"": began_s})
    if not newer:
        return value
    listed = {uuid: vm for uuid, vm in value.listed.items() if uuid not in newer}
    return replace(value, listed=listed, unsure=newer)


def _note(times: dict[str, float], uuid: str, began_s: float) -> bool:
    if began_s < max(times.get(uuid, began_s), times.get("", began_s)):
        return False
    times[uuid] = began_s
    return True
