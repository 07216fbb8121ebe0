"""Which copy of a VM counts: rows follow the host that runs it, and what other hosts have of it is a condition.

A definition of a VM on a host that does not run it gets no row. Only a VM that really runs on two hosts has two rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from app.core.casefold import fold
from app.core.inventory.conditions import DISK_MISSING, MAY_RUN_ELSEWHERE, NOT_ANSWERING, RUNS_TWICE
from app.core.notices import TREE
from app.core.vms.observations import VmObservation
from app.core.vms.states import VmState
from app.db import models
from app.inventory.batch import Batch, table
from app.inventory.conditions import Held
from app.inventory.merged_report import News
from app.inventory.vms.definition_changes import Defined
from app.inventory.vms.elsewhere import about_other_host
from app.inventory.vms.events import MOVED, tell_vm
from app.inventory.vms.guests import SILENT
from app.inventory.vms.rows import SEEN, Copy, observed


class Placing(ABC):
    """The part of a pass over the news that decides which row a listed VM belongs to."""

    batch: Batch
    news: Mapping[str, News]
    here: dict[str, dict[str, Copy]]  # rows of the hosts in the news, by host and UUID
    twins: dict[str, list[Copy]]  # rows on all hosts of VMs that are new here or run on two hosts, by UUID
    defined: list[Defined]
    search: set[str]
    counted: set[str]
    began: list[Held]  # conditions that begin with this pass
    over: list[Held]  # conditions that end with it, if they held

    @abstractmethod
    def _insert(self, news: News, vm: VmObservation, *, duplicate: bool) -> Copy:
        """Write the row of a VM that is new to the inventory, or a second one of a VM that runs on two hosts."""

    def _arrive(self, news: News, vm: VmObservation) -> None:
        """A VM that has no row on this host: new, moved here, or a second copy."""
        if vm.is_migration_target:
            return
        others = self.twins[vm.uuid]
        if any(other.moved for other in others):
            return  # it has just gone from here: this listing is the older one
        for other in others:
            if self._gives_way(news, other, vm):
                self._move(news, other, vm)
                return
        present = [other for other in others if not other.gone]
        if present and not vm.state.is_active:
            return  # only defined here: the row stands for the host that runs it, or that had it first
        lost = next((other for other in present if self._is_lost(other)), None)
        if lost is not None:
            before = lost.host_id, lost.host_name
            self._move(news, lost, vm)
            self.began.append(about_other_host(MAY_RUN_ELSEWHERE, lost, before, observer=before[0]))
            return
        copy = self._insert(news, vm, duplicate=bool(present))
        for other in present:
            self._mark_duplicate(copy, other)
        self.twins[vm.uuid].append(copy)

    def _is_lost(self, other: Copy) -> bool:
        """Whether nobody knows now what the host of this row does."""
        elsewhere = self.news.get(other.host_id)
        return not other.host_is_usable and not (elsewhere is not None and other.uuid in elsewhere.listed)

    def _stopped_twin(self, copy: Copy, vm: VmObservation) -> Copy | None:
        """The copy that goes on while this one, of a VM that ran on two hosts, is off."""
        if not copy.duplicate or vm.state.is_active:
            return None
        others = [twin for twin in self._others(copy) if not twin.gone]
        running = [twin for twin in others if VmState(self._latest(twin).state).is_active]
        return next(iter(running or others), None)

    def _gives_way(self, news: News, other: Copy, vm: VmObservation) -> bool:
        """Whether the row on another host is of the VM that is listed here now."""
        elsewhere = self.news.get(other.host_id)
        if other.gone or (elsewhere is not None and elsewhere.lacks(vm.uuid)):
            return True
        latest = self._latest(other)
        if not vm.state.is_active:
            return False
        if not VmState(latest.state).is_active:
            return True
        leaving = latest.state == VmState.PAUSED and (latest.state_reason or "").startswith("migrat")
        arrived = (vm.state_reason or "").startswith("migrat") and vm.state is VmState.RUNNING
        newer = other.state_since is None or news.seen_at is None or other.state_since <= news.seen_at
        return leaving or (arrived and newer)

    def _latest(self, copy: Copy) -> Copy:
        """The copy as its host lists it in this very batch, where it does."""
        elsewhere = self.news.get(copy.host_id)
        vm = elsewhere.listed.get(copy.uuid) if elsewhere else None
        return copy if vm is None else copy.as_seen(vm)

    def _move(self, news: News, copy: Copy, vm: VmObservation) -> None:
        source = (copy.host_id, copy.host_name)
        self.here.get(copy.host_id, {}).pop(copy.uuid, None)
        changes = {**dict(zip(SEEN, observed(vm), strict=True)), "name_key": fold(vm.name), "seen_at": None}
        changes["host_id"] = news.host_id
        if not vm.state.is_active:
            changes |= SILENT
        since = copy.state_since if copy.state == vm.state else news.seen_at or self.batch.now
        self.batch.update(models.Vm, copy.id, changes | {"state_since": since})
        tell_vm(self.batch, news, copy.id, vm.name, MOVED, source=source[1])
        copy.host_id, copy.host_name = news.host
        copy.seen, copy.gone, copy.state_since, copy.moved = observed(vm), False, since, True
        self.here[news.host_id][vm.uuid] = copy
        self.counted |= {source[0], news.host_id}
        self.search.add(copy.id)
        self.batch.topics |= {copy.id, TREE}
        self._leave(copy.id)
        if vm.definition is not None:
            self.defined.append((news, copy, vm.definition, vm.saved))

    def _leave(self, vm_id: str) -> None:
        """What was wrong with the VM on the host that it has left says nothing of it any more."""
        condition = table(models.Condition)
        gone = sa.delete(condition).where(
            condition.c.object_id == vm_id, condition.c.code.in_((NOT_ANSWERING, DISK_MISSING))
        )
        self.batch.session.connection().execute(gone)

    def _mark_duplicate(self, copy: Copy, other: Copy) -> None:
        for one, two in ((copy, other), (other, copy)):
            if not one.duplicate:
                self.batch.update(models.Vm, one.id, {"duplicate": True})
                self.batch.topics.add(one.id)
                one.duplicate = True
            there = two.host_id, two.host_name
            self.began.append(about_other_host(RUNS_TWICE, one, there, observer=one.host_id))

    def _clear_duplicate(self, copy: Copy, subject: str, left: str) -> None:
        """`subject`: the host that the row's condition is about; `left`: name of the one that has it no more."""
        copy.duplicate = False
        self.batch.update(models.Vm, copy.id, {"duplicate": False})
        self.batch.topics.add(copy.id)
        there = subject, left
        self.over.append(about_other_host(RUNS_TWICE, copy, there, observer=copy.host_id))

    def _others(self, copy: Copy) -> list[Copy]:
        return [twin for twin in self.twins[copy.uuid] if twin.id != copy.id]

    def _remove(self, copy: Copy) -> None:
        self.here.get(copy.host_id, {}).pop(copy.uuid, None)
        self.twins[copy.uuid] = self._others(copy)
        self.began = [held for held in self.began if held.object_id != copy.id]
        self.over = [held for held in self.over if held.object_id != copy.id]
        self.batch.delete(models.Vm, copy.id)
        self.batch.delete(models.Tag, copy.id, by="object_id")
        self.batch.delete(models.Condition, copy.id, by="object_id")
        self.batch.topics |= {copy.id, TREE}

    def _fold(self, news: News, copy: Copy, twin: Copy) -> None:
        """One of two copies is gone or off. The older row, with its history, stays and stands for the other one."""
        self.batch.write()  # what was seen of the twin in this batch must be in its row
        vm = table(models.Vm)
        query = sa.select(vm).where(vm.c.id.in_([copy.id, twin.id]))
        rows = {row.id: row for row in self.batch.session.execute(query)}
        if rows[copy.id].created_at < rows[twin.id].created_at:
            survivor, subject = copy, twin.host_id
            self._take_over(news, copy, twin, rows[twin.id])
        else:
            survivor, subject = twin, news.host_id
            self._remove(copy)
        self.twins[copy.uuid] = [*self._others(survivor), survivor]
        if not any(not each.gone for each in self._others(survivor)):
            self._clear_duplicate(survivor, subject, news.host_name)
        self.search.add(survivor.id)
        self.counted |= {news.host_id, twin.host_id}
        self.batch.topics |= {survivor.id, TREE}

    def _take_over(self, news: News, copy: Copy, twin: Copy, row: sa.Row[Any]) -> None:
        """Let the row of the copy that is gone become the row of its twin, definition included."""
        definition = table(models.VmDefinition)
        connection = self.batch.session.connection()
        connection.execute(sa.delete(definition).where(definition.c.vm_id == copy.id))
        connection.execute(sa.update(definition).where(definition.c.vm_id == twin.id).values(vm_id=copy.id))
        own = {"id", "created_at", "tags", "notes", "version"}
        self.batch.update(
            models.Vm, copy.id, {name: row._mapping[name] for name in row._fields if name not in own}
        )
        self._remove(twin)
        self._leave(copy.id)
        self.here.get(copy.host_id, {}).pop(copy.uuid, None)
        copy.host_id, copy.host_name, copy.seen, copy.usage = (
            twin.host_id,
            twin.host_name,
            twin.seen,
            twin.usage,
        )
        if twin.host_id in self.here:
            self.here[twin.host_id][copy.uuid] = copy
        self.defined = [(n, copy if of is twin else of, d, s) for n, of, d, s in self.defined]
        there = News(twin.host_id, twin.host_name)
        tell_vm(self.batch, there, copy.id, copy.name, MOVED, source=news.host_name)
