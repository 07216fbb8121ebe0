"""Conditions that hold of objects: how they are written and shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.access.context import Ctx
from app.core.inventory.conditions import CONDITIONS, ConditionRecord
from app.core.kinds import Severity
from app.core.notices import EVENTS
from app.db.chunks import chunks
from app.db.models import Condition, Event, Host, Vm
from app.inventory.batch import Batch, Row, table

_WEIGHT = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}
AT_ONCE = 300


@dataclass(frozen=True, slots=True)
class Held:
    """A condition of an object. `host`: id and name of the object's host; `observer`: the host that showed it, if another."""

    code: str
    object_id: str
    object_name: str
    host: tuple[str, str]
    subject: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    observer: str | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from all others."""
        return self.object_id, self.code, self.subject


def begin(session: Session, held: Collection[Held], now: datetime) -> set[str]:
    """Write conditions that did not hold before, each with its event. Returns the topics to publish."""
    if not held:
        return set()
    rows = [
        {
            "object_id": item.object_id,
            "code": item.code,
            "subject": item.subject,
            "object_kind": CONDITIONS[item.code].object_kind.value,
            "host_id": item.observer or item.host[0],
            "params": dict(item.params),
            "since": now,
        }
        for item in held
    ]
    session.execute(sa.insert(Condition), rows)
    _tell(session, held, now, began=True)
    return {EVENTS, *(item.object_id for item in held)}


def end(session: Session, held: Collection[Held], now: datetime) -> set[str]:
    """Remove conditions that hold no more, each with its event. Returns the topics to publish."""
    if not held:
        return set()
    remove(session, [item.key for item in held])
    _tell(session, held, now, began=False)
    return {EVENTS, *(item.object_id for item in held)}


def end_of_stopped(batch: Batch, code: str, vm_ids: Iterable[str]) -> None:
    """End a condition that only a running VM can have."""
    condition, vm, host = table(Condition).c, table(Vm).c, table(Host).c
    for some in chunks(vm_ids):
        query = sa.select(
            condition.object_id, vm.name, condition.subject, condition.params, host.id, host.name
        )
        query = query.join(table(Vm), vm.id == condition.object_id)
        query = query.join(table(Host), host.id == condition.host_id)
        rows = batch.session.execute(query.where(condition.object_id.in_(some), condition.code == code)).all()
        over = [Held(code, row[0], row[1], (row[4], row[5]), row[2], row[3]) for row in rows]
        batch.topics |= end(batch.session, over, batch.now)


def remove(session: Session, keys: Iterable[tuple[str, str, str]]) -> None:
    """Remove conditions (object, code, subject) without a word."""
    for some in chunks(keys, AT_ONCE):
        these = [
            sa.and_(Condition.object_id == object_id, Condition.code == code, Condition.subject == subject)
            for object_id, code, subject in some
        ]
        session.execute(
            sa.delete(Condition).where(sa.or_(*these)).execution_options(synchronize_session=False)
        )


def holds(session: Session, object_id: str, code: str) -> bool:
    """Whether an object has a condition of this kind now."""
    query = sa.select(Condition.object_id).where(Condition.object_id == object_id, Condition.code == code)
    return session.scalar(query.limit(1)) is not None


def forget(session: Session, object_id: str) -> None:
    """Remove the conditions of an object that is going itself."""
    session.execute(sa.delete(Condition).where(Condition.object_id == object_id))


def records(ctx: Ctx, object_ids: Collection[str]) -> dict[str, list[ConditionRecord]]:
    """What holds of these objects, the worst first; one query for each 300 of them."""
    found: dict[str, list[ConditionRecord]] = defaultdict(list)
    for some in chunks(object_ids, AT_ONCE):
        for row in ctx.session.scalars(sa.select(Condition).where(Condition.object_id.in_(some))):
            if row.code in CONDITIONS:
                found[row.object_id].append(_record(ctx, row))
    for item in found.values():
        item.sort(key=lambda record: (_WEIGHT[record.severity], record.since, record.text))
    return found


def _record(ctx: Ctx, row: Condition) -> ConditionRecord:
    kind = CONDITIONS[row.code]
    return ConditionRecord(
        code=kind.code,
        severity=kind.severity,
        title=ctx.translate(kind.title),
        text=ctx.say(kind.text, row.params),
        hint=ctx.say(kind.hint, row.params),
        since=row.since,
        params={name: str(value) for name, value in row.params.items()},
    )


def _tell(session: Session, held: Collection[Held], now: datetime, *, began: bool) -> None:
    events: list[Row] = []
    for item in held:
        kind = CONDITIONS[item.code]
        event = f"{kind.object_kind.value}.{kind.code}"
        events.append(
            {
                "at": now,
                "kind": event if began else f"{event}_ended",
                "severity": (kind.severity if began else Severity.INFO).value,
                "message": kind.began if began else kind.ended,
                "params": {**item.params, "name": item.object_name, "host": item.host[1]},
                "object_kind": kind.object_kind.value,
                "object_id": item.object_id,
                "object_name": item.object_name,
                "host_id": item.host[0],
                "host_name": item.host[1],
            }
        )
    session.execute(sa.insert(Event), events)
