"""What operations on storage pools have in common."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, TypeVar

from sqlalchemy.orm import Session

from app.access.context import Ctx
from app.access.find import ref
from app.core.errors import Conflict, HypervisorRefused
from app.core.messages import N_
from app.db.models import Host, Pool
from app.services.hosts.manageable import require_manageable
from app.services.storage.reread import reread_pools
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed
from app.tasks.operation import Locks, Operation, Parameters, Plan, Touch

FILES_NAMED = 5


class PoolParameters(Parameters):
    """The pool, by libvirt's UUID on its host."""

    uuid: str


P = TypeVar("P", bound=PoolParameters)


class PoolOperation(Operation[P]):
    """An operation on a pool of the inventory. `privilege` is what it takes on the pool."""

    privilege: ClassVar[str]

    def touches(self, parameters: P) -> tuple[Touch, ...]:
        """The pool."""
        return (Touch(Pool, parameters.target_id, self.privilege),)

    def check(self, ctx: Ctx, parameters: P) -> Plan:
        """The pool on its host, held alone. Raises Conflict when nothing may be changed on the host."""
        pool, host = pool_and_host(ctx.session, parameters.target_id)
        require_manageable(ctx, host)
        return Plan(ref(pool), ref(host))


def pool_and_host(session: Session, pool_id: str) -> tuple[Pool, Host]:
    """The rows of a pool that was found, and of its host."""
    pool = session.get_one(Pool, pool_id)
    return pool, session.get_one(Host, pool.host_id)


def shared_locks(ctx: Ctx, pool: Pool, kind: str) -> Locks:
    """What a task holds that leaves a pool as it is: one of its kind at a time, beside tasks on volumes.

    Nobody waits for what nobody submitted, so a task by Vigie keeps none from changing the pool.
    """
    reads = set() if ctx.actor.via == "system" else {pool.id}
    return Locks(holds={f"{pool.id}/{kind}"}, reads=reads)


def require_off(ctx: Ctx, pool: Pool) -> None:
    """Raise Conflict (wrong_state) when the pool runs; when the task begins the host itself is looked at."""
    if pool.state != "inactive" and not ctx.begins:
        raise _wrong_state(N_("The storage pool runs."))


def require_running(ctx: Ctx, pool: Pool) -> None:
    """Raise Conflict (wrong_state) when the pool is off; when the task begins the host itself is looked at."""
    if pool.state == "inactive" and not ctx.begins:
        raise _wrong_state(N_("The storage pool is off."))


def _wrong_state(why: str) -> Conflict:
    return Conflict(N_("This cannot be done now."), why=why, code="wrong_state")


@contextmanager
def naming_broken_files(context: TaskContext, uuid: str) -> Iterator[None]:
    """Say which files made libvirt fail, for which it gives no cause. Raises TaskFailed (pool_unreadable)."""
    try:
        yield
    except HypervisorRefused as error:
        directory = context.call(lambda host: host.storage.directory_of(uuid))
        broken = (
            None if directory is None else context.call(lambda host: host.storage.broken_files(directory))
        )
        reread_pools(context, {uuid})
        if not broken:
            raise
        paths = [f"{directory}/{name}" for name in broken[:FILES_NAMED]]
        raise TaskFailed(
            "pool_unreadable",
            N_("libvirt cannot read the storage pool, and keeps it off."),
            why=N_("These files begin as disk images but are incomplete: %(paths)s."),
            hint=N_("If nobody needs them, delete them on the host and start the pool: %(command)s"),
            params={"paths": ", ".join(paths), "command": f"rm -- {shlex.join(paths)}"},
        ) from error
