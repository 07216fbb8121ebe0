"""Tasks as people see them: listed, shown, cancelled."""

from __future__ import annotations

import sqlalchemy as sa

from app.access import audit
from app.access.context import Ctx
from app.access.find import find, ref, ref_of, visible
from app.access.paging import Order, mentions, page
from app.core.errors import Conflict
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.notices import WORK as WORK_TOPIC
from app.core.records import Page
from app.core.tasks.records import TaskBrief, TaskError, TaskRecord
from app.core.tasks.specs import TaskQuery
from app.core.tasks.states import ACTIVE_TASK_STATES, TASK_STATE_TITLES, TaskState
from app.core.tasks.stored import StoredError
from app.db.models import Task
from app.tasks import catalogue
from app.tasks.lifecycle import Ending, end, publish
from app.tasks.locks import release

SORT_KEYS = Order({"created_at": Task.created_at}, default="-created_at", unique=Task.id)
HOST_SAID = "host_said"  # of a result: what the host answered to what it did not do at once
ACTIVE = tuple(state.value for state in ACTIVE_TASK_STATES)


def list_tasks(ctx: Ctx, params: TaskQuery) -> Page[TaskRecord]:
    """Tasks, newest first."""
    query = visible(ctx, sa.select(Task), Task, "task.view")
    for column, value in (
        (Task.target_id, params.target),
        (Task.host_id, params.host),
        (Task.batch_id, params.batch),
        (Task.kind, params.kind),
    ):
        if value:
            query = query.where(column == value)
    if params.state:
        query = query.where(Task.state.in_([state.value for state in params.state]))
    if params.q:
        searched = (Task.target_name, Task.host_name, Task.actor_name)
        titles = catalogue.titles_with(params.q, ctx.translate)
        query = query.where(sa.or_(Task.title.in_(titles), mentions(searched, params.q)))
    return page(ctx, query, params, SORT_KEYS, lambda rows: [record_of(ctx, row) for (row,) in rows])


def show_task(ctx: Ctx, task_id: str) -> TaskRecord:
    """One task. Raises NotFound."""
    return record_of(ctx, find(ctx, Task, task_id, "task.view"))


def cancel_task(ctx: Ctx, task_id: str) -> TaskRecord:
    """Ask a task to stop: one that has not begun ends at once, another when its operation sees it."""
    task = find(ctx, Task, task_id, "task.cancel", lock=True)
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
    task = find(ctx, Task, holder.id, "task.view", lock=True)
    if TaskState(task.state).is_final:
        return
    _ask_to_stop(ctx, task)
    release(ctx.session, task.id)
    ctx.session.flush()


def _ask_to_stop(ctx: Ctx, task: Task) -> None:
    if task.state == TaskState.QUEUED.value:
        message = N_("Cancelled before it began.")
        end(ctx.session, ctx.services.hub, task, Ending(TaskState.CANCELLED, message))
    else:
        task.state = TaskState.CANCELLING.value
        publish(ctx.session, ctx.services.hub, task)
    audit.record(ctx, "task.cancel", target=ref(task))


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
        target=ref_of(task.target_kind, task.target_id, task.target_name),
        host=ref_of(ObjectKind.HOST.value, task.host_id, task.host_name),
        actor=task.actor_name,
        created_at=task.created_at,
        started_at=task.started_at,
        finished_at=task.finished_at,
        cancellable=state is TaskState.QUEUED or (state is TaskState.RUNNING and task.cancellable),
        batch_id=task.batch_id,
        result=_result(ctx, task.result),
        error=_error(ctx, task.error),
    )


def _result(ctx: Ctx, result: dict[str, object] | None) -> dict[str, object] | None:
    """The result, with the host's own words only for those who may see them."""
    if result is None or HOST_SAID not in result or ctx.can("host.view-diagnostics"):
        return result
    return {name: value for name, value in result.items() if name != HOST_SAID} or None


def _error(ctx: Ctx, error: StoredError | None) -> TaskError | None:
    if error is None:
        return None
    params = error.get("params") or {}

    def text_of(text: str | None) -> str | None:
        return ctx.say(text, params) if text else None

    return TaskError(
        code=error["code"],
        title=text_of(error.get("title")) or "",
        why=text_of(error.get("why")),
        hint=text_of(error.get("hint")),
        detail=error.get("detail") if ctx.can("host.view-diagnostics") else None,
        next_verb=error.get("next_verb"),
    )
