"""Locks of tasks: a task holds objects, names and places from its submission until its end."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.access.context import Ctx
from app.access.find import known, unrestricted
from app.core.errors import Busy
from app.core.messages import N_
from app.core.tasks.records import TaskBrief
from app.core.tasks.states import TASK_STATE_TITLES, TaskState
from app.db.chunks import chunks
from app.db.models import Task, TaskLock
from app.tasks.operation import Locks


def holders(ctx: Ctx, locks: Collection[str], *, exclusive: bool = False) -> dict[str, TaskBrief]:
    """An active task that holds each of these, where there is one. Most locks are ids of objects.

    `exclusive` leaves out those that only read it; the task that is being done (`ctx.task_id`) never counts.
    """
    columns = (TaskLock.name, Task.id, Task.kind, Task.title, Task.state, Task.progress)
    found: dict[str, TaskBrief] = {}
    for names in chunks(locks):
        query = sa.select(*columns).join(Task, Task.id == TaskLock.task_id)
        query = query.where(TaskLock.name.in_(names))
        if exclusive:
            query = query.where(TaskLock.exclusive.is_(True))
        if ctx.task_id is not None:
            query = query.where(Task.id != ctx.task_id)
        for name, task_id, kind, title, state, progress in ctx.session.execute(unrestricted(query)):
            found[str(name)] = TaskBrief(
                id=task_id, kind=kind, title=ctx.translate(title), state=TaskState(state), progress=progress
            )
    return found


def require_unlocked(ctx: Ctx, *locks: str, reads: Collection[str] = ()) -> None:
    """Raise Busy when a task holds any of these. What is free stays so until this transaction ends.

    So a service looks here first, and then at who uses the thing: a task that ended in between has been heard.
    """
    _serialize(ctx, {*locks, *reads})
    found = holders(ctx, locks) | holders(ctx, reads, exclusive=True)
    for name in sorted(found):
        raise busy(ctx, found[name])


def take(ctx: Ctx, task_id: str, locks: Locks) -> None:
    """Have a new task hold these. `require_unlocked` has found them free in this transaction."""
    ctx.session.add_all(TaskLock(name=name, task_id=task_id, exclusive=True) for name in sorted(locks.holds))
    ctx.session.add_all(TaskLock(name=name, task_id=task_id, exclusive=False) for name in sorted(locks.reads))


def release(session: Session, task_id: str) -> None:
    """Let go of all that the task holds."""
    session.execute(sa.delete(TaskLock).where(TaskLock.task_id == task_id))


def busy(ctx: Ctx, task: TaskBrief) -> Busy:
    """The error for an object that a task holds."""
    holder = known(ctx, Task, task.id)
    return Busy(
        N_("Another task is at work on this."),
        task_id=task.id,
        why=N_("“%(title)s” (%(target)s, started by %(actor)s) has the state “%(state)s”."),
        hint=N_("Wait for its end, or cancel it."),
        params={
            "title": [holder.title],
            "target": holder.target_name or "–",
            "actor": holder.actor_name,
            "state": [TASK_STATE_TITLES[task.state]],
        },
    )


def _serialize(ctx: Ctx, names: Collection[str]) -> None:
    """Have others that want any of these wait until this transaction ends. SQLite has one writer at a time anyway."""
    if ctx.session.get_bind().dialect.name == "postgresql":
        for name in sorted(names):
            ctx.session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(name, 0))))
