"""Tasks that wait to begin, and in which order."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.tasks.states import TaskState
from app.db.models import Task


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
