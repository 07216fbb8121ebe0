"""The mirror of VMs: compare what hosts list with the rows, and write what appeared, changed or is gone.

A VM is known by its UUID, its host is an attribute. During a live migration two hosts list it: the incoming
copy is ignored until it runs, then the row moves. Two copies that both stay are two rows, marked duplicate.
"""

from __future__ import annotations

from collections import Counter

from app.core.casefold import fold
from app.core.ids import new_id
from app.core.inventory.conditions import NOT_ANSWERING
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.notices import TREE
from app.core.vms.observations import VmObservation
from app.core.vms.states import VmState
from app.db import models
from app.inventory.batch import Batch, Row
from app.inventory.condition_rows import end_of_stopped
from app.inventory.identity_claims import claimed_ids, not_created
from app.inventory.usage import UNKNOWN
from app.inventory.vms import definitions, search_text
from app.inventory.vms.arrivals import begin_history, new_row
from app.inventory.vms.counts import record_first_readings, recount
from app.inventory.vms.definition_changes import insert_definition, only_saved, write_definitions
from app.inventory.vms.deleted_by_vigie import deleted_by_vigie
from app.inventory.vms.elsewhere import observe_elsewhere
from app.inventory.vms.events import DELETED, GIVEN_UP, Change, changes_of, tell_vm
from app.inventory.vms.guest_agents import SILENT, silence_stopped
from app.inventory.vms.missing import mark_missing
from app.inventory.vms.moves_and_duplicates import MovesAndDuplicates
from app.inventory.vms.readings import VmReading
from app.inventory.vms.rows import SEEN, Seen, VmRow, VmRows, observed


class VmMirror(MovesAndDuplicates):
    """One pass over the readings of several hosts, by their ids. First what is there, then what is not."""

    def __init__(self, batch: Batch, readings: dict[str, VmReading]) -> None:
        self.batch = batch
        self.readings = readings
        self.rows = batch.shared(VmRows)
        self.here = self.rows.of(readings)
        self.twins = self._load_twins()
        self.defined = []
        self.began, self.over = [], []
        defining = [
            key for key, item in readings.items() if any(vm.definition for vm in item.value.listed.values())
        ]
        self.sizes = definitions.volume_sizes(batch.session, defining)
        self.places = definitions.pool_places(batch.session, defining)
        new = {key for key, item in readings.items() if item.value.listed.keys() - self.here[key].keys()}
        self.claimed = claimed_ids(batch.session, new) if new else {}
        self.search = set()  # rows whose search text may be another now
        self.stopped: set[str] = set()  # rows that ran before this batch, and do not
        self.counted = set()  # hosts whose number of VMs may be another now

    def run(self) -> None:
        """Compare with the rows, and write what changed."""
        for reading in self.readings.values():
            rows = self.here[reading.host_id]
            for uuid, vm in reading.value.listed.items():
                vm_row = rows.get(uuid)
                if vm_row is None:
                    self._arrive(reading, vm)
                elif not vm.is_migration_target:
                    self._compare(reading, vm_row, vm)
        self._process_unlisted()
        for item in self.readings.values():
            self._rebooted(item)
        self.defined += only_saved(
            self.batch.session, [(reading, self.here[reading.host_id]) for reading in self.readings.values()]
        )
        self.search |= write_definitions(self.batch, self.defined, self.sizes, self.places)
        self.batch.write()
        self.search |= silence_stopped(self.batch, self.readings.values())
        self.batch.write()
        search_text.refresh_search(self.batch, self.search)
        observe_elsewhere(self.batch, self.readings, self.here, self.twins, self.began, self.over)
        end_of_stopped(self.batch, NOT_ANSWERING, self.stopped)
        recount(self.batch, self.counted)
        record_first_readings(self.batch, self.readings.values())

    def _load_twins(self) -> dict[str, list[VmRow]]:
        """Rows on other hosts of VMs that are new here or known to be duplicate, by UUID."""
        wanted = {
            uuid
            for reading in self.readings.values()
            for uuid, vm in reading.value.listed.items()
            if uuid not in self.here[reading.host_id] and not vm.is_migration_target
        }
        wanted |= {vm_row.uuid for rows in self.here.values() for vm_row in rows.values() if vm_row.duplicate}
        return self.rows.with_uuids(wanted)

    # What is there

    def _compare(self, reading: VmReading, vm_row: VmRow, vm: VmObservation) -> None:
        twin = self._stopped_twin(vm_row, vm)
        if twin is not None:
            self._fold(reading, vm_row, twin)
            return
        seen = observed(vm)
        if seen != vm_row.seen or vm_row.gone:
            for change in changes_of(vm_row, vm):
                tell_vm(self.batch, reading.host, vm_row.id, vm.name, change)
            self.batch.update(models.Vm, vm_row.id, self._changed_columns(reading, vm_row, vm, seen))
            self.batch.topics.add(vm_row.id)
            vm_row.seen, vm_row.gone = seen, False
        if vm.definition is not None:
            self.defined.append((reading, vm_row, vm.definition, vm.saved))

    def _changed_columns(self, reading: VmReading, vm_row: VmRow, vm: VmObservation, seen: Seen) -> Row:
        """The columns that are others than before. Notes what else depends on them."""
        changes: Row = {
            name: after
            for name, before, after in zip(SEEN, vm_row.seen, seen, strict=True)
            if before != after
        }
        if vm_row.name != vm.name:
            changes["name_key"] = fold(vm.name)
            self.search.add(vm_row.id)
            self.batch.topics.add(TREE)
        before = VmState(vm_row.state)
        if vm.state is not before:
            changes["state_since"] = reading.merged.answered_at or self.batch.now
            self.counted.add(reading.host_id)
        if before.is_active and not vm.state.is_active:
            changes |= SILENT
            self.search.add(vm_row.id)
            self.stopped.add(vm_row.id)
        if vm_row.gone:
            changes["missing_since"] = None
        return changes

    def _rebooted(self, reading: VmReading) -> None:
        times = Counter(
            hint.uuid for hint in reading.merged.report.hints if hint.kind == "vm" and hint.what == "rebooted"
        )
        for uuid, count in times.items():
            vm_row = self.here[reading.host_id].get(uuid or "")
            if vm_row is not None:
                once, often = (
                    N_("VM %(name)s was rebooted."),
                    N_("VM %(name)s was rebooted %(count)s times in a row."),
                )
                change = Change("vm.rebooted", once if count == 1 else often)
                tell_vm(self.batch, reading.host, vm_row.id, vm_row.name, change, count=str(count))
                self.batch.topics.add(vm_row.id)

    def _insert(self, reading: VmReading, vm: VmObservation, *, duplicate: bool) -> VmRow:
        vm_row = VmRow(
            self.claimed.get((reading.host_id, vm.uuid)) or new_id(ObjectKind.VM),
            *reading.host,
            vm.uuid,
            observed(vm),
            duplicate,
            False,
            UNKNOWN,
            None,
            new=True,
        )
        sizes, places = self.sizes.get(reading.host_id, {}), self.places.get(reading.host_id, ())
        row = new_row(vm_row, vm, self.batch.now, sizes, places)
        self.batch.insert(models.Vm, row)
        if vm.definition is not None:
            insert_definition(self.batch, vm_row.id, vm.definition, vm.saved)
            if (reading.host_id, vm.uuid) in self.claimed:
                begin_history(self.batch, vm_row, vm)
        if not reading.merged.first:
            tell_vm(
                self.batch,
                reading.host,
                vm_row.id,
                vm.name,
                Change("vm.defined", N_("VM %(name)s appeared on host %(host)s.")),
            )
        self.here[reading.host_id][vm.uuid] = vm_row
        self.counted.add(reading.host_id)
        self.batch.topics |= {vm_row.id, TREE}
        return vm_row

    # What is not there

    def _process_unlisted(self) -> None:
        gone = [
            (item, vm_row)
            for item in self.readings.values()
            for vm_row in self.here[item.host_id].values()
            if item.value.lacks(vm_row.uuid)
        ]
        ids = [vm_row.id for _, vm_row in gone]
        deleted = deleted_by_vigie(self.batch.session, ids) if gone else set()
        unmade = not_created(self.batch.session, ids) if gone else set()
        for reading, vm_row in gone:
            self._process_one_unlisted(reading, vm_row, deleted, unmade)

    def _process_one_unlisted(
        self, reading: VmReading, vm_row: VmRow, deleted: set[str], unmade: set[str]
    ) -> None:
        """A VM that its host does not list: gone over to its twin, or missing."""
        twins = [twin for twin in self._others(vm_row) if not twin.gone]
        if vm_row.duplicate and twins:
            self._fold(reading, vm_row, twins[0])
        elif vm_row.id in deleted:
            self._remove(vm_row)
            tell_vm(self.batch, reading.host, vm_row.id, vm_row.name, DELETED)
        elif vm_row.id in unmade:
            self._remove(vm_row)
            tell_vm(self.batch, reading.host, vm_row.id, vm_row.name, GIVEN_UP)
        elif vm_row.gone:
            return
        else:
            mark_missing(self.batch, reading, vm_row)
            self.search.add(vm_row.id)
        self.counted.add(reading.host_id)
