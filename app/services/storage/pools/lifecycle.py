"""Start, stop and delete storage pools."""

from __future__ import annotations

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import find, unrestricted
from app.core.errors import Conflict
from app.core.messages import N_
from app.core.tasks.records import TaskRecord
from app.db.models import Pool, Volume
from app.services.storage.pools.operation import (
    PoolOperation,
    PoolParameters,
    naming_broken_files,
    pool_and_host,
    require_off,
    require_running,
)
from app.services.storage.reread import reread_pools
from app.services.storage.volumes.users import users_of
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.operation import Outcome, Plan
from app.tasks.submit import submit


@declare
class StartPool(PoolOperation[PoolParameters]):
    """Start a pool."""

    kind = "pool.start"
    title = N_("Start the storage pool")
    parameters = PoolParameters
    privilege = "pool.operate"
    explains = frozenset({"pool.state"})

    def check(self, ctx: Ctx, parameters: PoolParameters) -> Plan:
        """Raises Conflict (wrong_state) when it runs."""
        plan = super().check(ctx, parameters)
        require_off(ctx, pool_and_host(ctx.session, parameters.target_id)[0])
        return plan

    def run(self, context: TaskContext, parameters: PoolParameters) -> Outcome:
        """Start it."""
        with naming_broken_files(context, parameters.uuid):
            context.call(lambda host: host.storage.start_pool(parameters.uuid, build=False))
        reread_pools(context, {parameters.uuid})
        return Outcome(N_("The storage pool runs."))


@declare
class StopPool(PoolOperation[PoolParameters]):
    """Stop a pool; running VMs keep their disks open."""

    kind = "pool.stop"
    title = N_("Stop the storage pool")
    parameters = PoolParameters
    privilege = "pool.operate"
    explains = frozenset({"pool.state"})

    def check(self, ctx: Ctx, parameters: PoolParameters) -> Plan:
        """Raises Conflict (wrong_state) when it is off."""
        plan = super().check(ctx, parameters)
        require_running(ctx, pool_and_host(ctx.session, parameters.target_id)[0])
        return plan

    def run(self, context: TaskContext, parameters: PoolParameters) -> Outcome:
        """Stop it."""
        context.call(lambda host: host.storage.stop_pool(parameters.uuid))
        reread_pools(context, {parameters.uuid})
        return Outcome(N_("The storage pool is off."))


@declare
class DeletePool(PoolOperation[PoolParameters]):
    """Stop a pool and remove its definition; what it holds stays where it is."""

    kind = "pool.delete"
    title = N_("Delete the storage pool")
    parameters = PoolParameters
    privilege = "pool.edit"
    explains = frozenset({"pool.state", "pool.vanished"})

    def check(self, ctx: Ctx, parameters: PoolParameters) -> Plan:
        """Nobody may use its volumes on this host. Raises Conflict (pool_in_use) naming who does."""
        plan = super().check(ctx, parameters)
        query = sa.select(Volume).where(Volume.pool_id == plan.target.id)
        held = list(ctx.session.scalars(unrestricted(query)))
        own = {volume.id for volume in held}
        found = users_of(ctx, held, host_id=plan.host.id)  # on other hosts that share it nothing changes
        users = {user.name for item in found.values() for user in item if user.id not in own}
        if users:
            raise Conflict(
                N_("The storage pool is in use."),
                why=N_("Its volumes are used by: %(names)s."),
                hint=N_("Move their disks to another pool first."),
                code="pool_in_use",
                params={"names": ", ".join(sorted(users)[:5])},
            )
        return plan

    def run(self, context: TaskContext, parameters: PoolParameters) -> Outcome:
        """Stop it and remove its definition."""
        context.call(lambda host: host.storage.remove_pool(parameters.uuid))
        context.call(lambda host: host.pool_secrets.forget(parameters.uuid))
        reread_pools(context, {parameters.uuid})
        return Outcome(N_("The storage pool was removed; what it holds stays."))


def start_pool(ctx: Ctx, pool_id: str) -> TaskRecord:
    """Have a pool started. Raises NotFound, Conflict (wrong_state), Busy."""
    return _submit(ctx, StartPool, pool_id)


def stop_pool(ctx: Ctx, pool_id: str) -> TaskRecord:
    """Have a pool stopped; running VMs keep their disks open. Raises NotFound, Conflict (wrong_state), Busy."""
    return _submit(ctx, StopPool, pool_id)


def delete_pool(ctx: Ctx, pool_id: str) -> TaskRecord:
    """Have a pool stopped and its definition removed; what it holds stays where it is.

    Raises NotFound, Conflict (pool_in_use) naming who uses its volumes, Busy.
    """
    return _submit(ctx, DeletePool, pool_id)


def _submit(ctx: Ctx, operation: type[PoolOperation[PoolParameters]], pool_id: str) -> TaskRecord:
    pool = find(ctx, Pool, pool_id, operation.privilege)
    parameters = PoolParameters(target_id=pool.id, host_id=pool.host_id, uuid=pool.uuid)
    return tasks.record_of(ctx, submit(ctx, operation, parameters))
