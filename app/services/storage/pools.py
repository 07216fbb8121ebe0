"""What is done with storage pools: define, start, stop, read anew, set, take away. Each is a task of its host."""

from __future__ import annotations

import uuid as uuids

import sqlalchemy as sa
from pydantic import BaseModel

from app.access import look_alikes
from app.access.context import Ctx
from app.core.casefold import fold
from app.core.errors import Conflict, InvalidInput, NotFound
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.records import Ref
from app.core.storage.pools import PoolChanging, PoolMaking, PoolPatch, PoolSpec, PoolWork, checked
from app.core.tasks.records import TaskRecord
from app.db.models import Host, Pool, Volume
from app.services.hosts.checks import require_workable
from app.services.storage.volume_users import users_of
from app.tasks import tasks


def create_pool(ctx: Ctx, spec: PoolSpec) -> TaskRecord:
    """Have a pool defined, and started if that is asked. Raises InvalidInput, Conflict (name_taken), Busy."""
    ctx.require("pool.edit")
    spec = checked(spec, ctx.services.settings.pool_roots)
    host: Host | None = ctx.session.scalar(
        ctx.visible(sa.select(Host).where(Host.id == spec.host_id), "host.view")
    )
    if host is None:
        raise InvalidInput("host_id", N_("names no host"))
    require_workable(ctx, host)
    same = sa.select(Pool).where(Pool.host_id == host.id)
    for pool in ctx.session.scalars(same):
        if pool.name == spec.name:
            raise Conflict(
                N_("The name is taken."),
                why=N_("The host has a storage pool “%(name)s” already."),
                hint=N_("Choose another name."),
                code="name_taken",
                params={"name": pool.name},
            )
        if spec.target_path and pool.target_path == spec.target_path:
            raise InvalidInput(
                "target_path", N_("is that of pool %(name)s already"), params={"name": pool.name}
            )
    secret = None
    if spec.auth_secret is not None:
        secret = ctx.services.vault.seal({"secret": spec.auth_secret.get_secret_value()}).decode()
    making = PoolMaking(
        uuid=str(uuids.uuid4()), spec=spec.model_copy(update={"auth_secret": None}), secret=secret
    )
    task = tasks.enqueue(
        ctx,
        "pool.create",
        target=_host_ref(host),
        host=_host_ref(host),
        params=making.model_dump(mode="json"),
        lock=f"{host.id}/pool/{fold(spec.name)}",
    )
    where = _host_ref(host)
    look_alikes.record_warning(ctx, Pool, spec.name, target=where, host=where, task_id=task.id)
    return tasks.record_of(ctx, task)


def start_pool(ctx: Ctx, pool_id: str) -> TaskRecord:
    """Have a pool started. Raises NotFound, Conflict (wrong_state), Busy."""
    pool, host = find_pool(ctx, pool_id, "pool.operate")
    refuse_state(ctx, pool, "inactive", N_("The storage pool runs."))
    return ask(ctx, "pool.start", pool, host, PoolWork(uuid=pool.uuid))


def stop_pool(ctx: Ctx, pool_id: str) -> TaskRecord:
    """Have a pool stopped; running VMs keep their disks open. Raises NotFound, Conflict (wrong_state), Busy."""
    pool, host = find_pool(ctx, pool_id, "pool.operate")
    refuse_state(ctx, pool, "running", N_("The storage pool is off."))
    return ask(ctx, "pool.stop", pool, host, PoolWork(uuid=pool.uuid))


def refresh_pool(ctx: Ctx, pool_id: str) -> TaskRecord:
    """Have the host read a pool anew. Raises NotFound, Conflict (wrong_state), Busy."""
    pool, host = find_pool(ctx, pool_id, "pool.operate")
    refuse_state(ctx, pool, "running", N_("The storage pool is off."))
    return ask(ctx, "pool.refresh", pool, host, PoolWork(uuid=pool.uuid), shared=True)


def change_pool(ctx: Ctx, pool_id: str, patch: PoolPatch) -> TaskRecord:
    """Have a pool started with its host, or not. Raises NotFound, Busy."""
    pool, host = find_pool(ctx, pool_id, "pool.edit")
    return ask(ctx, "pool.change", pool, host, PoolChanging(uuid=pool.uuid, autostart=patch.autostart))


def delete_pool(ctx: Ctx, pool_id: str) -> TaskRecord:
    """Have a pool stopped and its definition removed; what it holds stays where it is.

    Raises NotFound, Conflict (pool_in_use) naming who uses its volumes, Busy.
    """
    pool, host = find_pool(ctx, pool_id, "pool.edit")
    held = list(ctx.session.scalars(sa.select(Volume).where(Volume.pool_id == pool.id)))
    own = {volume.id for volume in held}
    found = users_of(ctx, held, host_id=host.id)  # on other hosts that share it nothing changes
    users = {user.name for each in found.values() for user in each if user.id not in own}
    if users:
        raise Conflict(
            N_("The storage pool is in use."),
            why=N_("Its volumes are used by: %(names)s."),
            hint=N_("Move their disks to another pool first."),
            code="pool_in_use",
            params={"names": ", ".join(sorted(users)[:5])},
        )
    return ask(ctx, "pool.delete", pool, host, PoolWork(uuid=pool.uuid))


def find_pool(ctx: Ctx, pool_id: str, privilege: str) -> tuple[Pool, Host]:
    """A pool on which something shall be done, and its host. Raises NotFound, Conflict."""
    ctx.require(privilege)
    query = sa.select(Pool, Host).join(Host, Host.id == Pool.host_id).where(Pool.id == pool_id)
    row = ctx.session.execute(ctx.visible(query, "pool.view")).one_or_none()
    if row is None:
        raise NotFound(N_("There is no such storage pool."))
    ctx.require(privilege, row[0])
    require_workable(ctx, row[1])
    return row[0], row[1]


def refuse_state(ctx: Ctx, pool: Pool, wanted: str, why: str) -> None:
    """Raise Conflict (wrong_state) unless the pool is in the state that is wanted: running or inactive."""
    if (pool.state == "inactive") != (wanted == "inactive"):
        raise Conflict(N_("This cannot be done now."), why=why, code="wrong_state")


def ask(
    ctx: Ctx, kind: str, pool: Pool, host: Host, params: BaseModel, *, shared: bool = False
) -> TaskRecord:
    """Queue a task on a pool. `shared`: tasks on its volumes may run at the same time. Raises Busy."""
    task = tasks.enqueue(
        ctx,
        kind,
        target=Ref(kind=ObjectKind.POOL, id=pool.id, name=pool.name),
        host=_host_ref(host),
        params=params.model_dump(mode="json"),
        lock=f"{pool.id}/{kind}" if shared else None,
        reads={pool.id}
        if shared and ctx.actor.via != "system"
        else (),  # nobody waits for what nobody asked for
    )
    return tasks.record_of(ctx, task)


def _host_ref(host: Host) -> Ref:
    return Ref(kind=ObjectKind.HOST, id=host.id, name=host.name)
