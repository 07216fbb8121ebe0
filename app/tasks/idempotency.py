"""Requests that may be sent twice: the same key gives the first answer again."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from app.access.context import Ctx
from app.access.paging import storable
from app.core.errors import Conflict, InvalidInput
from app.core.messages import N_
from app.core.tasks.stored import StoredAnswer
from app.db.models import IdempotencyKey

KEPT = timedelta(days=1)
MAX_KEY = 255


def remembered(ctx: Ctx, key: str, request_sha256: str) -> StoredAnswer | None:
    """The answer that the asker got for this key, or None. Raises Conflict when the request was another one."""
    if not 1 <= len(key) <= MAX_KEY or not storable(key):
        raise InvalidInput("Idempotency-Key", N_("must be 1 to 255 characters"))
    row = ctx.session.get(IdempotencyKey, (_owner(ctx), key))
    if row is None or row.created_at < ctx.now - KEPT:
        return None
    if row.request_sha256 != _mark(ctx, request_sha256):
        raise Conflict(
            N_("This Idempotency-Key was used for another request."),
            hint=N_("Use a new key for each new request, and the same one only to send a request again."),
            code="idempotency_mismatch",
        )
    return row.answer


def remember(ctx: Ctx, key: str, request_sha256: str, answer: StoredAnswer) -> None:
    """Keep the answer for a day. Raises Conflict when the same request is being answered at this moment.

    A request may hold a password, so its digest is kept only as the vault marks it.
    """
    ctx.session.execute(sa.delete(IdempotencyKey).where(IdempotencyKey.created_at < ctx.now - KEPT))
    ctx.session.add(
        IdempotencyKey(
            user_id=_owner(ctx),
            key=key,
            request_sha256=_mark(ctx, request_sha256),
            answer=answer,
            created_at=ctx.now,
        )
    )
    try:
        ctx.session.flush()
    except IntegrityError:
        raise Conflict(
            N_("The same request is being answered."),
            hint=N_("Send it again in a moment to get the answer."),
            code="idempotency_running",
        ) from None


def _mark(ctx: Ctx, request_sha256: str) -> str:
    """The mark of a request under these rights: what was answered under others is not for the asker any more."""
    return ctx.services.vault.mark(f"{ctx.actor.role.value} {request_sha256}")


def _owner(ctx: Ctx) -> str:
    return ctx.actor.user_id or ctx.actor.via
