"""Change a storage pool, or have an earlier definition count again."""

from __future__ import annotations

from app.access.context import Ctx
from app.access.find import find
from app.core.errors import Conflict, InvalidInput
from app.core.messages import N_
from app.core.storage.pool_paths import check_pool_path, check_source
from app.core.storage.pools import PoolPatch
from app.core.tasks.records import TaskRecord
from app.db.models import Pool
from app.hypervisor.xml import pools
from app.hypervisor.xml.domains.read import UnreadableXml
from app.services.storage.pools.operation import PoolOperation, PoolParameters, pool_and_host
from app.services.storage.reread import reread_pools
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.errors import changed_meanwhile
from app.tasks.operation import Outcome, Plan
from app.tasks.submit import submit

CHANGE = "change"  # the note that the change has begun: from then on the definition may be another


class ChangePoolParameters(PoolParameters):
    """Whether the pool is to start with its host."""

    autostart: bool


@declare
class ChangePool(PoolOperation[ChangePoolParameters]):
    """Start a pool with its host, or not."""

    kind = "pool.change"
    title = N_("Change the storage pool")
    parameters = ChangePoolParameters
    privilege = "pool.edit"
    redefines = True
    explains = frozenset({"pool.changed"})

    def run(self, context: TaskContext, parameters: ChangePoolParameters) -> Outcome:
        """Set it."""
        context.call(lambda host: host.storage.set_autostart(parameters.uuid, parameters.autostart))
        reread_pools(context, {parameters.uuid})
        return Outcome(N_("The storage pool was changed."))


class RestorePoolParameters(PoolParameters):
    """The definition that is to count again. `digest` is that of the definition which the submitter saw."""

    xml: str
    digest: str | None = None


@declare
class RestorePool(PoolOperation[RestorePoolParameters]):
    """Have an earlier definition of a pool that is off count again."""

    kind = "pool.define"
    title = N_("Restore the definition of the pool")
    parameters = RestorePoolParameters
    privilege = "pool.edit"
    redefines = True
    explains = frozenset({"pool.changed"})

    def check(self, ctx: Ctx, parameters: RestorePoolParameters) -> Plan:
        """The pool must be off, and lie where a new one may. Raises Conflict (wrong_state, not_persistent, place_refused)."""
        plan = super().check(ctx, parameters)
        pool, _ = pool_and_host(ctx.session, parameters.target_id)
        if pool.state != "inactive":
            raise Conflict(
                N_("This cannot be done now."),
                why=N_("The storage pool runs."),
                hint=N_("Stop it first: libvirt changes only the definition of a pool that is off."),
                code="wrong_state",
            )
        if not pool.persistent:
            raise Conflict(
                N_("This cannot be done now."),
                why=N_("Its host forgets it when it stops."),
                hint=N_("Define it on its host first."),
                code="not_persistent",
            )
        _check_places(ctx, pool.xml or "", parameters.xml)
        return plan

    def run(self, context: TaskContext, parameters: RestorePoolParameters) -> Outcome:
        """Define it, unless it is not what the submitter saw any more."""
        if not context.created_resources:
            now = context.call(lambda host: host.storage.definition_of(parameters.uuid))
            if parameters.digest != pools.digest(now):
                raise changed_meanwhile()
        context.note_creating(kind=CHANGE, uuid=parameters.uuid)
        context.call(lambda host: host.storage.redefine_pool(parameters.xml))
        reread_pools(context, {parameters.uuid})
        return Outcome(N_("The definition counts again."))


def change_pool(ctx: Ctx, pool_id: str, patch: PoolPatch) -> TaskRecord:
    """Have a pool started with its host, or not. Raises NotFound, Busy."""
    pool = find(ctx, Pool, pool_id, "pool.edit")
    parameters = ChangePoolParameters(
        target_id=pool.id, host_id=pool.host_id, uuid=pool.uuid, autostart=patch.autostart
    )
    return tasks.record_of(ctx, submit(ctx, ChangePool, parameters))


def restore_pool(ctx: Ctx, pool_id: str, xml: str) -> TaskRecord:
    """Have this definition of a pool count again. Raises Conflict (wrong_state, not_persistent, place_refused), Busy."""
    pool = find(ctx, Pool, pool_id, "pool.edit")
    parameters = RestorePoolParameters(
        target_id=pool.id,
        host_id=pool.host_id,
        uuid=pool.uuid,
        xml=xml,
        digest=pools.digest(pool.xml) if pool.xml else None,
    )
    return tasks.record_of(ctx, submit(ctx, RestorePool, parameters))


def _check_places(ctx: Ctx, before: str, after: str) -> None:
    """Raise Conflict (place_refused) when the version would put a pool where a new one may not be."""
    try:
        wanted = pools.read_places(after)
        if before and pools.read_places(before) == wanted:
            return  # where it lies is as it was found on its host
        check_source(wanted.kind, wanted.source_device, wanted.source_name)
        if wanted.target_path is not None:
            roots = ctx.services.settings.pool_roots
            check_pool_path(wanted.kind, wanted.target_path, roots, source_name=wanted.source_name)
    except UnreadableXml as error:
        why: str = str(error)[:300]
    except InvalidInput as error:
        why = f"{error.field}: {ctx.say(error.rule, dict(error.params or {}))}"
    else:
        return
    raise Conflict(
        N_("This version cannot be restored: a storage pool may not lie where it says."),
        why=why,
        hint=N_("Define the pool on its host if it has to be there, for example with virsh."),
        code="place_refused",
    )
