"""Have hosts read their pools anew; a host refuses that while it makes a volume in the pool."""

from __future__ import annotations

import time
from dataclasses import replace

from app.access.context import Ctx
from app.access.find import find
from app.core.errors import PoolBusy
from app.core.messages import N_
from app.core.tasks.records import TaskRecord
from app.db.models import Pool
from app.hypervisor import Host
from app.services.storage.pools.operation import (
    PoolOperation,
    PoolParameters,
    naming_broken_files,
    pool_and_host,
    require_running,
    shared_locks,
)
from app.services.storage.reread import reread_pools
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import LOOK_EVERY_S, TaskContext
from app.tasks.operation import Outcome, Plan
from app.tasks.submit import submit

PATIENCE_S = 20.0


@declare
class RefreshPool(PoolOperation[PoolParameters]):
    """Have the host read a pool anew, beside tasks on its volumes."""

    kind = "pool.refresh"
    title = N_("Read the storage pool anew")
    parameters = PoolParameters
    privilege = "pool.operate"

    def check(self, ctx: Ctx, parameters: PoolParameters) -> Plan:
        """Raises Conflict (wrong_state) when it is off."""
        plan = super().check(ctx, parameters)
        pool, _ = pool_and_host(ctx.session, parameters.target_id)
        require_running(ctx, pool)
        return replace(plan, locks=shared_locks(ctx, pool, self.kind), holds_target=False)

    def run(self, context: TaskContext, parameters: PoolParameters) -> Outcome:
        """Have it read."""
        with naming_broken_files(context, parameters.uuid):
            refresh_when_idle(context, parameters.uuid)
        reread_pools(context, {parameters.uuid})
        return Outcome(N_("The storage pool was refreshed."))


def refresh_pool(ctx: Ctx, pool_id: str) -> TaskRecord:
    """Have the host read a pool anew. Raises NotFound, Conflict (wrong_state), Busy."""
    pool = find(ctx, Pool, pool_id, RefreshPool.privilege)
    parameters = PoolParameters(target_id=pool.id, host_id=pool.host_id, uuid=pool.uuid)
    return tasks.record_of(ctx, submit(ctx, RefreshPool, parameters))


def refresh_when_idle(context: TaskContext, uuid: str) -> None:
    """Have the task's host read a pool anew, however long it makes a volume there. Raises Cancelled, HostError."""
    is_announced = False
    while not _refreshed(context, uuid):
        if not is_announced:
            context.say(None, N_("Waiting for the storage pool: the host is making a volume in it."))
            is_announced = True
        context.stop_if_cancelled()
        context.pause(LOOK_EVERY_S)


def refresh_if_idle(context: TaskContext, uuid: str) -> None:
    """The same where it helps but is not needed: given up after some seconds. Raises HostError."""
    deadline = time.monotonic() + PATIENCE_S
    while not _refreshed(context, uuid) and time.monotonic() < deadline:
        context.stop_if_cancelled()
        context.pause(LOOK_EVERY_S)


def _refreshed(context: TaskContext, uuid: str) -> bool:
    def refresh(host: Host) -> bool:
        try:
            host.storage.refresh(uuid)
        except PoolBusy:
            return False
        return True

    return context.call(refresh)
