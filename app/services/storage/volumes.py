"""What is done with volumes: make, resize, clone, move, wipe, delete. Each is a task of its host."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from pydantic import BaseModel

from app.access.context import Ctx
from app.core.errors import Conflict, InvalidInput, NotFound
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.records import Ref
from app.core.storage.pools import FILE_POOLS, FIXED_POOLS, NETWORK_POOLS
from app.core.storage.volumes import (
    PoolChoice,
    VolumeClone,
    VolumeDetail,
    VolumeMaking,
    VolumeMove,
    VolumeMoving,
    VolumeResize,
    VolumeResizing,
    VolumeSpec,
    VolumeWork,
)
from app.core.tasks.records import TaskRecord
from app.core.vms.config import VolumePlan
from app.core.vms.states import VmState
from app.db.models import Host, Pool, Vm, Volume
from app.services.hosts.checks import require_workable
from app.services.storage import storage
from app.services.storage.volume_checks import require_usable
from app.services.storage.volume_locations import copy_locks, locks_of, name_lock, same_storage
from app.services.storage.volume_users import refuse_possibly_used, users_of
from app.services.vms.cloud_init_drives import holds_seed, refuse_seed
from app.tasks import tasks

DEEPEST = 64


def show_volume(ctx: Ctx, volume_id: str) -> VolumeDetail:
    """One volume, with its users. Raises NotFound."""
    record = storage.show_volume(ctx, volume_id)
    volume = ctx.session.get_one(Volume, volume_id)
    users = users_of(ctx, [volume])[volume.id]
    return VolumeDetail(
        **record.model_dump(),
        users=tuple(users),
        chain=tuple(_chain(ctx, record.host_id, volume)),
        freed_bytes=0 if users else volume.allocation_bytes,
        usable=volume.condition is None and not holds_seed(ctx.session, volume),
    )


def pools_for(ctx: Ctx, volume_id: str) -> list[PoolChoice]:
    """Running pools of the volume's host that have room for a copy of it."""
    ctx.require("volume.edit")
    query = sa.select(Volume, Pool.host_id).join(Pool, Pool.id == Volume.pool_id)
    volume, host_id = ctx.session.execute(query.where(Volume.id == volume_id)).one()
    pools = sa.select(Pool).where(
        Pool.host_id == host_id, Pool.state == "running", Pool.kind.not_in(FIXED_POOLS)
    )
    return [
        PoolChoice(id=each.id, name=each.name, available_bytes=each.available_bytes)
        for each in ctx.session.scalars(ctx.visible(pools.order_by(Pool.name), "pool.view"))
        if each.available_bytes > volume.allocation_bytes
    ]


def create_volume(ctx: Ctx, asked: VolumeSpec) -> TaskRecord:
    """Have a volume made. Raises InvalidInput naming the field, Conflict (volume_exists…), Busy."""
    ctx.require("volume.edit")
    pool, host = running_pool(ctx, asked.pool_id, "pool_id")
    plan = _plan(ctx, pool, asked)
    refuse_taken(ctx, pool, asked.name)
    return _make(ctx, "volume.create", pool, host, plan)


def clone_volume(ctx: Ctx, volume_id: str, asked: VolumeClone) -> TaskRecord:
    """Have a volume copied. Raises InvalidInput, Conflict (volume_busy, volume_exists…), Busy."""
    volume, pool, _ = _find(ctx, volume_id, "volume.edit")
    to, host = running_pool(ctx, asked.pool_id or pool.id, "pool_id")
    if to.host_id != pool.host_id:
        raise InvalidInput("pool_id", N_("is a storage pool of another host"))
    tasks.require_free(ctx, reads=locks_of(ctx.session, pool, volume.name))
    refuse_running(ctx, volume, N_("A copy of a disk that a guest writes to would be torn."))
    refuse_taken(ctx, to, asked.name)
    recorded = require_usable(ctx, volume, host.id)
    plan = _copy_plan(to, volume, recorded, asked.name, asked.format)
    refuse_narrow(ctx, to, volume.allocation_bytes)
    return _make(ctx, "volume.clone", to, host, plan)


def resize_volume(ctx: Ctx, volume_id: str, asked: VolumeResize) -> TaskRecord:
    """Have a volume made larger, also under a running VM, or smaller while nothing uses it.

    Raises InvalidInput, Conflict (volume_in_use, volume_busy), Busy.
    """
    volume, pool, host = _find(ctx, volume_id, "volume.edit")
    if asked.size_bytes == volume.capacity_bytes:
        raise InvalidInput("size_bytes", N_("is the size that it has"))
    tasks.require_free(ctx, *locks_of(ctx.session, pool, volume.name))
    refuse_possibly_used(ctx, volume)
    if asked.size_bytes < volume.capacity_bytes:
        if not asked.shrink:
            raise InvalidInput(
                "size_bytes",
                N_("is smaller than now: what lies behind it is lost"),
                hint=N_("Say `shrink` if that is meant."),
            )
        _refuse_used(ctx, volume)
    require_usable(ctx, volume, host.id)
    built = [each for each in users_of(ctx, [volume])[volume.id] if each.kind is ObjectKind.VOLUME]
    if built:
        raise _in_use(ctx, volume, built)
    running = _running(ctx, volume)
    if len(running) > 1 or any(vm.host_id != host.id for vm in running):
        raise _in_use(ctx, volume, [_vm_ref(vm) for vm in running])
    params = VolumeResizing(
        **_place(pool, volume).model_dump(),
        size_bytes=asked.size_bytes,
        shrink=asked.shrink,
        vm=running[0].uuid if running else None,
    )
    return _ask(ctx, "volume.resize", volume, host, params, {vm.id for vm in running})


def move_volume(ctx: Ctx, volume_id: str, asked: VolumeMove) -> TaskRecord:
    """Have a volume moved to another pool of its host; the VM that has it follows, also while it runs.

    Raises InvalidInput, Conflict (volume_in_use, volume_exists…), Busy.
    """
    volume, pool, host = _find(ctx, volume_id, "volume.edit")
    to, _ = running_pool(ctx, asked.pool_id, "pool_id")
    if to.id == pool.id:
        raise InvalidInput("pool_id", N_("is the pool where it is"))
    if to.host_id != pool.host_id:
        raise InvalidInput("pool_id", N_("is a storage pool of another host"))
    locks = locks_of(ctx.session, pool, volume.name) | locks_of(ctx.session, to, volume.name)
    tasks.require_free(ctx, *locks)
    refuse_possibly_used(ctx, volume)
    users = users_of(ctx, [volume])[volume.id]
    held = [each for each in users if each.kind is not ObjectKind.VM]
    if held or len(users) > 1:
        raise _in_use(ctx, volume, held or users)
    vms = list(ctx.session.scalars(sa.select(Vm).where(Vm.id.in_([each.id for each in users]))))
    if any(vm.host_id != host.id for vm in vms):
        raise _in_use(ctx, volume, users)
    if vms and to.kind in NETWORK_POOLS:
        raise InvalidInput(
            "pool_id",
            N_("volumes of a pool of kind %(kind)s have no path by which the VM could use its disk"),
            params={"kind": to.kind},
        )
    refuse_taken(ctx, to, volume.name)
    refuse_narrow(ctx, to, volume.allocation_bytes)
    recorded = require_usable(ctx, volume, host.id)
    params = VolumeMoving(
        **_place(pool, volume).model_dump(),
        to=_copy_plan(to, volume, recorded, volume.name, None),
        vms=tuple(vm.uuid for vm in vms),
    )
    return _ask(ctx, "volume.move", volume, host, params, locks | {vm.id for vm in vms}, {to.id})


def wipe_volume(ctx: Ctx, volume_id: str) -> TaskRecord:
    """Have a volume overwritten with zeros. Raises Conflict (volume_in_use), Busy."""
    volume, pool, host = _find(ctx, volume_id, "volume.delete")
    _refuse_used(ctx, volume)
    return _ask(ctx, "volume.wipe", volume, host, _place(pool, volume))


def delete_volume(ctx: Ctx, volume_id: str) -> TaskRecord:
    """Have a volume deleted. Raises Conflict (volume_in_use) naming the users, Busy."""
    volume, pool, host = _find(ctx, volume_id, "volume.delete")
    _refuse_used(ctx, volume)
    return _ask(ctx, "volume.delete", volume, host, _place(pool, volume))


def _find(ctx: Ctx, volume_id: str, privilege: str) -> tuple[Volume, Pool, Host]:
    ctx.require(privilege)
    query = sa.select(Volume, Pool, Host).join(Pool, Pool.id == Volume.pool_id)
    query = query.join(Host, Host.id == Pool.host_id).where(Volume.id == volume_id)
    row = ctx.session.execute(ctx.visible(query, "pool.view")).one_or_none()
    if row is None:
        raise NotFound(N_("There is no such volume."))
    ctx.require(privilege, row[0])
    refuse_seed(ctx, row[0])
    require_workable(ctx, row[2])
    return row[0], row[1], row[2]


def running_pool(ctx: Ctx, pool_id: str, field: str) -> tuple[Pool, Host]:
    """A pool that can take a volume now, and its host. Raises InvalidInput, Conflict."""
    query = sa.select(Pool, Host).join(Host, Host.id == Pool.host_id).where(Pool.id == pool_id)
    row = ctx.session.execute(ctx.visible(query, "pool.view")).one_or_none()
    if row is None:
        raise InvalidInput(field, N_("names no storage pool"))
    pool, host = row
    require_workable(ctx, host)
    if pool.state != "running":
        raise InvalidInput(field, N_("the storage pool does not run"), hint=N_("Start the pool first."))
    if pool.kind in FIXED_POOLS:
        raise InvalidInput(
            field,
            N_("volumes of a pool of kind %(kind)s are made by its storage system"),
            params={"kind": pool.kind},
        )
    return pool, host


def _plan(ctx: Ctx, pool: Pool, asked: VolumeSpec) -> VolumePlan:
    kind = asked.format or ("qcow2" if pool.kind in FILE_POOLS else "raw")
    if kind == "qcow2" and pool.kind not in FILE_POOLS:
        raise InvalidInput(
            "format", N_("pools of kind %(kind)s hold raw volumes"), params={"kind": pool.kind}
        )
    backing, size = None, asked.size_bytes
    if asked.backing_volume_id is not None:
        backing = _backing(ctx, pool, asked.backing_volume_id)
        if kind != "qcow2":
            raise InvalidInput("format", N_("only a qcow2 volume can be built on another"))
        size = size or backing.capacity_bytes
        if size < backing.capacity_bytes:
            raise InvalidInput(
                "size_bytes",
                N_("must be at least the backing volume's %(size)d bytes"),
                params={"size": backing.capacity_bytes},
            )
    if size is None:
        raise InvalidInput("size_bytes", N_("is needed without a backing volume"))
    if asked.preallocate:
        refuse_narrow(ctx, pool, size)
    return VolumePlan(
        pool=pool.uuid,
        name=asked.name,
        format=kind,
        size_bytes=size,
        preallocate=asked.preallocate and backing is None,
        backing_path=backing.path if backing else None,
        backing_format=require_usable(ctx, backing, pool.host_id) if backing else None,
    )


def _backing(ctx: Ctx, pool: Pool, volume_id: str) -> Volume:
    query = sa.select(Volume).join(Pool, Pool.id == Volume.pool_id)
    query = query.where(Volume.id == volume_id, Pool.host_id == pool.host_id)
    found: Volume | None = ctx.session.scalar(ctx.visible(query, "pool.view"))
    if found is None:
        raise InvalidInput("backing_volume_id", N_("names no volume of this host"))
    refuse_seed(ctx, found)
    if _running(ctx, found):
        raise InvalidInput("backing_volume_id", N_("is written to by a running VM"))
    return found


def _copy_plan(to: Pool, volume: Volume, recorded: str, name: str, format: str | None) -> VolumePlan:
    kind = format or ("qcow2" if recorded == "qcow2" and to.kind in FILE_POOLS else "raw")
    if kind == "qcow2" and to.kind not in FILE_POOLS:
        raise InvalidInput("format", N_("pools of kind %(kind)s hold raw volumes"), params={"kind": to.kind})
    return VolumePlan.model_validate(
        {
            "pool": to.uuid,
            "name": name,
            "format": kind,
            "size_bytes": volume.capacity_bytes,
            "clone_of": volume.path,
            "clone_format": recorded,
        }
    )


def _chain(ctx: Ctx, host_id: str, volume: Volume) -> list[str]:
    """Paths that the volume is built on, as far as the host's pools show them."""
    found: list[str] = []
    path = volume.backing_path
    query = (
        sa.select(Volume.backing_path).join(Pool, Pool.id == Volume.pool_id).where(Pool.host_id == host_id)
    )
    while path and path not in found and len(found) < DEEPEST:
        found.append(path)
        path = ctx.session.scalar(query.where(Volume.path == path).limit(1))
    return found


def _running(ctx: Ctx, volume: Volume) -> list[Vm]:
    """Running VMs whose disk the volume is."""
    ids = [each.id for each in users_of(ctx, [volume])[volume.id] if each.kind is ObjectKind.VM]
    vms = ctx.session.scalars(sa.select(Vm).where(Vm.id.in_(ids)))
    return [vm for vm in vms if VmState(vm.state).is_active]


def refuse_running(ctx: Ctx, volume: Volume, hint: str) -> None:
    """Raise Conflict (volume_busy) while running VMs have it as a disk. `hint` is a message id."""
    if running := _running(ctx, volume):
        raise Conflict(
            N_("The volume is in use."),
            why=N_("Running VMs have it as a disk: %(names)s."),
            hint=hint,
            code="volume_busy",
            params={"names": _names([_vm_ref(vm) for vm in running])},
        )


def _refuse_used(ctx: Ctx, volume: Volume) -> None:
    pool = ctx.session.get_one(Pool, volume.pool_id)
    tasks.require_free(ctx, *locks_of(ctx.session, pool, volume.name))
    if users := users_of(ctx, [volume])[volume.id]:
        raise _in_use(ctx, volume, users)
    refuse_possibly_used(ctx, volume)


def _in_use(ctx: Ctx, volume: Volume, users: Sequence[Ref]) -> Conflict:
    return Conflict(
        N_("The volume is in use."),
        why=N_("%(volume)s is used by: %(names)s."),
        hint=N_("Take it from them first."),
        code="volume_in_use",
        params={"volume": volume.name, "names": _names(users)},
    )


def refuse_taken(ctx: Ctx, pool: Pool, name: str) -> None:
    """Raise Conflict (volume_exists) when the pool has a volume of this name, through whichever host it was listed."""
    pools = same_storage(ctx.session, pool)
    taken = sa.select(Volume.id).where(Volume.pool_id.in_([each.id for each in pools]), Volume.name == name)
    if ctx.session.scalar(taken.limit(1)) is not None:
        raise Conflict(
            N_("The pool has a volume of this name already."),
            why=N_("Pool %(pool)s has “%(name)s”."),
            hint=N_("Choose another name for the volume, or another pool."),
            code="volume_exists",
            params={"pool": pool.name, "name": name},
        )


def refuse_narrow(ctx: Ctx, pool: Pool, needed: int) -> None:
    """Raise Conflict (pool_full) when so many bytes are not left in the pool."""
    if needed > pool.available_bytes:
        raise Conflict(
            N_("The storage pool is too full."),
            why=N_("It takes %(needed)d MiB; pool %(pool)s has %(free)d MiB left."),
            hint=N_("Choose another pool, or free some space first."),
            code="pool_full",
            params={"needed": -(-needed // 2**20), "pool": pool.name, "free": pool.available_bytes // 2**20},
        )


def _make(ctx: Ctx, kind: str, pool: Pool, host: Host, plan: VolumePlan) -> TaskRecord:
    locks = copy_locks(ctx.session, host.id, {path for path in (plan.clone_of, plan.backing_path) if path})
    task = tasks.enqueue(
        ctx,
        kind,
        target=Ref(kind=ObjectKind.POOL, id=pool.id, name=pool.name),
        host=Ref(kind=ObjectKind.HOST, id=host.id, name=host.name),
        params=VolumeMaking(volume=plan).model_dump(mode="json"),
        lock=name_lock(pool, plan.name),
        holds=locks_of(ctx.session, pool, plan.name),
        reads={pool.id} | locks.reads,
        apart=locks.apart,
    )
    return tasks.record_of(ctx, task)


def _ask(
    ctx: Ctx,
    kind: str,
    volume: Volume,
    host: Host,
    params: BaseModel,
    holds: Collection[str] = (),
    reads: Collection[str] = (),
) -> TaskRecord:
    pool = ctx.session.get_one(Pool, volume.pool_id)
    task = tasks.enqueue(
        ctx,
        kind,
        target=Ref(kind=ObjectKind.VOLUME, id=volume.id, name=volume.name),
        host=Ref(kind=ObjectKind.HOST, id=host.id, name=host.name),
        params=params.model_dump(mode="json"),
        holds={*locks_of(ctx.session, pool, volume.name), *holds},
        reads={pool.id, *reads},
    )
    return tasks.record_of(ctx, task)


def _place(pool: Pool, volume: Volume) -> VolumeWork:
    return VolumeWork(pool=pool.uuid, name=volume.name, path=volume.path)


def _vm_ref(vm: Vm) -> Ref:
    return Ref(kind=ObjectKind.VM, id=vm.id, name=vm.name)


def _names(users: Sequence[Ref]) -> str:
    return ", ".join(each.name for each in users[:5]) + (" …" if len(users) > 5 else "")
