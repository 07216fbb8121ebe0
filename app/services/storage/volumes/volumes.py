"""Volumes, as hosts last showed them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import find, known, visible
from app.access.paging import Order, mentions, page
from app.core.errors import InvalidInput, NotFound
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.records import Page, Ref
from app.core.storage.pools import FIXED_POOLS
from app.core.storage.records import VolumeRecord
from app.core.storage.specs import VolumeQuery
from app.core.storage.states import INCOMPLETE
from app.core.storage.volumes import PoolChoice, VolumeDetail
from app.db.models import Host, Pool, Volume
from app.inventory.staleness import HOST_IN_LISTS, is_stale
from app.services.storage.pools.pools import read_volumes, sees_links
from app.services.storage.volumes import records
from app.services.storage.volumes.users import users_of
from app.services.vms.cloud_init.known_drives import holds_cloud_init_drive, is_cloud_init_drive

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
DEEPEST = 64


def list_volumes(ctx: Ctx, query: VolumeQuery) -> Page[VolumeRecord]:
    """The volumes of all pools, of one host or of one pool, which makes the engine read them anew."""
    conditions: list[sa.ColumnElement[bool]] = []
    counted = sa.select(Volume.id)
    if query.pool:
        conditions.append(Volume.pool_id == query.pool)
        looked_at = ctx.session.scalar(
            visible(ctx, sa.select(Pool).where(Pool.id == query.pool), Pool, "pool.view")
        )
        if looked_at is not None:
            read_volumes(ctx, looked_at)
    if query.host:
        conditions.append(Pool.host_id == query.host)
        counted = counted.join(Pool, Pool.id == Volume.pool_id)
    if query.unused is not None:
        conditions += (_used(ctx, query.pool).is_(not query.unused), Volume.kind != "dir")
    if query.q:
        conditions.append(mentions((Volume.name, Volume.path), query.q))
    return page(
        ctx,
        visible(ctx, _volumes().where(*conditions), Volume, "pool.view"),
        query,
        VOLUMES,
        lambda rows: _volume_records(ctx, rows),
        counted=visible(ctx, counted.where(*conditions), Volume, "pool.view"),
    )


def backing_options(ctx: Ctx, host_id: str) -> list[Ref]:
    """Volumes of a host that others may be built on."""
    ctx.require("volume.edit")
    query = sa.select(Volume.id, Volume.name, Pool.name).join(Pool, Pool.id == Volume.pool_id)
    query = query.where(
        Pool.host_id == host_id, Volume.format.in_(("qcow2", "raw")), sa.not_(is_cloud_init_drive())
    )
    query = query.order_by(Volume.name)
    rows = ctx.session.execute(visible(ctx, query.limit(500), Volume, "pool.view"))
    return [Ref(kind=ObjectKind.VOLUME, id=row[0], name=f"{row[1]} · {row[2]}") for row in rows]


def show_volume(ctx: Ctx, volume_id: str) -> VolumeDetail:
    """One volume, with its users. Raises NotFound."""
    record = show_record(ctx, volume_id)
    volume = known(ctx, Volume, volume_id)
    users = users_of(ctx, [volume])[volume.id]
    return VolumeDetail(
        **record.model_dump(),
        users=tuple(users),
        chain=tuple(_chain(ctx, record.host_id, volume)),
        freed_bytes=0 if users else volume.allocation_bytes,
        usable=volume.condition is None and not holds_cloud_init_drive(ctx.session, volume),
    )


def show_record(ctx: Ctx, volume_id: str) -> VolumeRecord:
    """One volume. Raises NotFound. Asking for it makes the engine read the volumes of its pool."""
    row = ctx.session.execute(
        visible(ctx, _volumes().where(Volume.id == volume_id), Volume, "pool.view")
    ).one_or_none()
    if row is None:
        raise NotFound(N_("There is no such volume."))
    read_volumes(ctx, row[1])
    return _volume_records(ctx, [(row[0], row[1], row[2])])[0]


def pools_for(ctx: Ctx, volume_id: str) -> list[PoolChoice]:
    """Running pools of the volume's host that have room for a copy of it."""
    volume = find(ctx, Volume, volume_id, "volume.edit")
    host_id = known(ctx, Pool, volume.pool_id).host_id
    pools = sa.select(Pool).where(
        Pool.host_id == host_id, Pool.state == "running", Pool.kind.not_in(FIXED_POOLS)
    )
    return [
        PoolChoice(id=row.id, name=row.name, available_bytes=row.available_bytes)
        for row in ctx.session.scalars(visible(ctx, pools.order_by(Pool.name), Pool, "pool.view"))
        if row.available_bytes > volume.allocation_bytes
    ]


def _used(ctx: Ctx, pool_id: str | None) -> sa.ColumnElement[bool]:
    """Whether a volume of this pool is used, in SQL: the ids are found out before."""
    if pool_id is None:
        raise InvalidInput("unused", N_("needs `pool`: users are looked for in one pool at a time"))
    query = visible(ctx, sa.select(Volume).where(Volume.pool_id == pool_id), Volume, "pool.view")
    volumes = list(ctx.session.scalars(query))
    used = [volume_id for volume_id, users in users_of(ctx, volumes).items() if users]
    return sa.case((Volume.id.in_(used), True), else_=False)


def _volumes() -> sa.Select[Volume, Pool, Host]:
    query = sa.select(Volume, Pool, Host).join(Pool, Pool.id == Volume.pool_id)
    return query.join(Host, Host.id == Pool.host_id).options(HOST_IN_LISTS)


def _volume_records(ctx: Ctx, rows: Sequence[tuple[Volume, Pool, Host]]) -> list[VolumeRecord]:
    incomplete = records.incomplete(ctx.session) if rows else set()
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
            links_checked=sees_links(pool, host),
            stale=is_stale(ctx, host.connection, host.observed_at),
            observed_at=pool.volumes_read_at,
            **_condition(ctx, volume, (host.id, pool.uuid, volume.name) in incomplete),
        )
        for volume, pool, host in rows
    ]


def _condition(ctx: Ctx, volume: Volume, is_incomplete: bool) -> dict[str, str]:
    """What holds the volume back from use, and why, in the reader's language."""
    if is_incomplete:
        reason = ctx.translate(N_("The task that makes this volume has not finished, or failed."))
        return {"condition": INCOMPLETE, "condition_reason": reason}
    if volume.condition is None:
        return {}
    reason = ctx.say(volume.condition_why or "", volume.condition_params or {})
    return {"condition": volume.condition, "condition_reason": reason}


def _chain(ctx: Ctx, host_id: str, volume: Volume) -> list[str]:
    """Paths that the volume is built on, as far as the host's pools show them."""
    found: list[str] = []
    path = volume.backing_path
    query = sa.select(Volume.backing_path).join(Pool, Pool.id == Volume.pool_id)
    query = visible(ctx, query.where(Pool.host_id == host_id), Volume, "pool.view")
    while path and path not in found and len(found) < DEEPEST:
        found.append(path)
        path = ctx.session.scalar(query.where(Volume.path == path).limit(1))
    return found
