"""Which pools are the same storage, seen from several hosts. Names and paths are no proof; a file that appears is."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.errors import Conflict
from app.core.ids import new_id
from app.core.messages import N_
from app.core.pools import FILE_POOLS, PoolPlace, PoolProof
from app.core.records import Ref, TaskRecord
from app.core.states import HostMode, HostState, ObjectKind
from app.db.models import Host, Pool
from app.services.context import Ctx
from app.services.pools import ask, find_pool, refuse_state

MOST = 500


def prove_pool(ctx: Ctx, pool_id: str) -> TaskRecord:
    """Have it found out which hosts have the same storage. A small file is written into the pool for it, and removed.

    Raises NotFound, Conflict (wrong_state, not_provable, nobody_to_ask), Busy.
    """
    pool, host = find_pool(ctx, pool_id, "pool.operate")
    refuse_state(ctx, pool, "running", N_("The storage pool is off."))
    if pool.kind not in FILE_POOLS:
        raise Conflict(
            ctx.translate(N_("This cannot be found out.")),
            why=ctx.say(
                N_("A pool of kind %(kind)s has no files that could be looked for."), {"kind": pool.kind}
            ),
            hint=ctx.translate(
                N_("Two pools that name the same target of a storage server are the same storage.")
            ),
            code="not_provable",
        )
    others = [
        PoolPlace(host_id=host_id, pool_id=other_id, uuid=uuid)
        for other_id, host_id, uuid in ctx.session.execute(_candidates(ctx, pool))
    ]
    if not others:
        raise Conflict(
            ctx.translate(N_("There is no other host to ask.")),
            why=ctx.translate(
                N_("No other host that is connected and managed has a running pool that could be the same.")
            ),
            hint=ctx.translate(N_("Define the pool there too, with the same name or path, and start it.")),
            code="nobody_to_ask",
        )
    proof = PoolProof(uuid=pool.uuid, pool_id=pool.id, others=others)
    return ask(ctx, "pool.prove", pool, host, proof, shared=True)


def shared_with(ctx: Ctx, pool: Pool) -> tuple[Ref, ...]:
    """Hosts that are proven to have the same storage, by name."""
    if pool.shared_mark is None:
        return ()
    query = sa.select(Host.id, Host.name).join(Pool, Pool.host_id == Host.id)
    query = query.where(Pool.shared_mark == pool.shared_mark, Pool.id != pool.id).order_by(Host.name_key)
    rows = ctx.session.execute(ctx.visible(query, "host.view"))
    return tuple(Ref(kind=ObjectKind.HOST, id=row.id, name=row.name) for row in rows)


def settle(session: Session, pool_id: str, same: Collection[str], differing: Collection[str]) -> None:
    """Keep what was found: `same` share the storage of the pool, `differing` do not, others stay as they were."""
    pool = session.get(Pool, pool_id)
    if pool is None:
        return
    now = datetime.now(UTC)
    pool.proven_at = now
    mark = pool.shared_mark or new_id(ObjectKind.POOL)
    for other in session.scalars(sa.select(Pool).where(Pool.id.in_(same))):
        if other.shared_mark not in (None, mark):
            # What was the same as the other one is the same as this one.
            session.execute(
                sa.update(Pool).where(Pool.shared_mark == other.shared_mark).values(shared_mark=mark)
            )
        other.shared_mark, other.proven_at = mark, now
    for other in session.scalars(sa.select(Pool).where(Pool.id.in_(differing), Pool.shared_mark == mark)):
        other.shared_mark = None
    session.flush()
    known = session.scalar(sa.select(sa.func.count()).where(Pool.shared_mark == mark, Pool.id != pool.id))
    pool.shared_mark = mark if known else None


def _candidates(ctx: Ctx, pool: Pool) -> sa.Select[str, str, str]:
    """Pools that could be the same: another size or everything else differs in none that is."""
    query = sa.select(Pool.id, Pool.host_id, Pool.uuid).join(Host, Host.id == Pool.host_id)
    query = query.where(
        Pool.host_id != pool.host_id,
        Pool.state == "running",
        Pool.kind.in_(FILE_POOLS),
        Host.state == HostState.CONNECTED.value,
        Host.mode == HostMode.MANAGED.value,
        sa.or_(
            Pool.name == pool.name,
            Pool.target_path == pool.target_path,
            Pool.capacity_bytes == pool.capacity_bytes,
        ),
    )
    return ctx.visible(query, "pool.view").order_by(Host.name_key, Pool.name).limit(MOST)
