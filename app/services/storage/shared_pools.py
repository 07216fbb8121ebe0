"""Which pools are the same storage, seen from several hosts. Names and paths are no proof; a file that appears is."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.access.context import Actor, Ctx, Services
from app.core.access.privileges import Role
from app.core.errors import Conflict, NotFound
from app.core.hosts.states import HostMode, HostState, Transport
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.records import Ref
from app.core.storage.pools import FILE_POOLS, PoolPlace, PoolProof
from app.core.tasks.records import TaskRecord
from app.db.models import Host, Pool, PoolDifference
from app.services.storage.pools import ask, find_pool, refuse_state
from app.services.storage.volume_locations import unverified

MOST = 500
PROVABLE = (*FILE_POOLS, "logical")
SYSTEM = Actor(None, "Vigie", Role.ADMINISTRATOR, "system")
MOST_BY_ITSELF = 50  # hosts with a pool at one place, beyond which nobody is asked without a person
AT_ONCE = 4
AT_WORK = timedelta(seconds=5)  # how long the next pool of a place waits for what is being found out
AGAIN = timedelta(days=1)  # where hosts could not be asked


def prove_pool(ctx: Ctx, pool_id: str) -> TaskRecord:
    """Have it found out which hosts have the same storage. A small file is written into the pool for it, and removed.

    Raises NotFound, Conflict (wrong_state, not_provable, nobody_to_ask), Busy.
    """
    pool, host = find_pool(ctx, pool_id, "pool.operate")
    refuse_state(ctx, pool, "running", N_("The storage pool is off."))
    if pool.kind not in PROVABLE:
        raise Conflict(
            N_("This cannot be found out."),
            why=N_("A pool of kind %(kind)s has no files that could be looked for."),
            hint=N_("Two pools that name the same target of a storage server are the same storage."),
            code="not_provable",
            params={"kind": pool.kind},
        )
    others = [
        PoolPlace(host_id=host_id, pool_id=other_id, uuid=uuid)
        for other_id, host_id, uuid in ctx.session.execute(_candidates(ctx, pool))
    ]
    if not others:
        raise Conflict(
            N_("There is no other host to ask."),
            why=N_("No other host that is connected and managed has a running pool that could be the same."),
            hint=N_("Define the pool there too, with the same name or path, and start it."),
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


def request_due(services: Services) -> None:
    """Have it found out which hosts share pools that may be the same storage, where nobody has asked for it yet.

    One pool of each place at a time: what is found out of it settles its pairs with all others. Raises Unavailable.
    """
    with services.database.read() as session:
        due = due_pools(session, datetime.now(UTC))
    for pool_id in due[:AT_ONCE]:
        with services.database.begin() as session, suppress(Conflict, NotFound):
            session.execute(
                sa.update(Pool).where(Pool.id == pool_id).values(verify_requested_at=datetime.now(UTC))
            )
            prove_pool(Ctx(services, session, SYSTEM), pool_id)


def due_pools(session: Session, now: datetime) -> list[str]:
    """Pools whose storage may be that of pools of other hosts, which nobody found out; one of each place."""
    query = sa.select(Pool).join(Host, Host.id == Pool.host_id).where(*_askable())
    places: dict[str, list[Pool]] = {}
    for pool in session.scalars(query.where(Pool.target_path.in_(_common_places())).order_by(Pool.id)):
        places.setdefault((pool.target_path or "").rstrip("/"), []).append(pool)
    due: list[str] = []
    for pools in places.values():
        here = {pool.id for pool in pools}
        recent = [
            pool for pool in pools if pool.verify_requested_at and now - pool.verify_requested_at < AT_WORK
        ]
        waiting = [
            pool
            for pool in pools
            if pool.verify_requested_at is None or now - pool.verify_requested_at > AGAIN
        ]
        if not recent:
            due += [pool.id for pool in waiting if here & {each.id for each in unverified(session, pool)}][:1]
    return due


def _askable() -> list[sa.ColumnElement[bool]]:
    return [
        Pool.state == "running",
        Pool.kind.in_(PROVABLE),
        Host.state == HostState.CONNECTED.value,
        Host.mode == HostMode.MANAGED.value,
        Host.transport != Transport.SIMULATED.value,
    ]


def _common_places() -> sa.Select[str | None]:
    """Paths at which pools of several hosts lie, without those that most of a large fleet has."""
    hosts = sa.func.count(sa.distinct(Pool.host_id))
    query = sa.select(Pool.target_path).join(Host, Host.id == Pool.host_id).where(*_askable())
    return query.group_by(Pool.target_path).having(sa.and_(hosts > 1, hosts <= MOST_BY_ITSELF))


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
    for each in others:
        session.add(PoolDifference(pool_id=pool.id, other_id=each.id))
        session.add(PoolDifference(pool_id=each.id, other_id=pool.id))
    session.flush()
    for each in others:
        if each.proven_at is None and not unverified(session, each):
            each.proven_at = now


def _candidates(ctx: Ctx, pool: Pool) -> sa.Select[str, str, str]:
    """Pools that could be the same: another size or everything else differs in none that is."""
    query = sa.select(Pool.id, Pool.host_id, Pool.uuid).join(Host, Host.id == Pool.host_id)
    query = query.where(
        Pool.host_id != pool.host_id,
        Pool.state == "running",
        Pool.kind.in_(PROVABLE),
        Host.state == HostState.CONNECTED.value,
        Host.mode == HostMode.MANAGED.value,
        sa.or_(
            Pool.name == pool.name,
            Pool.target_path == pool.target_path,
            Pool.capacity_bytes == pool.capacity_bytes,
        ),
    )
    return ctx.visible(query, "pool.view").order_by(Host.name_key, Pool.name).limit(MOST)
