"""What hosts have of VMs that belong to other hosts: written as conditions of those VMs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa

from app.core.inventory.conditions import DEFINED_ELSEWHERE, MAY_RUN_ELSEWHERE, RUNS_TWICE
from app.db import models
from app.db.chunks import chunks
from app.inventory import condition_rows
from app.inventory.batch import Batch, table
from app.inventory.condition_rows import Held
from app.inventory.vms.readings import VmReading
from app.inventory.vms.rows import VmRow

Key = tuple[str, str, str]


def about_other_host(code: str, vm_row: VmRow, there: tuple[str, str], *, observer: str) -> Held:
    """A condition of a VM about another host (id and name); `observer`: the host whose readings tell whether it holds."""
    return Held(
        code,
        vm_row.id,
        vm_row.name,
        (vm_row.host_id, vm_row.host_name),
        there[0],
        {"other": there[1]},
        observer,
    )


def observe_elsewhere(
    batch: Batch,
    readings: Mapping[str, VmReading],
    here: Mapping[str, Mapping[str, VmRow]],
    twins: Mapping[str, Sequence[VmRow]],
    began: Collection[Held],
    over: Collection[Held],
) -> None:
    """Write what began and what is over of conditions about other hosts; all rows must be written.

    `began` and `over`: what the pass over the readings found out itself.
    """
    now = {held.key: held for held in began} | _defined(readings, here, twins)
    held_before = _observed_on(batch, readings)
    ended = {held.key: held for held in over} | {
        key: held
        for key, (held, uuid) in held_before.items()
        if key not in now and _speaks(readings, held, uuid)
    }
    known = set(held_before) | _known_twice(batch, {held.object_id for held in (*began, *over)})
    batch.topics |= condition_rows.end(
        batch.session, [held for key, held in ended.items() if key in known], batch.now
    )
    batch.topics |= condition_rows.begin(
        batch.session, [held for key, held in now.items() if key not in known], batch.now
    )


def _defined(
    readings: Mapping[str, VmReading],
    here: Mapping[str, Mapping[str, VmRow]],
    twins: Mapping[str, Sequence[VmRow]],
) -> dict[Key, Held]:
    """VMs that hosts list as off, and that have their row on another host."""
    found: dict[Key, Held] = {}
    for reading in readings.values():
        for uuid, vm in reading.value.listed.items():
            if uuid in here[reading.host_id] or vm.is_migration_target or vm.state.is_active:
                continue
            row = next((twin for twin in twins.get(uuid, ()) if not twin.gone), None)
            if row is not None and row.host_id != reading.host_id:
                held = about_other_host(DEFINED_ELSEWHERE, row, reading.host, observer=reading.host_id)
                found[held.key] = held
    return found


def _speaks(readings: Mapping[str, VmReading], held: Held, uuid: str) -> bool:
    """Whether the reading of the host that a condition is about says anything of the VM."""
    return readings[held.subject].value.speaks_of(uuid)


def _observed_on(batch: Batch, readings: Mapping[str, VmReading]) -> dict[Key, tuple[Held, str]]:
    """What held so far because of what these hosts have, each with the VM's UUID."""
    condition, vm, host = table(models.Condition), table(models.Vm), table(models.Host)
    query = sa.select(condition, vm.c.uuid, vm.c.name, host.c.id.label("of"), host.c.name.label("at"))
    query = query.join(vm, vm.c.id == condition.c.object_id).join(host, host.c.id == vm.c.host_id)
    codes = (DEFINED_ELSEWHERE, MAY_RUN_ELSEWHERE)
    found: dict[Key, tuple[Held, str]] = {}
    for some in chunks(readings):
        rows = batch.session.execute(query.where(condition.c.host_id.in_(some), condition.c.code.in_(codes)))
        for row in rows:
            held = Held(
                row.code, row.object_id, row.name, (row.of, row.at), row.subject, row.params, row.host_id
            )
            found[held.key] = held, row.uuid
    return found


def _known_twice(batch: Batch, vm_ids: Collection[str]) -> set[Key]:
    condition = table(models.Condition).c
    found: set[Key] = set()
    for some in chunks(vm_ids):
        query = sa.select(condition.object_id, condition.code, condition.subject)
        query = query.where(
            condition.object_id.in_(some), condition.code.in_((RUNS_TWICE, MAY_RUN_ELSEWHERE))
        )
        found.update((row[0], row[1], row[2]) for row in batch.session.execute(query))
    return found
