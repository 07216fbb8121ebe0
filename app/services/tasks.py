"""Work that people ask for. The row is written in the asker's transaction; the engine takes it up after commit.

At most one active task holds an object (`lock`): a unique index decides, also between two servers.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.core.actions import HOST_OBSERVED, TASK_STATE_TITLES, VM_ACTIONS, VmVerb
from app.core.errors import Busy, Conflict, NotFound
from app.core.folding import fold
from app.core.ids import new_id
from app.core.messages import N_
from app.core.records import Page, Ref, TaskBrief, TaskError, TaskRecord
from app.core.specs import ActionOptions, TaskQuery
from app.core.states import ACTIVE_TASK_STATES, HostMode, ObjectKind, TaskState
from app.db.models import Audit, Host, Task, Vm
from app.services import audit
from app.services.context import Ctx
from app.services.notices import TASKS, WORK, Hub, notify
from app.services.paging import Order, mentions, page

ORDER = Order({"created_at": Task.created_at}, default="-created_at", unique=Task.id)
ACTIVE = tuple(state.value for state in ACTIVE_TASK_STATES)


@dataclass(frozen=True, slots=True)
class TaskWork:
    """What a task is to do, as read when it begins. `sent`: an earlier run of it sent what must not be repeated."""

    task_id: str
    kind: str
    host_id: str
    vm_id: str
    uuid: str
    options: ActionOptions
    sent: bool


def list_tasks(ctx: Ctx, asked: TaskQuery) -> Page[TaskRecord]:
    """Tasks, newest first."""
    query = ctx.visible(sa.select(Task), "task.view")
    for column, value in (
        (Task.target_id, asked.target),
        (Task.host_id, asked.host),
        (Task.batch_id, asked.batch),
        (Task.kind, asked.kind),
    ):
        if value:
            query = query.where(column == value)
    if asked.state:
        query = query.where(Task.state.in_([state.value for state in asked.state]))
    if asked.q:
        searched = (Task.target_name, Task.host_name, Task.actor_name)
        query = query.where(sa.or_(Task.title.in_(_titles(ctx, asked.q)), mentions(searched, asked.q)))
    return page(ctx, query, asked, ORDER, lambda rows: [record_of(ctx, row) for (row,) in rows])


def _titles(ctx: Ctx, text: str) -> list[str]:
    """Message ids of the titles that hold the text in the asker's language."""
    titles = {action.title for action in VM_ACTIONS.values()}
    return sorted(each for each in titles if fold(text) in fold(ctx.translate(each)))


def show_task(ctx: Ctx, task_id: str) -> TaskRecord:
    """One task. Raises NotFound."""
    return record_of(ctx, _get(ctx, task_id))


def cancel_task(ctx: Ctx, task_id: str) -> TaskRecord:
    """Ask a task to stop: one that has not begun ends at once, another when its operation sees it."""
    ctx.require("task.cancel")
    task = _get(ctx, task_id, lock=True)
    state = TaskState(task.state)
    if state.is_final:
        raise Conflict(
            ctx.translate(N_("The task has ended already.")),
            why=ctx.say(N_("Its state is “%(state)s”."), {"state": [TASK_STATE_TITLES[state]]}),
            code="task_ended",
        )
    if state is not TaskState.QUEUED and not task.cancellable:
        raise Conflict(
            ctx.translate(N_("This task cannot be cancelled once it has begun.")),
            why=ctx.translate(N_("The host does it in one step.")),
            hint=ctx.translate(N_("Wait for its end.")),
            code="not_cancellable",
        )
    _ask_to_stop(ctx, task)
    ctx.notify(WORK)
    return record_of(ctx, task)


def give_way(ctx: Ctx, holder: TaskBrief) -> None:
    """End a task that only waits for a guest, and let go of its VM at once, for a verb that does not wait."""
    task = _get(ctx, holder.id, lock=True)
    if TaskState(task.state).is_final:
        return
    task.lock = None
    _ask_to_stop(ctx, task)
    ctx.session.flush()


def _ask_to_stop(ctx: Ctx, task: Task) -> None:
    if task.state == TaskState.QUEUED.value:
        message = N_("Cancelled before it began.")
        _end(ctx.session, ctx.services.hub, task, TaskState.CANCELLED, message=message)
    else:
        task.state = TaskState.CANCELLING.value
        _tell(ctx.session, ctx.services.hub, task)
    audit.record(ctx, "task.cancel", target=Ref(kind=ObjectKind.TASK, id=task.id, name=task.kind))


def gives_way(holder: TaskBrief, verb: VmVerb) -> bool:
    """Whether a task that holds a VM ends for this verb."""
    return holder.kind in {f"vm.{each.value}" for each in VM_ACTIONS[verb].ends}


def enqueue_verb(
    ctx: Ctx,
    verb: VmVerb,
    vm: Ref,
    host: Ref,
    options: ActionOptions,
    *,
    batch_id: str | None = None,
) -> Task:
    """Write a task for a power verb on a VM. Raises Busy when another task holds the VM."""
    action = VM_ACTIONS[verb]
    task = Task(
        id=new_id(ObjectKind.TASK),
        kind=f"vm.{verb.value}",
        title=action.title,
        params=options.model_dump(),
        state=TaskState.QUEUED.value,
        message_params={},
        lock=vm.id,
        target_kind=vm.kind.value,
        target_id=vm.id,
        target_name=vm.name,
        host_id=host.id,
        host_name=host.name,
        actor_id=ctx.actor.user_id,
        actor_name=ctx.actor.name,
        batch_id=batch_id,
        cancellable=action.cancellable,
        created_at=ctx.now,
    )
    try:
        with ctx.session.begin_nested():
            ctx.session.add(task)
    except IntegrityError:
        raise busy(ctx, active_tasks(ctx, [vm.id])[vm.id]) from None
    audit.record(ctx, task.kind, target=vm, task=task.id)
    ctx.notify(WORK, TASKS, task.id, vm.id)
    return task


def active_tasks(ctx: Ctx, target_ids: Collection[str]) -> dict[str, TaskBrief]:
    """The active task of each of these objects that has one."""
    columns = (Task.target_id, Task.id, Task.kind, Task.title, Task.state, Task.progress)
    found: dict[str, TaskBrief] = {}
    ids = list(target_ids)
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        query = sa.select(*columns).where(Task.lock.in_(some), Task.state.in_(ACTIVE))
        for target, task_id, kind, title, state, progress in ctx.session.execute(query):
            found[str(target)] = TaskBrief(
                id=task_id, kind=kind, title=ctx.translate(title), state=TaskState(state), progress=progress
            )
    return found


def busy(ctx: Ctx, task: TaskBrief) -> Busy:
    """The error for an object that a task holds."""
    return Busy(
        ctx.translate(N_("Another task holds the VM.")),
        task_id=task.id,
        why=ctx.say(
            N_("“%(title)s” has the state “%(state)s”."),
            {"title": task.title, "state": [TASK_STATE_TITLES[task.state]]},
        ),
        hint=ctx.translate(N_("Wait for its end, or cancel it.")),
    )


# -- for the engine ------------------------------------------------------------------------------------------


def next_queued(session: Session, *, limit: int, full_hosts: Collection[str] = ()) -> list[tuple[str, str]]:
    """Ids and hosts of tasks that wait, oldest first, without those of hosts that have no room."""
    query = sa.select(Task.id, Task.host_id).where(Task.state == TaskState.QUEUED.value)
    if full_hosts:
        query = query.where(Task.host_id.not_in(full_hosts))
    rows = session.execute(query.order_by(Task.created_at, Task.id).limit(limit))
    return [(task_id, host_id or "") for task_id, host_id in rows]


def count_queued(session: Session) -> int:
    """How many tasks wait."""
    query = sa.select(sa.func.count()).select_from(Task).where(Task.state == TaskState.QUEUED.value)
    return session.scalar(query) or 0


def running(session: Session) -> list[str]:
    """Ids of tasks that have begun and not ended."""
    begun = (TaskState.RUNNING.value, TaskState.CANCELLING.value)
    return list(session.scalars(sa.select(Task.id).where(Task.state.in_(begun))))


def begin_task(session: Session, hub: Hub, task_id: str) -> TaskWork | None:
    """Mark a task as running and return what it is to do; None when it has ended already, or is gone."""
    task = session.get(Task, task_id, with_for_update=True)
    if task is None or TaskState(task.state).is_final:
        return None
    if task.state == TaskState.QUEUED.value:
        task.state = TaskState.RUNNING.value
    task.started_at = task.started_at or datetime.now(UTC)
    query = sa.select(Vm.uuid, Vm.host_id, Host.mode).join(Host, Host.id == Vm.host_id)
    vm = session.execute(query.where(Vm.id == task.target_id)).one_or_none()
    if vm is None:
        error = {"code": "vm_gone", "title": N_("The VM is not in the inventory any more.")}
        _end(session, hub, task, TaskState.FAILED, error=error)
        return None
    if vm.mode == HostMode.OBSERVE and task.sent_at is None:
        refused = HOST_OBSERVED  # since it was asked for; the operation looks at the VM's own state
        error = {"code": refused.code, "title": refused.reason, "hint": refused.hint}
        _end(session, hub, task, TaskState.FAILED, error=error)
        return None
    _tell(session, hub, task)
    return TaskWork(
        task_id=task.id,
        kind=task.kind,
        host_id=vm.host_id,
        vm_id=task.target_id or "",
        uuid=vm.uuid,
        options=ActionOptions.model_validate(task.params),
        sent=task.sent_at is not None,
    )


def report_progress(
    session: Session,
    hub: Hub,
    task_id: str,
    progress: int | None,
    message: str | None = None,
    params: dict[str, Any] | None = None,
) -> None:
    """Show how far a task has come. None leaves progress or message as it is."""
    task = session.get(Task, task_id)
    if task is None or TaskState(task.state).is_final:
        return
    if progress is not None:
        task.progress = progress
    if message is not None:
        task.message, task.message_params = message, params or {}
    _tell(session, hub, task)


def mark_sent(session: Session, task_id: str) -> None:
    """Note, before it is sent, that a step which must not be repeated is sent now."""
    session.execute(sa.update(Task).where(Task.id == task_id).values(sent_at=datetime.now(UTC)))


def is_cancelled(session: Session, task_id: str) -> bool:
    """Whether somebody asked the task to stop."""
    state = session.scalar(sa.select(Task.state).where(Task.id == task_id))
    return state in (TaskState.CANCELLING.value, TaskState.CANCELLED.value)


def finish_task(
    session: Session,
    hub: Hub,
    task_id: str,
    state: TaskState,
    *,
    message: str | None = None,
    params: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
    result: dict[str, Any] | None = None,
) -> None:
    """Write how a task ended, once: a task that has ended stays as it is."""
    task = session.get(Task, task_id, with_for_update=True)
    if task is not None and not TaskState(task.state).is_final:
        _end(session, hub, task, state, message=message, params=params, error=error, result=result)


def _end(
    session: Session,
    hub: Hub,
    task: Task,
    state: TaskState,
    *,
    message: str | None = None,
    params: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
    result: dict[str, Any] | None = None,
) -> None:
    task.state = state.value
    task.finished_at = datetime.now(UTC)
    task.message, task.message_params = message, params or {}
    task.error, task.result = error, result
    if state is TaskState.SUCCEEDED:
        task.progress = 100
    if state is TaskState.FAILED:
        session.add(
            Audit(
                at=task.finished_at,
                actor_id=task.actor_id,
                actor_name=task.actor_name,
                via="system",
                action=task.kind,
                object_kind=task.target_kind,
                object_id=task.target_id,
                object_name=task.target_name,
                outcome="failed",
                code=(error or {}).get("code"),
                detail={"task": task.id},
            )
        )
    _tell(session, hub, task)


def _tell(session: Session, hub: Hub, task: Task) -> None:
    notify(session, hub, TASKS, task.id, *([task.target_id] if task.target_id else []))


def _get(ctx: Ctx, task_id: str, *, lock: bool = False) -> Task:
    query = ctx.visible(sa.select(Task).where(Task.id == task_id), "task.view")
    task: Task | None = ctx.session.scalar(query.with_for_update() if lock else query)
    if task is None:
        raise NotFound(ctx.translate(N_("There is no such task.")))
    return task


def record_of(ctx: Ctx, task: Task) -> TaskRecord:
    """The task in the asker's language."""
    state = TaskState(task.state)
    return TaskRecord(
        id=task.id,
        kind=task.kind,
        title=ctx.translate(task.title),
        state=state,
        progress=task.progress,
        message=ctx.say(task.message, task.message_params) if task.message else None,
        target=_ref(task.target_kind, task.target_id, task.target_name),
        host=_ref(ObjectKind.HOST.value, task.host_id, task.host_name),
        actor=task.actor_name,
        created_at=task.created_at,
        started_at=task.started_at,
        finished_at=task.finished_at,
        cancellable=state is TaskState.QUEUED or (state is TaskState.RUNNING and task.cancellable),
        batch_id=task.batch_id,
        result=task.result,
        error=_error(ctx, task.error),
    )


def _ref(kind: str | None, object_id: str | None, name: str | None) -> Ref | None:
    if kind is None or object_id is None:
        return None
    return Ref(kind=ObjectKind(kind), id=object_id, name=name or object_id)


def _error(ctx: Ctx, error: dict[str, Any] | None) -> TaskError | None:
    if error is None:
        return None
    params = error.get("params") or {}

    def said(field: str) -> str | None:
        text = error.get(field)
        return ctx.say(text, params) if text else None

    return TaskError(
        code=error["code"],
        title=said("title") or "",
        why=said("why"),
        hint=said("hint"),
        detail=error.get("detail") if ctx.can("host.diagnose") else None,
        next_verb=error.get("next_verb"),
    )
