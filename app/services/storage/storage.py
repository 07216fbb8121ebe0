"""Storage pools and their volumes, as hosts last showed them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import undefer

from app.access.context import Ctx
from app.access.paging import Order, mentions, page
from app.core.errors import InvalidInput, NotFound
from app.core.hosts.states import Transport
from app.core.inventory.conditions import ConditionRecord
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.notices import VOLUMES as VOLUMES_OF
from app.core.records import Page, Ref
from app.core.storage.pools import FILE_POOLS
from app.core.storage.records import PoolRecord, VolumeRecord
from app.core.storage.specs import PoolQuery, VolumeQuery
from app.core.storage.states import INCOMPLETE
from app.db.models import Host, Pool, Volume
from app.inventory import conditions
from app.inventory.staleness import HOST_IN_LISTS, is_stale
from app.services.storage import volume_records
from app.services.storage.shared_pools import shared_with
from app.services.storage.volume_users import users_of
from app.services.vms.cloud_init_drives import is_seed

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
VOLUMES = Order(
    {
        "name": Volume.name,
        "path": Volume.path,
        "capacity": Volume.capacity_bytes,
        "allocation": Volume.allocation_bytes,
    },
    default="name",
    unique=Volume.id,
)


def list_pools(ctx: Ctx, asked: PoolQuery) -> Page[PoolRecord]:
    """The pools of all hosts, or of one."""
    query = sa.select(Pool, Host).join(Host, Host.id == Pool.host_id).options(HOST_IN_LISTS)
    query = ctx.visible(query, "pool.view")
    if asked.host:
        query = query.where(Pool.host_id == asked.host)
    if asked.q:
        query = query.where(mentions((Pool.name, Pool.target_path), asked.q))
    return page(ctx, query, asked, POOLS, lambda rows: _pools(ctx, rows))


def show_pool(ctx: Ctx, pool_id: str) -> PoolRecord:
    """One pool. Raises NotFound. Asking for it makes the engine read its volumes."""
    query = sa.select(Pool, Host).join(Host, Host.id == Pool.host_id).where(Pool.id == pool_id)
    query = query.options(undefer(Pool.live_xml))
    row = ctx.session.execute(ctx.visible(query, "pool.view")).one_or_none()
    if row is None:
        raise NotFound(N_("There is no such storage pool."))
    _ask_for(ctx, row[0])
    return _pools(ctx, [(row[0], row[1])])[0].model_copy(
        update={"shared_with": shared_with(ctx, row[0]), "pending": row[0].live_xml is not None}
    )


def list_volumes(ctx: Ctx, asked: VolumeQuery) -> Page[VolumeRecord]:
    """The volumes of all pools, of one host or of one pool, which makes the engine read them anew."""
    conditions: list[sa.ColumnElement[bool]] = []
    counted = sa.select(Volume.id)
    if asked.pool:
        conditions.append(Volume.pool_id == asked.pool)
        looked_at = ctx.session.scalar(ctx.visible(sa.select(Pool).where(Pool.id == asked.pool), "pool.view"))
        if looked_at is not None:
            _ask_for(ctx, looked_at)
    if asked.host:
        conditions.append(Pool.host_id == asked.host)
        counted = counted.join(Pool, Pool.id == Volume.pool_id)
    if asked.unused is not None:
        conditions += (_used(ctx, asked.pool).is_(not asked.unused), Volume.kind != "dir")
    if asked.q:
        conditions.append(mentions((Volume.name, Volume.path), asked.q))
    return page(
        ctx,
        ctx.visible(_volumes().where(*conditions), "pool.view"),
        asked,
        VOLUMES,
        lambda rows: _volume_records(ctx, rows),
        counted=ctx.visible(counted.where(*conditions), "pool.view"),
    )


def backing_options(ctx: Ctx, host_id: str) -> list[Ref]:
    """Volumes of a host that others may be built on."""
    ctx.require("volume.edit")
    query = sa.select(Volume.id, Volume.name, Pool.name).join(Pool, Pool.id == Volume.pool_id)
    query = query.where(Pool.host_id == host_id, Volume.format.in_(("qcow2", "raw")), sa.not_(is_seed()))
    query = query.order_by(Volume.name)
    rows = ctx.session.execute(ctx.visible(query.limit(500), "pool.view"))
    return [Ref(kind=ObjectKind.VOLUME, id=row[0], name=f"{row[1]} · {row[2]}") for row in rows]


def show_volume(ctx: Ctx, volume_id: str) -> VolumeRecord:
    """One volume. Raises NotFound. Asking for it makes the engine read the volumes of its pool."""
    row = ctx.session.execute(
        ctx.visible(_volumes().where(Volume.id == volume_id), "pool.view")
    ).one_or_none()
    if row is None:
        raise NotFound(N_("There is no such volume."))
    _ask_for(ctx, row[1])
    return _volume_records(ctx, [(row[0], row[1], row[2])])[0]


def _ask_for(ctx: Ctx, pool: Pool) -> None:
    """Have the engine read the volumes of a pool that somebody looks at; what is shown now is what was read last."""
    if pool.state == "running":
        ctx.services.hub.publish([VOLUMES_OF + pool.id])


def _used(ctx: Ctx, pool_id: str | None) -> sa.ColumnElement[bool]:
    """Whether a volume of this pool is used, in SQL: the ids are found out before."""
    if pool_id is None:
        raise InvalidInput("unused", N_("needs `pool`: users are looked for in one pool at a time"))
    volumes = list(ctx.session.scalars(sa.select(Volume).where(Volume.pool_id == pool_id)))
    used = [volume_id for volume_id, users in users_of(ctx, volumes).items() if users]
    return sa.case((Volume.id.in_(used), True), else_=False)


def _volumes() -> sa.Select[Any, Any, Any]:
    query = sa.select(Volume, Pool, Host).join(Pool, Pool.id == Volume.pool_id)
    return query.join(Host, Host.id == Pool.host_id).options(HOST_IN_LISTS)


def _pools(ctx: Ctx, rows: Sequence[tuple[Pool, Host]]) -> list[PoolRecord]:
    wrong = conditions.records(ctx, [pool.id for pool, _ in rows])
    return [_pool(ctx, pool, host, wrong.get(pool.id, [])) for pool, host in rows]


def _pool(ctx: Ctx, pool: Pool, host: Host, wrong: list[ConditionRecord]) -> PoolRecord:
    copied = {name: getattr(pool, name) for name in PoolRecord.model_fields if hasattr(pool, name)}
    return PoolRecord(
        **copied,
        host_name=host.name,
        shared=None if pool.proven_at is None else pool.shared_mark is not None,
        stale=is_stale(ctx, host.state, host.observed_at),
        observed_at=host.observed_at,
        conditions=wrong,
        links_checked=_sees_links(pool, host),
        stop_reason=ctx.say(pool.stopped_by["why"], pool.stopped_by["params"]) if pool.stopped_by else None,
    )


def _sees_links(pool: Pool, host: Host) -> bool:
    """Whether Vigie can look at the files of this pool: by SFTP, or because they are on its own machine."""
    if pool.kind not in FILE_POOLS:
        return True
    return not pool.links_hidden and host.transport in (Transport.SSH.value, Transport.LOCAL.value)


def _volume_records(ctx: Ctx, rows: Sequence[tuple[Volume, Pool, Host]]) -> list[VolumeRecord]:
    incomplete = volume_records.incomplete(ctx.session) if rows else set()
    return [
        VolumeRecord(
            id=volume.id,
            name=volume.name,
            path=volume.path,
            pool_id=pool.id,
            pool_name=pool.name,
            host_id=host.id,
            host_name=host.name,
            kind=volume.kind,
            format=volume.format,
            capacity_bytes=volume.capacity_bytes,
            allocation_bytes=volume.allocation_bytes,
            backing_path=volume.backing_path,
            checked_at=volume.checked_at,
            links_checked=_sees_links(pool, host),
            stale=is_stale(ctx, host.state, host.observed_at),
            observed_at=pool.volumes_read_at,
            **_condition(ctx, volume, (host.id, pool.uuid, volume.name) in incomplete),
        )
        for volume, pool, host in rows
    ]


def _condition(ctx: Ctx, volume: Volume, is_incomplete: bool) -> dict[str, Any]:
    """What holds the volume back from use, and why, in the reader's language."""
    if is_incomplete:
        reason = ctx.translate(N_("The task that makes this volume has not finished, or failed."))
        return {"condition": INCOMPLETE, "condition_reason": reason}
    if volume.condition is None:
        return {}
    reason = ctx.say(volume.condition_why or "", volume.condition_params or {})
    return {"condition": volume.condition, "condition_reason": reason}
