"""Conditions as readings of hosts show them: QEMU processes that do not answer, files and directories that are gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa

from app.core.inventory.conditions import CONDITIONS as KINDS
from app.core.inventory.conditions import ObservedCondition
from app.core.inventory.reports import Hint, Parts
from app.core.kinds import ObjectKind
from app.db import models
from app.db.chunks import chunks
from app.hypervisor import Host
from app.inventory import condition_rows
from app.inventory.batch import Batch, table
from app.inventory.collectors.collector import Collector, HostMemory, Lane, Load, Newest, Poll
from app.inventory.collectors.condition_watch import LOOK_AGAIN_S, ConditionWatch
from app.inventory.collectors.storage import STORAGE
from app.inventory.collectors.usage import USAGE
from app.inventory.collectors.vms import STATES, VMS
from app.inventory.condition_rows import Held
from app.inventory.merged_report import Reading

FILES_EVERY_S = 25.0
FILES_PER_S = 20.0  # hosts whose files are looked at: in a large fleet less often
Observed = Mapping[
    str, tuple[ObservedCondition, ...]
]  # by code that was looked for: all that hold on the host
_MODELS: Mapping[ObjectKind, type[models.Base]] = {ObjectKind.VM: models.Vm, ObjectKind.POOL: models.Pool}


def check_files(memory: HostMemory, host: Host) -> Parts:
    """Files of disks and directories of pools: what is gone or cannot be written."""
    observed = memory.of(ConditionWatch).files(host)
    return CONDITIONS.part(observed) if observed else {}


def files_s(load: Load) -> float:
    """Seconds between two looks at the files of a host."""
    return max(FILES_EVERY_S, load.hosts / FILES_PER_S) * load.spread


def first_files_s(load: Load) -> float:
    """Seconds from a full reading to the first look at files."""
    return 2.0 + load.soon * max(FILES_EVERY_S / 5, load.hosts / FILES_PER_S)


FILES = Poll("files", Lane.SLOW, slack_s=5.0, read=check_files, every_s=files_s, first_s=first_files_s)


class ConditionsCollector(Collector[Observed]):
    """Begins and ends conditions of VMs and pools."""

    name = "conditions"
    polls = (FILES,)

    def derive(self, memory: HostMemory, parts: Parts, hints: Sequence[Hint]) -> Parts:
        """Learn what to look for; tell which QEMU processes gave no statistics."""
        watch, vms, storage = memory.of(ConditionWatch), VMS.of(parts), STORAGE.of(parts)
        if vms is not None:
            watch.learn(vms.listed.values(), complete=vms.is_full)
            for uuid in vms.gone:
                watch.forget(uuid)
        if storage is not None and storage.pools is not None:
            watch.learn_pools(storage.pools)
        usage = USAGE.of(parts)
        silent = watch.silent(usage.sample) if usage is not None and usage.sample is not None else {}
        return self.part(silent) if silent else {}

    def reconnected(self, memory: HostMemory) -> None:
        """Tell all again."""
        memory.of(ConditionWatch).forget_reported()

    def wanted(self, memory: HostMemory, now: float) -> Mapping[str, float]:
        """Statistics again at the first sign of a hang; files later when a look at them hung."""
        watch = memory.of(ConditionWatch)
        wanted = {STATES.name: now + LOOK_AGAIN_S} if watch.poll_soon else {}
        if watch.files_hung_until > now:
            wanted[FILES.name] = watch.files_hung_until
        return wanted

    def admit(self, value: Observed, newest: Newest, began_s: float) -> Observed | None:
        """Each code is looked for by one poll: readings come in order."""
        return value

    def merge(self, earlier: Observed, later: Observed) -> Observed:
        """Of each code what was seen last."""
        return {**earlier, **later}

    def write(self, batch: Batch, readings: Sequence[Reading[Observed]]) -> None:
        """Compare what holds on the hosts with what held before, and write the difference."""
        batch.write()  # what is new in this batch must have its row
        reported = {reading.host_id: reading for reading in readings}
        now: dict[tuple[str, str, str], Held] = {}
        for item, object_id, name, code, subject, params in _known(batch, reported):
            held = Held(code, object_id, name, item.host, subject, params)
            now[held.key] = held
        before = _before(batch, reported)
        over = [held for key, held in before.items() if key not in now]
        began = [held for key, held in now.items() if key not in before]
        batch.topics |= condition_rows.end(batch.session, over, batch.now)
        batch.topics |= condition_rows.begin(batch.session, began, batch.now)


def _known(
    batch: Batch, reported: Mapping[str, Reading[Observed]]
) -> Iterable[tuple[Reading[Observed], str, str, str, str, dict[str, str]]]:
    """What was observed, with the objects that it was observed of; those that have no row are left out."""
    wanted: dict[ObjectKind, set[str]] = {}
    for reading in reported.values():
        for code, observed in reading.value.items():
            wanted.setdefault(KINDS[code].object_kind, set()).update(item.uuid for item in observed)
    rows: dict[tuple[ObjectKind, str, str], tuple[str, str]] = {}
    for kind, uuids in wanted.items():
        column = table(_MODELS[kind]).c
        for some in chunks(uuids):
            query = sa.select(column.id, column.name, column.host_id, column.uuid)
            query = query.where(column.uuid.in_(some), column.host_id.in_(list(reported)))
            for object_id, name, host_id, uuid in batch.session.execute(query):
                rows[kind, host_id, uuid] = object_id, name
    for reading in reported.values():
        for code, observed in reading.value.items():
            for item in observed:
                row = rows.get((KINDS[code].object_kind, reading.host_id, item.uuid))
                if row is not None:
                    yield reading, *row, code, item.subject, item.params


def _before(batch: Batch, reported: Mapping[str, Reading[Observed]]) -> dict[tuple[str, str, str], Held]:
    """What held so far of the codes that each host's reading looked for."""
    condition = table(models.Condition)
    codes = {code for reading in reported.values() for code in reading.value}
    known = sa.select(condition).where(condition.c.host_id.in_(list(reported)), condition.c.code.in_(codes))
    rows = [row for row in batch.session.execute(known).all() if row.code in reported[row.host_id].value]
    names: dict[str, str] = {}
    for kind, model in _MODELS.items():
        column = table(model).c
        for some in chunks({row.object_id for row in rows if row.object_kind == kind.value}):
            query = sa.select(column.id, column.name).where(column.id.in_(some))
            names |= {row.id: row.name for row in batch.session.execute(query)}
    found = [
        Held(
            row.code,
            row.object_id,
            names.get(row.object_id, ""),
            reported[row.host_id].host,
            row.subject,
            row.params,
        )
        for row in rows
    ]
    return {held.key: held for held in found}


CONDITIONS = ConditionsCollector()
