"""What keeps operations from a volume or its pool: who uses it, names that are taken, pools that are full or off."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import known, ref, unrestricted, visible
from app.core.errors import Conflict, InvalidInput
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.records import Ref
from app.core.storage.pools import FIXED_POOLS
from app.core.vms.states import VmState
from app.db.models import Host, Pool, Vm, Volume
from app.services.hosts.manageable import require_manageable
from app.services.storage.pools.same_storage import same_storage
from app.services.storage.volumes.locks import locks_of
from app.services.storage.volumes.users import refuse_possibly_used, users_of
from app.tasks.locks import require_unlocked


def running_pool(ctx: Ctx, pool_id: str, field: str) -> tuple[Pool, Host]:
    """A pool that can take a volume now, and its host. Raises InvalidInput naming the field, Conflict."""
    query = sa.select(Pool, Host).join(Host, Host.id == Pool.host_id).where(Pool.id == pool_id)
    row = ctx.session.execute(visible(ctx, query, Pool, "pool.view")).one_or_none()
    if row is None:
        raise InvalidInput(field, N_("names no storage pool"))
    pool, host = row
    require_manageable(ctx, host)
    if pool.state != "running":
        raise InvalidInput(field, N_("the storage pool does not run"), hint=N_("Start the pool first."))
    if pool.kind in FIXED_POOLS:
        raise InvalidInput(
            field,
            N_("volumes of a pool of kind %(kind)s are made by its storage system"),
            params={"kind": pool.kind},
        )
    return pool, host


def running_vms(ctx: Ctx, volume: Volume) -> list[Vm]:
    """Running VMs whose disk the volume is."""
    ids = [user.id for user in users_of(ctx, [volume])[volume.id] if user.kind is ObjectKind.VM]
    vms = ctx.session.scalars(unrestricted(sa.select(Vm).where(Vm.id.in_(ids))))
    return [vm for vm in vms if VmState(vm.state).is_active]


def refuse_running(ctx: Ctx, volume: Volume, hint: str) -> None:
    """Raise Conflict (volume_busy) while running VMs have it as a disk. `hint` is a message id."""
    if running := running_vms(ctx, volume):
        raise Conflict(
            N_("The volume is in use."),
            why=N_("Running VMs have it as a disk: %(names)s."),
            hint=hint,
            code="volume_busy",
            params={"names": _names([ref(vm) for vm in running])},
        )


def refuse_used(ctx: Ctx, volume: Volume) -> None:
    """Raise Busy, Conflict (volume_in_use, volume_may_be_in_use) unless nothing uses the volume."""
    pool = known(ctx, Pool, volume.pool_id)
    require_unlocked(ctx, *locks_of(ctx.session, pool, volume.name))
    if users := users_of(ctx, [volume])[volume.id]:
        raise in_use(volume, users)
    refuse_possibly_used(ctx, volume)


def in_use(volume: Volume, users: Sequence[Ref]) -> Conflict:
    """The error for a volume that these use."""
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
    taken = sa.select(Volume.id).where(Volume.pool_id.in_([item.id for item in pools]), Volume.name == name)
    if ctx.session.scalar(unrestricted(taken.limit(1))) is not None:
        raise Conflict(
            N_("The pool has a volume of this name already."),
            why=N_("Pool %(pool)s has “%(name)s”."),
            hint=N_("Choose another name for the volume, or another pool."),
            code="volume_exists",
            params={"pool": pool.name, "name": name},
        )


def refuse_narrow(ctx: Ctx, pool: Pool, needed_bytes: int) -> None:
    """Raise Conflict (pool_full) when so many bytes are not left in the pool."""
    if needed_bytes > pool.available_bytes:
        raise Conflict(
            N_("The storage pool is too full."),
            why=N_("It takes %(needed)d MiB; pool %(pool)s has %(free)d MiB left."),
            hint=N_("Choose another pool, or free some space first."),
            code="pool_full",
            params={
                "needed": -(-needed_bytes // 2**20),
                "pool": pool.name,
                "free": pool.available_bytes // 2**20,
            },
        )


def _names(users: Sequence[Ref]) -> str:
    return ", ".join(user.name for user in users[:5]) + (" …" if len(users) > 5 else "")
