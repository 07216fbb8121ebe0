"""Work that people ask for. The row is written in the asker's transaction; the engine takes it up after commit.

A task holds what it names until it ends: exclusively what it changes, shared what it only reads. All locks are taken
in the asker's transaction, those of one call in one order, also between two servers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa

from app.access import audit
from app.access.context import Ctx
from app.access.paging import Order, mentions, page
from app.core.casefold import fold
from app.core.errors import Busy, Conflict, NotFound
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.notices import TASKS
from app.core.notices import WORK as WORK_TOPIC
from app.core.records import Page, Ref
from app.core.tasks.kinds import WORK
from app.core.tasks.records import TaskBrief, TaskError, TaskRecord
from app.core.tasks.specs import TaskQuery
from app.core.tasks.states import ACTIVE_TASK_STATES, TASK_STATE_TITLES, TaskState
from app.core.vms.actions import VM_ACTIONS, VmVerb
from app.db.models import Task, TaskLock
from app.tasks.queue import end, release, tell

ORDER = Order({"created_at": Task.created_at}, default="-created_at", unique=Task.id)
HOST_SAID = "host_said"  # of a result: what the host answered to what it did not do at once
ACTIVE = tuple(state.value for state in ACTIVE_TASK_STATES)


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
    titles = {each.title for each in WORK.values()}
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
            N_("The task has ended already."),
            why=N_("Its state is “%(state)s”."),
            code="task_ended",
            params={"state": [TASK_STATE_TITLES[state]]},
        )
    if state is not TaskState.QUEUED and not task.cancellable:
        raise Conflict(
            N_("This task cannot be cancelled once it has begun."),
            why=N_("The host does it in one step."),
            hint=N_("Wait for its end."),
            code="not_cancellable",
        )
    _ask_to_stop(ctx, task)
    ctx.notify(WORK_TOPIC)
    return record_of(ctx, task)


def give_way(ctx: Ctx, holder: TaskBrief) -> None:
    """End a task that only waits for a guest, and let go of its VM at once, for a verb that does not wait."""
    task = _get(ctx, holder.id, lock=True)
    if TaskState(task.state).is_final:
        return
    _ask_to_stop(ctx, task)
    release(ctx.session, task.id)
    ctx.session.flush()


def _ask_to_stop(ctx: Ctx, task: Task) -> None:
    if task.state == TaskState.QUEUED.value:
        message = N_("Cancelled before it began.")
        end(ctx.session, ctx.services.hub, task, TaskState.CANCELLED, message=message)
    else:
        task.state = TaskState.CANCELLING.value
        tell(ctx.session, ctx.services.hub, task)
    audit.record(ctx, "task.cancel", target=Ref(kind=ObjectKind.TASK, id=task.id, name=task.kind))


def gives_way(holder: TaskBrief, verb: VmVerb) -> bool:
    """Whether a task that holds a VM ends for this verb."""
    return holder.kind in {f"vm.{each.value}" for each in VM_ACTIONS[verb].ends}


def enqueue(
    ctx: Ctx,
    kind: str,
    *,
    target: Ref,
    host: Ref | None,
    params: dict[str, Any],
    lock: str | None = None,
    holds: Iterable[str] = (),
    reads: Iterable[str] = (),
    apart: Collection[str] = (),
    batch_id: str | None = None,
) -> Task:
    """Write a task. It holds `lock`, or else its target, and `holds`; `reads` it shares with others that read.

    `params` are plain values for the operation; never secrets. Raises Busy when another task holds any of these, or
    has any of `apart`, be it shared.
    """
    exclusive = {lock or target.id, *holds}
    shared = set(reads) - exclusive
    task = Task(
        id=new_id(ObjectKind.TASK),
        kind=kind,
        title=WORK[kind].title,
        params=params,
        state=TaskState.QUEUED.value,
        message_params={},
        target_kind=target.kind.value,
        target_id=target.id,
        target_name=target.name,
        host_id=host.id if host else None,
        host_name=host.name if host else None,
        actor_id=ctx.actor.user_id,
        actor_name=ctx.actor.name,
        batch_id=batch_id,
        cancellable=WORK[kind].cancellable,
        created_at=ctx.now,
    )
    require_free(ctx, *exclusive, *apart, reads=shared)
    ctx.session.add(task)
    ctx.session.flush()
    ctx.session.add_all(TaskLock(name=name, task_id=task.id, exclusive=True) for name in sorted(exclusive))
    ctx.session.add_all(TaskLock(name=name, task_id=task.id, exclusive=False) for name in sorted(shared))
    ctx.session.flush()
    audit.record(ctx, task.kind, target=target, task=task.id)
    ctx.notify(WORK_TOPIC, TASKS, task.id, target.id)
    return task


def vm_name_lock(host_id: str, name: str) -> str:
    """The name by which tasks hold the name of a VM that is to be on a host."""
    return f"{host_id}/vm/{fold(name)}"


def holders(ctx: Ctx, locks: Collection[str], *, exclusive: bool = False) -> dict[str, TaskBrief]:
    """An active task that holds each of these, where there is one. Most locks are ids of objects.

    `exclusive` leaves out those that only read it.
    """
    columns = (TaskLock.name, Task.id, Task.kind, Task.title, Task.state, Task.progress)
    found: dict[str, TaskBrief] = {}
    names = list(locks)
    for start in range(0, len(names), 500):
        query = sa.select(*columns).join(Task, Task.id == TaskLock.task_id)
        query = query.where(TaskLock.name.in_(names[start : start + 500]))
        if exclusive:
            query = query.where(TaskLock.exclusive.is_(True))
        for name, task_id, kind, title, state, progress in ctx.session.execute(query):
            found[str(name)] = TaskBrief(
                id=task_id, kind=kind, title=ctx.translate(title), state=TaskState(state), progress=progress
            )
    return found


def require_free(ctx: Ctx, *locks: str, reads: Collection[str] = ()) -> None:
    """Raise Busy when a task holds any of these. What is free stays so until this transaction ends.

    So a service looks here first, and then at who uses the thing: a task that ended in between has been heard.
    """
    _serialize(ctx, {*locks, *reads})
    found = holders(ctx, locks) | holders(ctx, reads, exclusive=True)
    for name in sorted(found):
        raise busy(ctx, found[name])


def _serialize(ctx: Ctx, names: Collection[str]) -> None:
    """Have others that want any of these wait until this transaction ends. SQLite has one writer at a time anyway."""
    if ctx.session.get_bind().dialect.name == "postgresql":
        for name in sorted(names):
            ctx.session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(name, 0))))


def busy(ctx: Ctx, task: TaskBrief) -> Busy:
    """The error for an object that a task holds."""
    holder = ctx.session.get_one(Task, task.id)
    return Busy(
        N_("Another task is at work on this."),
        task_id=task.id,
        why=N_("“%(title)s” (%(target)s, started by %(actor)s) has the state “%(state)s”."),
        hint=N_("Wait for its end, or cancel it."),
        params={
            "title": task.title,
            "target": holder.target_name or "–",
            "actor": holder.actor_name,
            "state": [TASK_STATE_TITLES[task.state]],
        },
    )


def _get(ctx: Ctx, task_id: str, *, lock: bool = False) -> Task:
    query = ctx.visible(sa.select(Task).where(Task.id == task_id), "task.view")
    task: Task | None = ctx.session.scalar(query.with_for_update() if lock else query)
    if task is None:
        raise NotFound(N_("There is no such task."))
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
        result=_result(ctx, task.result),
        error=_error(ctx, task.error),
    )


def _result(ctx: Ctx, result: dict[str, Any] | None) -> dict[str, Any] | None:
    """The result, with the host's own words only for those who may see them."""
    if result is None or HOST_SAID not in result or ctx.can("host.diagnose"):
        return result
    return {name: value for name, value in result.items() if name != HOST_SAID} or None


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
