"""Conditions as readings of hosts show them: what began and what is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from app.core.inventory.conditions import CONDITIONS
from app.core.kinds import ObjectKind
from app.db import models
from app.inventory import conditions
from app.inventory.batch import Batch, chunks, table
from app.inventory.conditions import Held
from app.inventory.merged_report import News

_MODELS: Mapping[ObjectKind, type[models.Base]] = {ObjectKind.VM: models.Vm, ObjectKind.POOL: models.Pool}


def observe_conditions(batch: Batch, news: Iterable[News]) -> None:
    """Compare what holds on the hosts with what held before, and write the difference.

    A reading tells, of each code that it looked for, all objects of its host for which it holds.
    """
    told = {each.host_id: each for each in news if each.conditions}
    if not told:
        return
    batch.write()  # what is new in this batch must have its row
    now: dict[tuple[str, str, str], Held] = {}
    for each, object_id, name, code, subject, params in _known(batch, told):
        held = Held(code, object_id, name, each.host, subject, params)
        now[held.key] = held
    before = _before(batch, told)
    over = [held for key, held in before.items() if key not in now]
    began = [held for key, held in now.items() if key not in before]
    batch.topics |= conditions.end(batch.session, over, batch.now)
    batch.topics |= conditions.begin(batch.session, began, batch.now)


def end_of_stopped(batch: Batch, code: str, vm_ids: Iterable[str]) -> None:
    """End a condition that only a running VM can have."""
    condition, vm, host = table(models.Condition).c, table(models.Vm).c, table(models.Host).c
    for some in chunks(vm_ids):
        query = sa.select(
            condition.object_id, vm.name, condition.subject, condition.params, host.id, host.name
        )
        query = query.join(table(models.Vm), vm.id == condition.object_id)
        query = query.join(table(models.Host), host.id == condition.host_id)
        rows = batch.session.execute(query.where(condition.object_id.in_(some), condition.code == code)).all()
        over = [Held(code, row[0], row[1], (row[4], row[5]), row[2], row[3]) for row in rows]
        batch.topics |= conditions.end(batch.session, over, batch.now)


def _known(
    batch: Batch, told: Mapping[str, News]
) -> Iterable[tuple[News, str, str, str, str, dict[str, str]]]:
    """What was observed, with the objects that it was observed of; those that have no row are left out."""
    wanted: dict[ObjectKind, set[str]] = {}
    for news in told.values():
        for code, observed in news.conditions.items():
            wanted.setdefault(CONDITIONS[code].object_kind, set()).update(each.uuid for each in observed)
    rows: dict[tuple[ObjectKind, str, str], tuple[str, str]] = {}
    for kind, uuids in wanted.items():
        column = table(_MODELS[kind]).c
        for some in chunks(uuids):
            query = sa.select(column.id, column.name, column.host_id, column.uuid)
            query = query.where(column.uuid.in_(some), column.host_id.in_(list(told)))
            for object_id, name, host_id, uuid in batch.session.execute(query):
                rows[kind, host_id, uuid] = object_id, name
    for news in told.values():
        for code, observed in news.conditions.items():
            for each in observed:
                row = rows.get((CONDITIONS[code].object_kind, news.host_id, each.uuid))
                if row is not None:
                    yield news, *row, code, each.subject, each.params


def _before(batch: Batch, told: Mapping[str, News]) -> dict[tuple[str, str, str], Held]:
    """What held so far of the codes that each host's reading looked for."""
    condition = table(models.Condition)
    codes = {code for news in told.values() for code in news.conditions}
    known: sa.Select[Any] = sa.select(condition).where(
        condition.c.host_id.in_(list(told)), condition.c.code.in_(codes)
    )
    rows = [row for row in batch.session.execute(known).all() if row.code in told[row.host_id].conditions]
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
            told[row.host_id].host,
            row.subject,
            row.params,
        )
        for row in rows
    ]
    return {held.key: held for held in found}
