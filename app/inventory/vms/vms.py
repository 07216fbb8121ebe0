"""VMs: which rows the listings of hosts speak of, what changed in them, and which copy counts.

A VM is known by its UUID, its host is an attribute. During a live migration two hosts list it: the incoming
copy is ignored until it runs, then the row moves. Two copies that both stay are two rows, marked duplicate.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from app.core.casefold import fold
from app.core.ids import new_id
from app.core.inventory.conditions import NOT_ANSWERING
from app.core.kinds import ObjectKind, Severity
from app.core.messages import N_
from app.core.notices import TREE
from app.core.vms.observations import VmObservation
from app.core.vms.states import VmState
from app.db import models
from app.inventory.batch import Batch, Row
from app.inventory.identity_claims import claimed_ids, not_created
from app.inventory.merged_report import News
from app.inventory.observed_conditions import end_of_stopped
from app.inventory.usage import COLUMNS as USAGE
from app.inventory.usage import UNKNOWN, rounded
from app.inventory.vms import definitions
from app.inventory.vms.arrivals import begin_history, new_row
from app.inventory.vms.counts import recount, tell_first_readings
from app.inventory.vms.definition_changes import insert_definition, only_saved, write_definitions
from app.inventory.vms.deletions import departing
from app.inventory.vms.elsewhere import observe_elsewhere
from app.inventory.vms.events import DELETED, GIVEN_UP, Change, state_change, tell_vm
from app.inventory.vms.guests import SILENT, observe_guests, silence_stopped
from app.inventory.vms.placement import Placing
from app.inventory.vms.rows import SEEN, Copy, load_copies, load_twins, observed


def observe_vms(batch: Batch, news: dict[str, News]) -> None:
    """Write what the hosts' listings say of their VMs."""
    spoken = {
        host_id: each
        for host_id, each in news.items()
        if each.complete or each.listed or each.gone or each.saved or each.guests or each.vm_usage is not None
    }
    if spoken:
        _Mirror(batch, spoken).run()


class _Mirror(Placing):
    """One pass over the news of several hosts. First what is there, then what is not."""

    def __init__(self, batch: Batch, news: dict[str, News]) -> None:
        self.batch = batch
        self.news = news
        self.here = load_copies(batch.session, news)
        self.twins = self._load_twins()
        self.defined = []
        self.began, self.over = [], []
        defining = [key for key, each in news.items() if any(vm.definition for vm in each.listed.values())]
        self.sizes = definitions.volume_sizes(batch.session, defining)
        self.places = definitions.pool_places(batch.session, defining)
        new = {key for key, each in news.items() if each.listed.keys() - self.here[key].keys()}
        self.claimed = claimed_ids(batch.session, new) if new else {}
        self.search = set()  # rows whose search text may be another now
        self.stopped: set[str] = set()  # rows that ran before this batch, and do not
        self.counted = set()  # hosts whose number of VMs may be another now

    def run(self) -> None:
        """Compare and write."""
        for each in self.news.values():
            copies = self.here[each.host_id]
            for uuid, vm in each.listed.items():
                copy = copies.get(uuid)
                if copy is None:
                    self._arrive(each, vm)
                elif not vm.is_migration_target:
                    self._compare(each, copy, vm)
        for each in self.news.values():
            self._usage(each)
        self._departures()
        for each in self.news.values():
            self._rebooted(each)
        self.defined += only_saved(
            self.batch.session, [(each, self.here[each.host_id]) for each in self.news.values()]
        )
        self.search |= write_definitions(self.batch, self.defined, self.sizes, self.places)
        told = [(each, self.here[each.host_id]) for each in self.news.values()]
        self.search |= observe_guests(self.batch, told)
        self.search |= silence_stopped(self.batch, self.news.values())
        self.batch.write()
        definitions.refresh_search(self.batch, self.search)
        observe_elsewhere(self.batch, self.news, self.here, self.twins, self.began, self.over)
        end_of_stopped(self.batch, NOT_ANSWERING, self.stopped)
        recount(self.batch, self.counted)
        tell_first_readings(self.batch, self.news.values())

    def _load_twins(self) -> dict[str, list[Copy]]:
        """Rows on other hosts of VMs that are new here or known to be duplicate, by UUID."""
        wanted = {
            uuid
            for each in self.news.values()
            for uuid, vm in each.listed.items()
            if uuid not in self.here[each.host_id] and not vm.is_migration_target
        }
        wanted |= {copy.uuid for copies in self.here.values() for copy in copies.values() if copy.duplicate}
        return load_twins(self.batch.session, wanted, self.here)

    # What is there

    def _compare(self, news: News, copy: Copy, vm: VmObservation) -> None:
        twin = self._stopped_twin(copy, vm)
        if twin is not None:
            self._fold(news, copy, twin)
            return
        seen = observed(vm)
        if seen != copy.seen or copy.gone:
            self._changed(news, copy, vm, seen)
        if vm.definition is not None:
            self.defined.append((news, copy, vm.definition, vm.saved))

    def _changed(self, news: News, copy: Copy, vm: VmObservation, seen: tuple[Any, ...]) -> None:
        changes: Row = {
            name: after for name, before, after in zip(SEEN, copy.seen, seen, strict=True) if before != after
        }
        if copy.name != vm.name:
            changes["name_key"] = fold(vm.name)
            tell_vm(
                self.batch,
                news,
                copy.id,
                vm.name,
                Change("vm.renamed", N_("VM %(old)s was renamed to %(name)s.")),
                old=copy.name,
            )
            self.search.add(copy.id)
            self.batch.topics.add(TREE)
        before = VmState(copy.state)
        if vm.state is not before:
            changes["state_since"] = news.seen_at or self.batch.now
            self.counted.add(news.host_id)
        change = state_change(before, vm.state, vm.state_reason)
        if change and vm.state is not before:
            tell_vm(self.batch, news, copy.id, vm.name, change)
        elif vm.state.is_active and copy.domain_id not in (None, vm.domain_id):
            again = Change("vm.started", N_("VM %(name)s was stopped and started again."))
            tell_vm(self.batch, news, copy.id, vm.name, again)
        if vm.autostart != copy.autostart and before is not VmState.MISSING:
            on, off = (
                N_("VM %(name)s starts with its host now."),
                N_("VM %(name)s does not start with its host any more."),
            )
            tell_vm(self.batch, news, copy.id, vm.name, Change("vm.autostart", on if vm.autostart else off))
        if before.is_active and not vm.state.is_active:
            changes |= SILENT
            self.search.add(copy.id)
            self.stopped.add(copy.id)
        if copy.gone:
            changes["seen_at"] = None
            copy.gone = False
        copy.seen = seen
        self.batch.update(models.Vm, copy.id, changes)
        self.batch.topics.add(copy.id)

    def _usage(self, news: News) -> None:
        if news.vm_usage is None:
            return
        for uuid, copy in self.here[news.host_id].items():
            usage = news.vm_usage.get(uuid)
            wanted = rounded(usage) if usage is not None else UNKNOWN
            if wanted != copy.usage:
                copy.usage = wanted
                self.batch.update(models.Vm, copy.id, dict(zip(USAGE, wanted, strict=True)))
                self.batch.topics.add(copy.id)

    def _rebooted(self, news: News) -> None:
        times = Counter(hint.uuid for hint in news.hints if hint.kind == "vm" and hint.what == "rebooted")
        for uuid, count in times.items():
            copy = self.here[news.host_id].get(uuid or "")
            if copy is not None:
                once, often = (
                    N_("VM %(name)s was rebooted."),
                    N_("VM %(name)s was rebooted %(count)s times in a row."),
                )
                change = Change("vm.rebooted", once if count == 1 else often)
                tell_vm(self.batch, news, copy.id, copy.name, change, count=str(count))
                self.batch.topics.add(copy.id)

    def _insert(self, news: News, vm: VmObservation, *, duplicate: bool) -> Copy:
        copy = Copy(
            self.claimed.get((news.host_id, vm.uuid)) or new_id(ObjectKind.VM),
            *news.host,
            vm.uuid,
            observed(vm),
            duplicate,
            False,
            UNKNOWN,
            None,
            new=True,
        )
        sizes, places = self.sizes.get(news.host_id, {}), self.places.get(news.host_id, ())
        row = new_row(copy, vm, self.batch.now, sizes, places)
        self.batch.insert(models.Vm, row)
        if vm.definition is not None:
            insert_definition(self.batch, copy.id, vm.definition, vm.saved)
            if (news.host_id, vm.uuid) in self.claimed:
                begin_history(self.batch, copy, vm)
        if not news.first:
            tell_vm(
                self.batch,
                news,
                copy.id,
                vm.name,
                Change("vm.defined", N_("VM %(name)s appeared on host %(host)s.")),
            )
        self.here[news.host_id][vm.uuid] = copy
        self.counted.add(news.host_id)
        self.batch.topics |= {copy.id, TREE}
        return copy

    # What is not there

    def _departures(self) -> None:
        gone = [
            (each, copy)
            for each in self.news.values()
            for copy in self.here[each.host_id].values()
            if each.lacks(copy.uuid)
        ]
        ids = [copy.id for _, copy in gone]
        deleted = departing(self.batch.session, ids) if gone else set()
        unmade = not_created(self.batch.session, ids) if gone else set()
        for news, copy in gone:
            self._depart(news, copy, deleted, unmade)

    def _depart(self, news: News, copy: Copy, deleted: set[str], unmade: set[str]) -> None:
        """A VM that its host does not list: gone over to its twin, or missing."""
        twins = [twin for twin in self._others(copy) if not twin.gone]
        if copy.duplicate and twins:
            self._fold(news, copy, twins[0])
        elif copy.id in deleted:
            self._remove(copy)
            tell_vm(self.batch, news, copy.id, copy.name, DELETED)
        elif copy.id in unmade:
            self._remove(copy)
            tell_vm(self.batch, news, copy.id, copy.name, GIVEN_UP)
        elif copy.gone:
            return
        else:
            self._miss(news, copy)
        self.counted.add(news.host_id)

    def _miss(self, news: News, copy: Copy) -> None:
        since = news.seen_at or self.batch.now
        changes: Row = {"state": VmState.MISSING.value, "state_reason": None, "domain_id": None}
        changes |= {"seen_at": since, "state_since": since, **dict.fromkeys(USAGE), **SILENT}
        self.batch.update(models.Vm, copy.id, changes)
        self.batch.delete(models.Condition, copy.id, by="object_id")
        self.search.add(copy.id)
        self.batch.topics |= {copy.id, TREE}
        if news.hinted(copy.uuid, "stopped", "migrat"):
            change = Change("vm.stopped", N_("VM %(name)s left host %(host)s by migration."))
        elif not copy.persistent:
            # It may also have gone to another host while this one was lost: its row stays for a while.
            text = N_("VM %(name)s ended; it was transient, so host %(host)s has forgotten it.")
            change = Change("vm.ended", text)
        else:
            text = N_("VM %(name)s is missing: host %(host)s does not list it any more.")
            change = Change("vm.undefined", text, Severity.WARNING)
        tell_vm(self.batch, news, copy.id, copy.name, change)
        copy.gone = True
