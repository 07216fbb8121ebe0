"""Create a storage pool on a host."""

from __future__ import annotations

from uuid import uuid4

import sqlalchemy as sa
from pydantic import Field

from app.access.context import Ctx
from app.access.find import known, look_up, ref, unrestricted
from app.access.names import look_alikes
from app.core.casefold import fold
from app.core.errors import Conflict, HostError, InvalidInput
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.records import Ref
from app.core.storage.pools import PoolSpec, checked, secret_of
from app.core.tasks.records import TaskRecord
from app.db.models import Host, Pool
from app.services.hosts.manageable import require_manageable
from app.services.storage.reread import reread_pools
from app.services.storage.undo import POOL
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed
from app.tasks.operation import IdentityClaim, Locks, Operation, Outcome, Parameters, Plan, Touch
from app.tasks.submit import submit


class CreatePoolParameters(Parameters):
    """The pool to be, and the UUID that it gets. `secret` is sealed."""

    uuid: str
    spec: PoolSpec
    secret: str | None = Field(None, repr=False)


@declare
class CreatePool(Operation[CreatePoolParameters]):
    """Define a pool, make its directory or mount point where it has one, start it; removed again when that fails."""

    kind = "pool.create"
    title = N_("Create the storage pool")
    parameters = CreatePoolParameters
    creates = True
    explains = frozenset({"pool.appeared", "pool.state"})

    def touches(self, parameters: CreatePoolParameters) -> tuple[Touch, ...]:
        """The host."""
        return (Touch(Host, parameters.host_id, "pool.edit"),)

    def check(self, ctx: Ctx, parameters: CreatePoolParameters) -> Plan:
        """Name and path must be free on the host. Raises Conflict (name_taken), InvalidInput (target_path)."""
        host = known(ctx, Host, parameters.host_id)
        spec = parameters.spec
        require_manageable(ctx, host)
        _check_place(ctx, host, spec)
        return Plan(
            Ref(kind=ObjectKind.POOL, id=parameters.target_id, name=spec.name),
            ref(host),
            Locks(holds={f"{host.id}/pool/{fold(spec.name)}"}),
            claims=(IdentityClaim(host.id, parameters.uuid, parameters.target_id),),
        )

    def run(self, context: TaskContext, parameters: CreatePoolParameters) -> Outcome:
        """Define it, and start it."""
        uuid, spec = parameters.uuid, parameters.spec
        context.note_creating(kind=POOL, uuid=uuid)
        if parameters.secret is not None:
            secret = secret_of(spec.kind, context.open_sealed(parameters.secret)["secret"])
            context.call(lambda host: host.pool_secrets.keep(uuid, spec.kind, secret))
        try:
            if not context.call(lambda host: host.storage.has_pool(uuid)):
                context.call(lambda host: host.storage.define_pool(spec, uuid))
            if spec.start:
                context.call(lambda host: host.storage.start_pool(uuid, build=True))
            if spec.autostart:
                context.call(lambda host: host.storage.set_autostart(uuid, True))
        except (HostError, TaskFailed):
            context.roll_back()
            if (
                not context.created_resources
            ):  # else the host does not answer, and the rest is done on its return
                reread_pools(context, {uuid})
            raise
        reread_pools(context, {uuid})
        return Outcome(N_("The storage pool is defined."), result={"uuid": uuid})


def create_pool(ctx: Ctx, spec: PoolSpec) -> TaskRecord:
    """Have a pool defined, and started if that is asked. Raises InvalidInput, Conflict (name_taken), Busy."""
    ctx.require("pool.edit")
    spec = checked(spec, ctx.services.settings.pool_roots)
    host = look_up(ctx, Host, spec.host_id)
    if host is None:
        raise InvalidInput("host_id", N_("names no host"))
    secret = None
    if spec.auth_secret is not None:
        secret = ctx.services.vault.seal({"secret": spec.auth_secret.get_secret_value()}).decode()
    parameters = CreatePoolParameters(
        target_id=new_id(ObjectKind.POOL),
        host_id=host.id,
        uuid=str(uuid4()),
        spec=spec.model_copy(update={"auth_secret": None}),
        secret=secret,
    )
    task = submit(ctx, CreatePool, parameters)
    look_alikes.record_warning(ctx, Pool, spec.name, target=ref(host), host=ref(host), task_id=task.id)
    return tasks.record_of(ctx, task)


def _check_place(ctx: Ctx, host: Host, spec: PoolSpec) -> None:
    for pool in ctx.session.scalars(unrestricted(sa.select(Pool).where(Pool.host_id == host.id))):
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
