"""Move rows of VMs between hosts, and mark duplicates: a row follows the host that runs its VM.

A definition of a VM on a host that does not run it gets no row: it is a condition (`elsewhere.py`). Only a VM
that really runs on two hosts has two rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import sqlalchemy as sa

from app.core.casefold import fold
from app.core.inventory.conditions import DISK_MISSING, MAY_RUN_ELSEWHERE, NOT_ANSWERING, RUNS_TWICE
from app.core.notices import TREE
from app.core.vms.observations import VmObservation
from app.core.vms.states import VmState
from app.db import models
from app.inventory.batch import Batch, Row, StoredRow, table
from app.inventory.condition_rows import Held
from app.inventory.vms.definition_changes import Defined
from app.inventory.vms.elsewhere import about_other_host
from app.inventory.vms.events import MOVED, tell_vm
from app.inventory.vms.guest_agents import SILENT
from app.inventory.vms.readings import VmReading
from app.inventory.vms.rows import SEEN, VmRow, observed


class MovesAndDuplicates(ABC):
    """The part of a pass over the readings that decides which row a listed VM belongs to."""

    batch: Batch
    readings: Mapping[str, VmReading]
    here: dict[str, dict[str, VmRow]]  # rows of the hosts that were read, by host and UUID
    twins: dict[str, list[VmRow]]  # rows on all hosts of VMs that are new here or run on two hosts, by UUID
    defined: list[Defined]
    search: set[str]
    counted: set[str]
    began: list[Held]  # conditions that begin with this pass
    over: list[Held]  # conditions that end with it, if they held

    @abstractmethod
    def _insert(self, reading: VmReading, vm: VmObservation, *, duplicate: bool) -> VmRow:
        """Write the row of a VM that is new to the inventory, or a second one of a VM that runs on two hosts."""

    def _arrive(self, reading: VmReading, vm: VmObservation) -> None:
        """A VM that has no row on this host: new, moved here, or a second copy."""
        if vm.is_migration_target:
            return
        others = self.twins[vm.uuid]
        if any(other.moved for other in others):
            return  # it has just gone from here: this listing is the older one
        for other in others:
            if self._gives_way(reading, other, vm):
                self._move(reading, other, vm)
                return
        present = [other for other in others if not other.gone]
        if present and not vm.state.is_active:
            return  # only defined here: the row stands for the host that runs it, or that had it first
        lost = next((other for other in present if self._is_lost(other)), None)
        if lost is not None:
            before = lost.host_id, lost.host_name
            self._move(reading, lost, vm)
            self.began.append(about_other_host(MAY_RUN_ELSEWHERE, lost, before, observer=before[0]))
            return
        vm_row = self._insert(reading, vm, duplicate=bool(present))
        for other in present:
            self._mark_duplicate(vm_row, other)
        self.twins[vm.uuid].append(vm_row)

    def _is_lost(self, other: VmRow) -> bool:
        """Whether nobody knows now what the host of this row does."""
        elsewhere = self.readings.get(other.host_id)
        return not other.host_is_usable and not (
            elsewhere is not None and other.uuid in elsewhere.value.listed
        )

    def _stopped_twin(self, vm_row: VmRow, vm: VmObservation) -> VmRow | None:
        """The copy that goes on while this one, of a VM that ran on two hosts, is off."""
        if not vm_row.duplicate or vm.state.is_active:
            return None
        others = [twin for twin in self._others(vm_row) if not twin.gone]
        running = [twin for twin in others if VmState(self._latest(twin).state).is_active]
        return next(iter(running or others), None)

    def _gives_way(self, reading: VmReading, other: VmRow, vm: VmObservation) -> bool:
        """Whether the row on another host is of the VM that is listed here now."""
        elsewhere = self.readings.get(other.host_id)
        if other.gone or (elsewhere is not None and elsewhere.value.lacks(vm.uuid)):
            return True
        latest = self._latest(other)
        if not vm.state.is_active:
            return False
        if not VmState(latest.state).is_active:
            return True
        leaving = latest.state == VmState.PAUSED and (latest.state_reason or "").startswith("migrat")
        arrived = (vm.state_reason or "").startswith("migrat") and vm.state is VmState.RUNNING
        newer = (
            other.state_since is None
            or reading.merged.answered_at is None
            or other.state_since <= reading.merged.answered_at
        )
        return leaving or (arrived and newer)

    def _latest(self, vm_row: VmRow) -> VmRow:
        """The copy as its host lists it in this very batch, where it does."""
        elsewhere = self.readings.get(vm_row.host_id)
        vm = elsewhere.value.listed.get(vm_row.uuid) if elsewhere else None
        return vm_row if vm is None else vm_row.as_seen(vm)

    def _move(self, reading: VmReading, vm_row: VmRow, vm: VmObservation) -> None:
        source = (vm_row.host_id, vm_row.host_name)
        self.here.get(vm_row.host_id, {}).pop(vm_row.uuid, None)
        changes: Row = {
            **dict(zip(SEEN, observed(vm), strict=True)),
            "name_key": fold(vm.name),
            "missing_since": None,
        }
        changes["host_id"] = reading.host_id
        if not vm.state.is_active:
            changes |= SILENT
        since = (
            vm_row.state_since if vm_row.state == vm.state else reading.merged.answered_at or self.batch.now
        )
        self.batch.update(models.Vm, vm_row.id, changes | {"state_since": since})
        tell_vm(self.batch, reading.host, vm_row.id, vm.name, MOVED, source=source[1])
        vm_row.host_id, vm_row.host_name = reading.host
        vm_row.seen, vm_row.gone, vm_row.state_since, vm_row.moved = observed(vm), False, since, True
        self.here[reading.host_id][vm.uuid] = vm_row
        self.counted |= {source[0], reading.host_id}
        self.search.add(vm_row.id)
        self.batch.topics |= {vm_row.id, TREE}
        self._leave(vm_row.id)
        if vm.definition is not None:
            self.defined.append((reading, vm_row, vm.definition, vm.saved))

    def _leave(self, vm_id: str) -> None:
        """What was wrong with the VM on the host that it has left says nothing of it any more."""
        condition = table(models.Condition)
        gone = sa.delete(condition).where(
            condition.c.object_id == vm_id, condition.c.code.in_((NOT_ANSWERING, DISK_MISSING))
        )
        self.batch.session.connection().execute(gone)

    def _mark_duplicate(self, vm_row: VmRow, other: VmRow) -> None:
        for one, two in ((vm_row, other), (other, vm_row)):
            if not one.duplicate:
                self.batch.update(models.Vm, one.id, {"duplicate": True})
                self.batch.topics.add(one.id)
                one.duplicate = True
            there = two.host_id, two.host_name
            self.began.append(about_other_host(RUNS_TWICE, one, there, observer=one.host_id))

    def _clear_duplicate(self, vm_row: VmRow, subject: str, left: str) -> None:
        """`subject`: the host that the row's condition is about; `left`: name of the one that has it no more."""
        vm_row.duplicate = False
        self.batch.update(models.Vm, vm_row.id, {"duplicate": False})
        self.batch.topics.add(vm_row.id)
        there = subject, left
        self.over.append(about_other_host(RUNS_TWICE, vm_row, there, observer=vm_row.host_id))

    def _others(self, vm_row: VmRow) -> list[VmRow]:
        return [twin for twin in self.twins[vm_row.uuid] if twin.id != vm_row.id]

    def _remove(self, vm_row: VmRow) -> None:
        self.here.get(vm_row.host_id, {}).pop(vm_row.uuid, None)
        self.twins[vm_row.uuid] = self._others(vm_row)
        self.began = [held for held in self.began if held.object_id != vm_row.id]
        self.over = [held for held in self.over if held.object_id != vm_row.id]
        self.batch.delete(models.Vm, vm_row.id)
        self.batch.delete(models.Tag, vm_row.id, by="object_id")
        self.batch.delete(models.Condition, vm_row.id, by="object_id")
        self.batch.topics |= {vm_row.id, TREE}

    def _fold(self, reading: VmReading, vm_row: VmRow, twin: VmRow) -> None:
        """One of two rows is gone or off. The older row, with its history, stays and stands for the other one."""
        self.batch.write()  # what was seen of the twin in this batch must be in its row
        vm = table(models.Vm)
        query = sa.select(vm).where(vm.c.id.in_([vm_row.id, twin.id]))
        rows = {row.id: row for row in self.batch.session.execute(query)}
        if rows[vm_row.id].created_at < rows[twin.id].created_at:
            survivor, subject = vm_row, twin.host_id
            self._take_over(reading, vm_row, twin, rows[twin.id])
        else:
            survivor, subject = twin, reading.host_id
            self._remove(vm_row)
        self.twins[vm_row.uuid] = [*self._others(survivor), survivor]
        if not any(not other.gone for other in self._others(survivor)):
            self._clear_duplicate(survivor, subject, reading.merged.host_name)
        self.search.add(survivor.id)
        self.counted |= {reading.host_id, twin.host_id}
        self.batch.topics |= {survivor.id, TREE}

    def _take_over(self, reading: VmReading, vm_row: VmRow, twin: VmRow, row: StoredRow) -> None:
        """Let the row of the copy that is gone become the row of its twin, definition included."""
        definition = table(models.VmDefinition)
        connection = self.batch.session.connection()
        connection.execute(sa.delete(definition).where(definition.c.vm_id == vm_row.id))
        connection.execute(sa.update(definition).where(definition.c.vm_id == twin.id).values(vm_id=vm_row.id))
        own = {"id", "created_at", "tags", "notes", "version"}
        self.batch.update(
            models.Vm, vm_row.id, {name: row._mapping[name] for name in row._fields if name not in own}
        )
        self._remove(twin)
        self._leave(vm_row.id)
        self.here.get(vm_row.host_id, {}).pop(vm_row.uuid, None)
        vm_row.host_id, vm_row.host_name, vm_row.seen, vm_row.usage = (
            twin.host_id,
            twin.host_name,
            twin.seen,
            twin.usage,
        )
        if twin.host_id in self.here:
            self.here[twin.host_id][vm_row.uuid] = vm_row
        self.defined = [(n, vm_row if of is twin else of, d, s) for n, of, d, s in self.defined]
        there = twin.host_id, twin.host_name
        tell_vm(self.batch, there, vm_row.id, vm_row.name, MOVED, source=reading.merged.host_name)
