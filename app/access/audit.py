"""Who asked for what, and how it ended. Details name fields and ids, never secrets."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
import structlog

from app.access.context import Actor, Ctx, Services
from app.access.find import name_of, ref_of
from app.access.paging import Order, mentions, page
from app.core.access.records import AuditRecord
from app.core.access.specs import AuditQuery
from app.core.errors import HostError, Unavailable, VigieError
from app.core.ids import kind_of
from app.core.records import Page, Ref
from app.db.models import Audit

log = structlog.get_logger(__name__)
REFUSED_READ_EVERY_S = 60.0
MAX_REFUSED_READS = 10_000
_refused_reads: dict[tuple[str | None, ...], float] = {}
_reading = threading.Lock()
SORT_KEYS = Order({"at": Audit.id}, default="-at", unique=Audit.id)


def record(
    ctx: Ctx,
    action: str,
    *,
    target: Ref | None = None,
    outcome: str = "ok",
    code: str | None = None,
    **detail: str | int | bool | None,
) -> None:
    """Write an entry in the transaction of what it tells about: both are kept, or neither."""
    row = _row(ctx.actor, action, outcome, ctx.now)
    row.code = code
    row.detail = {**detail}
    if target is not None:
        row.object_kind, row.object_id, row.object_name = target.kind, target.id, target.name
    ctx.session.add(row)


def record_refusal(
    services: Services, actor: Actor, action: str, error: VigieError, target_id: str | None = None
) -> None:
    """Write that something asked for was refused or failed, in a transaction of its own.

    It never raises: a database that cannot take the entry has already been told to the asker, and is logged.
    """
    failed = error.status >= 500 or isinstance(error, HostError)
    row = _row(actor, action, "failed" if failed else "refused", datetime.now(UTC))
    row.code = error.code
    try:
        with services.database.begin() as session:
            if target_id and (kind := kind_of(target_id)):
                row.object_kind, row.object_id = kind, target_id
                row.object_name = name_of(session, kind, target_id)
            session.add(row)
    except Unavailable as unavailable:
        log.warning("audit_lost", action=action, actor=actor.name, code=error.code, reason=unavailable.code)


def record_refused_read(
    services: Services, actor: Actor, action: str, error: VigieError, target_id: str | None = None
) -> None:
    """Write that something was not shown; once a minute for the same, since open pages ask again and again."""
    if _is_due((actor.user_id, action, target_id)):
        record_refusal(services, actor, action, error, target_id)


def _is_due(read: tuple[str | None, ...]) -> bool:
    now = time.monotonic()
    with _reading:
        for known, at in list(_refused_reads.items()):  # in the order in which they came
            if now - at < REFUSED_READ_EVERY_S and len(_refused_reads) < MAX_REFUSED_READS:
                break
            del _refused_reads[known]
        return _refused_reads.setdefault(read, now) == now


def list_audit(ctx: Ctx, params: AuditQuery) -> Page[AuditRecord]:
    """The audit, newest first."""
    ctx.require("audit.view")
    query = sa.select(Audit)
    if params.actor:
        query = query.where(Audit.actor_name == params.actor)
    if params.target:
        query = query.where(Audit.object_id == params.target)
    if params.outcome:
        query = query.where(Audit.outcome == params.outcome)
    if params.q:
        searched = (Audit.action, Audit.actor_name, Audit.object_name)
        query = query.where(mentions(searched, params.q))
    return page(ctx, query, params, SORT_KEYS, _records)


def _row(actor: Actor, action: str, outcome: str, at: datetime) -> Audit:
    return Audit(
        at=at,
        actor_id=actor.user_id,
        actor_name=actor.name,
        via=actor.via,
        action=action,
        outcome=outcome,
        detail={},
        remote=actor.remote,
    )


def _records(rows: Sequence[tuple[Audit]]) -> list[AuditRecord]:
    return [
        AuditRecord.model_validate(
            {
                "id": row.id,
                "at": row.at,
                "actor": row.actor_name,
                "via": row.via,
                "action": row.action,
                "target": ref_of(row.object_kind, row.object_id, row.object_name),
                "outcome": row.outcome,
                "code": row.code,
                "detail": row.detail,
                "remote": row.remote,
            }
        )
        for (row,) in rows
    ]
