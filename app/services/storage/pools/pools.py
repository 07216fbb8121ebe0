"""Storage pools, as hosts last showed them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import undefer

from app.access.context import Ctx
from app.access.find import visible
from app.access.paging import Order, mentions, page
from app.core.errors import NotFound
from app.core.hosts.states import Transport
from app.core.inventory.conditions import ConditionRecord
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.notices import VOLUMES
from app.core.records import Page, Ref
from app.core.storage.pools import FILE_POOLS
from app.core.storage.records import PoolRecord
from app.core.storage.specs import PoolQuery
from app.db.models import Host, Pool
from app.inventory import condition_rows
from app.inventory.staleness import HOST_IN_LISTS, is_stale

POOLS = Order(
    {
        "name": Pool.name,
        "state": Pool.state,
        "host": Host.name_key,
        "kind": Pool.kind,
        "capacity": Pool.capacity_bytes,
        "available": Pool.available_bytes,
    },
    default="name",
    unique=Pool.id,
)


def list_pools(ctx: Ctx, params: PoolQuery) -> Page[PoolRecord]:
    """The pools of all hosts, or of one."""
    query = sa.select(Pool, Host).join(Host, Host.id == Pool.host_id).options(HOST_IN_LISTS)
    query = visible(ctx, query, Pool, "pool.view")
    if params.host:
        query = query.where(Pool.host_id == params.host)
    if params.q:
        query = query.where(mentions((Pool.name, Pool.target_path), params.q))
    return page(ctx, query, params, POOLS, lambda rows: _pools(ctx, rows))


def show_pool(ctx: Ctx, pool_id: str) -> PoolRecord:
    """One pool. Raises NotFound. Asking for it makes the engine read its volumes."""
    query = sa.select(Pool, Host).join(Host, Host.id == Pool.host_id).where(Pool.id == pool_id)
    query = query.options(undefer(Pool.live_xml))
    row = ctx.session.execute(visible(ctx, query, Pool, "pool.view")).one_or_none()
    if row is None:
        raise NotFound(N_("There is no such storage pool."))
    read_volumes(ctx, row[0])
    return _pools(ctx, [(row[0], row[1])])[0].model_copy(
        update={"shared_with": shared_with(ctx, row[0]), "pending": row[0].live_xml is not None}
    )


def read_volumes(ctx: Ctx, pool: Pool) -> None:
    """Have the engine read the volumes of a pool that somebody looks at; what is shown now is what was read last."""
    if pool.state == "running":
        ctx.services.hub.publish([VOLUMES + pool.id])


def _pools(ctx: Ctx, rows: Sequence[tuple[Pool, Host]]) -> list[PoolRecord]:
    wrong = condition_rows.records(ctx, [pool.id for pool, _ in rows])
    return [_pool(ctx, pool, host, wrong.get(pool.id, [])) for pool, host in rows]


def _pool(ctx: Ctx, pool: Pool, host: Host, wrong: list[ConditionRecord]) -> PoolRecord:
    copied = {name: getattr(pool, name) for name in PoolRecord.model_fields if hasattr(pool, name)}
    return PoolRecord(
        **copied,
        host_name=host.name,
        shared=None if pool.verified_at is None else pool.shared_mark is not None,
        stale=is_stale(ctx, host.connection, host.observed_at),
        observed_at=host.observed_at,
        conditions=wrong,
        links_checked=sees_links(pool, host),
        stop_reason=ctx.say(pool.stopped_by["why"], pool.stopped_by["params"]) if pool.stopped_by else None,
    )


def sees_links(pool: Pool, host: Host) -> bool:
    """Whether Vigie can look at the files of this pool: by SFTP, or because they are on its own machine."""
    if pool.kind not in FILE_POOLS:
        return True
    return not pool.links_hidden and host.transport in (Transport.SSH.value, Transport.LOCAL.value)


def shared_with(ctx: Ctx, pool: Pool) -> tuple[Ref, ...]:
    """Hosts verified to have the same storage, by name."""
    if pool.shared_mark is None:
        return ()
    query = sa.select(Host.id, Host.name).join(Pool, Pool.host_id == Host.id)
    query = query.where(Pool.shared_mark == pool.shared_mark, Pool.id != pool.id).order_by(Host.name_key)
    rows = ctx.session.execute(visible(ctx, query, Host, "host.view"))
    return tuple(Ref(kind=ObjectKind.HOST, id=row.id, name=row.name) for row in rows)
