"""What happened: the event log. Texts are kept as message ids and read in the asker's language."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import ref_of, visible
from app.access.paging import Order, mentions, page
from app.core.ids import kind_of
from app.core.inventory.changes import DEEDS
from app.core.inventory.records import EventRecord
from app.core.inventory.specs import EventQuery
from app.core.kinds import ObjectKind, Severity
from app.core.records import Page
from app.db.models import Event

SORT_KEYS = Order({"at": Event.id}, default="-at", unique=Event.id)


def list_events(ctx: Ctx, params: EventQuery) -> Page[EventRecord]:
    """Events, newest first; those of a host include its VMs, pools and networks."""
    query = visible(ctx, sa.select(Event), Event, "event.view")
    if params.target:
        of_host = kind_of(params.target) is ObjectKind.HOST
        query = query.where((Event.host_id if of_host else Event.object_id) == params.target)
    if params.severity:
        query = query.where(Event.severity.in_([item.value for item in params.severity]))
    if params.kind:
        query = query.where(Event.kind == params.kind)
    if params.q:
        searched = (Event.kind, Event.object_name, Event.host_name, Event.actor_name)
        query = query.where(mentions(searched, params.q))
    return page(ctx, query, params, SORT_KEYS, lambda rows: _records(ctx, [row for (row,) in rows]))


def events_after(ctx: Ctx, event_id: int, limit: int = 200) -> list[EventRecord]:
    """The events that followed one, oldest first; for streams that resume."""
    query = visible(ctx, sa.select(Event).where(Event.id > event_id), Event, "event.view")
    return _records(ctx, list(ctx.session.scalars(query.order_by(Event.id).limit(limit))))


def _records(ctx: Ctx, rows: Sequence[Event]) -> list[EventRecord]:
    return [
        EventRecord(
            id=row.id,
            at=row.at,
            kind=row.kind,
            severity=Severity(row.severity),
            message=ctx.say(row.message, row.params),
            target=ref_of(row.object_kind, row.object_id, row.object_name),
            host=ref_of(ObjectKind.HOST.value, row.host_id, row.host_name),
            task_id=row.task_id,
            actor=row.actor_name,
            outside=row.actor_name is None and row.kind in DEEDS,
        )
        for row in rows
    ]
