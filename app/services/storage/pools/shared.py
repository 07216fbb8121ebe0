"""Which pools were found to be the same storage, seen from several hosts. Names and paths are no proof."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.access.context import Ctx
from app.access.find import visible
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.records import Ref
from app.db.models import Host, Pool, PoolDifference
from app.services.storage.pools.same_storage import unverified


def shared_with(ctx: Ctx, pool: Pool) -> tuple[Ref, ...]:
    """Hosts that are proven to have the same storage, by name."""
    if pool.shared_mark is None:
        return ()
    query = sa.select(Host.id, Host.name).join(Pool, Pool.host_id == Host.id)
    query = query.where(Pool.shared_mark == pool.shared_mark, Pool.id != pool.id).order_by(Host.name_key)
    rows = ctx.session.execute(visible(ctx, query, Host, "host.view"))
    return tuple(Ref(kind=ObjectKind.HOST, id=row.id, name=row.name) for row in rows)


def settle(session: Session, pool_id: str, same: Collection[str], differing: Collection[str]) -> None:
    """Keep what was found: `same` share the storage of the pool, `differing` do not, others stay as they were."""
    pool = session.get(Pool, pool_id)
    if pool is None:
        return
    now = datetime.now(UTC)
    pool.verified_at = now
    mark = pool.shared_mark or new_id(ObjectKind.POOL)
    for other in session.scalars(sa.select(Pool).where(Pool.id.in_(same))):
        if other.shared_mark not in (None, mark):
            # What was the same as the other one is the same as this one.
            session.execute(
                sa.update(Pool).where(Pool.shared_mark == other.shared_mark).values(shared_mark=mark)
            )
        other.shared_mark, other.verified_at = mark, now
    for other in session.scalars(sa.select(Pool).where(Pool.id.in_(differing), Pool.shared_mark == mark)):
        other.shared_mark = None
    session.flush()
    known = session.scalar(sa.select(sa.func.count()).where(Pool.shared_mark == mark, Pool.id != pool.id))
    pool.shared_mark = mark if known else None
    _settle_differences(session, pool, same, differing, now)


def _settle_differences(
    session: Session, pool: Pool, same: Collection[str], differing: Collection[str], now: datetime
) -> None:
    for one, other in (
        (PoolDifference.pool_id, PoolDifference.other_id),
        (PoolDifference.other_id, PoolDifference.pool_id),
    ):
        session.execute(sa.delete(PoolDifference).where(one == pool.id, other.in_([*same, *differing])))
    others = list(session.scalars(sa.select(Pool).where(Pool.id.in_(differing))))
    for item in others:
        session.add(PoolDifference(pool_id=pool.id, other_id=item.id))
        session.add(PoolDifference(pool_id=item.id, other_id=pool.id))
    session.flush()
    for entry in others:
        if entry.verified_at is None and not unverified(session, entry):
            entry.verified_at = now
