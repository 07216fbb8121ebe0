"""The one door for work: a request becomes a task in the transaction of whoever submits it.

The engine takes the task up after the commit. A task holds what its plan locks until it ends: exclusively what it
changes, shared what it only reads. All locks are taken in the submitter's transaction, those of one call in one order,
also between two servers.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.access import audit
from app.access.context import Ctx
from app.access.find import find
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.notices import TASKS, WORK
from app.core.tasks.records import TaskBrief
from app.core.tasks.states import TaskState
from app.db.models import IdentityClaim, Reservation, Task
from app.tasks.locks import busy, holders, require_unlocked, take
from app.tasks.operation import Operation, P, Plan
from app.tasks.tasks import give_way


def submit(ctx: Ctx, operation: type[Operation[P]], parameters: P, *, batch_id: str | None = None) -> Task:
    """Write the task. Raises NotFound, NotAllowed, Busy, and what the operation's `check` raises."""
    plan = check(ctx, operation, parameters)
    for holder in _superseded(ctx, operation, plan.target.id):
        give_way(ctx, holder)
    locks = plan.all_locks()
    require_unlocked(ctx, *locks.holds, *locks.apart, reads=locks.reads)
    task = _task_of(ctx, operation(), parameters, plan, batch_id)
    ctx.session.add(task)
    ctx.session.flush()
    take(ctx, task.id, locks)
    ctx.session.add_all(
        Reservation(task_id=task.id, host_id=reservation.host_id, memory_bytes=reservation.memory_bytes)
        for reservation in plan.reservations
    )
    ctx.session.add_all(
        IdentityClaim(task_id=task.id, host_id=claim.host_id, uuid=claim.uuid, object_id=claim.object_id)
        for claim in plan.claims
    )
    ctx.session.flush()
    audit.record(ctx, task.kind, target=plan.target, task=task.id)
    ctx.notify(WORK, TASKS, task.id, plan.target.id)
    return task


def check(ctx: Ctx, operation: type[Operation[P]], parameters: P) -> Plan:
    """What submitting would do, without doing it: the preview. Raises as `submit`.

    Another task that holds the target alone is the first reason to refuse: what the rest looks at is about to change.
    """
    declared = operation()
    for touch in declared.touches(parameters):
        find(ctx, touch.model, touch.id, touch.privilege)
    holder = holders(ctx, [parameters.target_id], exclusive=True).get(parameters.target_id)
    if holder is not None and not supersedes(operation, holder):
        raise busy(ctx, holder)
    return declared.check(ctx, parameters)


def supersedes(operation: type[Operation[P]], holder: TaskBrief) -> bool:
    """Whether a task that holds a target ends for this operation."""
    return holder.kind in {supersede.kind for supersede in operation.supersedes}


def _superseded(ctx: Ctx, operation: type[Operation[P]], target_id: str) -> Sequence[TaskBrief]:
    if not operation.supersedes:
        return ()
    return [holder for holder in holders(ctx, [target_id]).values() if supersedes(operation, holder)]


def _task_of(ctx: Ctx, operation: Operation[P], parameters: P, plan: Plan, batch_id: str | None) -> Task:
    return Task(
        id=new_id(ObjectKind.TASK),
        kind=operation.kind,
        title=operation.title,
        params=parameters.model_dump(mode="json", by_alias=True),
        params_version=parameters.version,
        state=TaskState.QUEUED.value,
        message_params={},
        target_kind=plan.target.kind.value,
        target_id=plan.target.id,
        target_name=plan.target.name,
        host_id=plan.host.id,
        host_name=plan.host.name,
        actor_id=ctx.actor.user_id,
        actor_name=ctx.actor.name,
        batch_id=batch_id,
        cancellable=operation.cancellable,
        created_at=ctx.now,
    )
