"""Verify which hosts have the same storage: what is written through one pool must be read through the others."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.access.context import Actor, Ctx, Services
from app.access.find import find, visible
from app.core.access.privileges import Role
from app.core.errors import Conflict, HostError, NotFound
from app.core.hosts.states import Transport
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.storage.pools import FILE_POOLS, PoolPlace
from app.core.tasks.records import TaskRecord
from app.core.vms.config import VolumePlan
from app.db.models import Host, Pool, PoolDifference
from app.inventory.available_hosts import is_available
from app.services.storage.pools.operation import (
    PoolOperation,
    PoolParameters,
    pool_and_host,
    require_running,
    shared_locks,
)
from app.services.storage.pools.same_storage import unverified
from app.services.storage.volumes.steps.own_volume import own_volume
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed
from app.tasks.operation import Outcome, Plan
from app.tasks.submit import submit

MAX_POOLS = 500
VERIFIABLE = (*FILE_POOLS, "logical")
SYSTEM = Actor(None, "Vigie", Role.ADMINISTRATOR, "system")
MAX_HOSTS_UNASKED = 50  # hosts with a pool at one place, beyond which nobody is asked without a person
AT_ONCE = 4
AT_WORK = timedelta(seconds=5)  # how long the next pool of a place waits for what is being found out
AGAIN = timedelta(days=1)  # where hosts could not be asked
PROBE_BYTES = 4096


class VerifySharedParameters(PoolParameters):
    """The pools of other hosts in which what is written is looked for."""

    others: tuple[PoolPlace, ...]


@declare
class VerifyShared(PoolOperation[VerifySharedParameters]):
    """Find out which of these pools are the same storage, beside tasks on their volumes.

    It changes nothing in the other pools, so it takes no privilege there: only pools that the submitter may operate
    are asked.
    """

    kind = "pool.verify-shared"
    title = N_("Find out who shares the storage pool")
    parameters = VerifySharedParameters
    privilege = "pool.operate"

    def check(self, ctx: Ctx, parameters: VerifySharedParameters) -> Plan:
        """Raises Conflict (wrong_state, not_provable, nobody_to_ask)."""
        plan = super().check(ctx, parameters)
        pool, _ = pool_and_host(ctx.session, parameters.target_id)
        require_running(ctx, pool)
        if pool.kind not in VERIFIABLE:
            raise Conflict(
                N_("This cannot be found out."),
                why=N_("A pool of kind %(kind)s has no files that could be looked for."),
                hint=N_("Two pools that name the same target of a storage server are the same storage."),
                code="not_provable",
                params={"kind": pool.kind},
            )
        if not parameters.others:
            raise Conflict(
                N_("There is no other host to ask."),
                why=N_(
                    "No other host that is connected and managed has a running pool that could be the same."
                ),
                hint=N_("Define the pool there too, with the same name or path, and start it."),
                code="nobody_to_ask",
            )
        return replace(plan, locks=shared_locks(ctx, pool, self.kind), holds_target=False)

    def run(self, context: TaskContext, parameters: VerifySharedParameters) -> Outcome:
        """Write random bytes into the pool, look for them in the others, and remove them."""
        same, silent = _look_from_others(context, parameters)
        for place in same:
            _forget_there(context, place)
        differing = [other for other in parameters.others if other not in same and other not in silent]
        context.write(
            partial(
                record_verified,
                pool_id=parameters.target_id,
                same=[place.pool_id for place in same],
                differing=[place.pool_id for place in differing],
            )
        )
        hosts = {place.host_id for place in parameters.others}
        verified = {place.host_id for place in same}
        unheard = {place.host_id for place in silent} - verified
        if unheard:
            message = N_(
                "%(same)d of %(asked)d other hosts have the same storage; %(silent)d could not be asked."
            )
        else:
            message = N_("%(same)d of %(asked)d other hosts have the same storage.")
        return Outcome(message, {"same": len(verified), "asked": len(hosts), "silent": len(unheard)})


def _look_from_others(
    context: TaskContext, parameters: VerifySharedParameters
) -> tuple[list[PoolPlace], list[PoolPlace]]:
    """The pools in which a file that is written into this one is seen, and those that could not be asked."""
    name = f"vigie-proof-{context.job.task_id}.raw"
    content = secrets.token_bytes(PROBE_BYTES)
    same: list[PoolPlace] = []
    silent: list[PoolPlace] = []
    plan = VolumePlan(pool=parameters.uuid, name=name, format="raw", size_bytes=PROBE_BYTES)
    with own_volume(context, plan):
        context.call(lambda host: host.storage.write_volume(parameters.uuid, name, content))
        for number, place in enumerate(parameters.others):
            context.say(100 * number // len(parameters.others), N_("Looking from other hosts."))
            try:
                if _sees(context, place, name, content):
                    same.append(place)
            except (HostError, TaskFailed):
                silent.append(place)
        context.call(lambda host: host.storage.delete_volume(parameters.uuid, name))
    return same, silent


def _sees(context: TaskContext, place: PoolPlace, name: str, content: bytes) -> bool:
    storage = context.other(place.host_id).storage
    storage.refresh(place.uuid)
    if storage.find_volume(place.uuid, name) is None:
        return False
    return b"".join(storage.read_volume(place.uuid, name, PROBE_BYTES)) == content


def _forget_there(context: TaskContext, place: PoolPlace) -> None:
    """Have the other host see that the file is gone; otherwise its next own reading does."""
    try:
        context.other(place.host_id).storage.refresh(place.uuid)
    except (HostError, TaskFailed):
        return


def verify_shared(ctx: Ctx, pool_id: str) -> TaskRecord:
    """Have it found out which hosts have the same storage. A small file is written into the pool for it, and removed.

    Raises NotFound, Conflict (wrong_state, not_provable, nobody_to_ask), Busy.
    """
    pool = find(ctx, Pool, pool_id, VerifyShared.privilege)
    others = tuple(
        PoolPlace(host_id=host_id, pool_id=other_id, uuid=uuid)
        for other_id, host_id, uuid in ctx.session.execute(_candidates(ctx, pool))
    )
    parameters = VerifySharedParameters(
        target_id=pool.id, host_id=pool.host_id, uuid=pool.uuid, others=others
    )
    return tasks.record_of(ctx, submit(ctx, VerifyShared, parameters))


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
            verify_shared(Ctx(services, session, SYSTEM), pool_id)


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
            due += [pool.id for pool in waiting if here & {item.id for item in unverified(session, pool)}][:1]
    return due


def _askable() -> list[sa.ColumnElement[bool]]:
    return [
        Pool.state == "running",
        Pool.kind.in_(VERIFIABLE),
        is_available(),
        Host.transport != Transport.SIMULATED.value,
    ]


def _common_places() -> sa.Select[str | None]:
    """Paths at which pools of several hosts lie, without those that most of a large fleet has."""
    hosts = sa.func.count(sa.distinct(Pool.host_id))
    query = sa.select(Pool.target_path).join(Host, Host.id == Pool.host_id).where(*_askable())
    return query.group_by(Pool.target_path).having(sa.and_(hosts > 1, hosts <= MAX_HOSTS_UNASKED))


def _candidates(ctx: Ctx, pool: Pool) -> sa.Select[str, str, str]:
    """Pools that could be the same: another size or everything else differs in none that is."""
    query = sa.select(Pool.id, Pool.host_id, Pool.uuid).join(Host, Host.id == Pool.host_id)
    query = query.where(
        Pool.host_id != pool.host_id,
        Pool.state == "running",
        Pool.kind.in_(VERIFIABLE),
        is_available(),
        sa.or_(
            Pool.name == pool.name,
            Pool.target_path == pool.target_path,
            Pool.capacity_bytes == pool.capacity_bytes,
        ),
    )
    return (
        visible(ctx, query, Pool, VerifyShared.privilege).order_by(Host.name_key, Pool.name).limit(MAX_POOLS)
    )


def record_verified(
    session: Session, pool_id: str, same: Collection[str], differing: Collection[str]
) -> None:
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
    _record_differences(session, pool, same, differing, now)


def _record_differences(
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
