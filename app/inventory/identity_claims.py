"""The ids that tasks have given to what they create, before a host lists it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.tasks.states import ACTIVE_TASK_STATES, TaskState
from app.db.chunks import chunks
from app.db.models import IdentityClaim, Task

_ACTIVE = tuple(state.value for state in ACTIVE_TASK_STATES)


def claimed_ids(session: Session, host_ids: Iterable[str]) -> dict[tuple[str, str], str]:
    """Ids of what running tasks create on these hosts, by host and UUID."""
    query = sa.select(IdentityClaim.host_id, IdentityClaim.uuid, IdentityClaim.object_id)
    query = query.join(Task, Task.id == IdentityClaim.task_id)
    query = query.where(Task.state.in_(_ACTIVE), IdentityClaim.host_id.in_(list(host_ids)))
    return {(host_id, uuid): object_id for host_id, uuid, object_id in session.execute(query)}


def not_created(session: Session, object_ids: Collection[str]) -> set[str]:
    """Those of these objects that a task was to create, and did not: what there is of them is being removed."""
    last: dict[str, str] = {}
    for some in chunks(object_ids):
        query = sa.select(IdentityClaim.object_id, Task.state).join(Task, Task.id == IdentityClaim.task_id)
        query = query.where(IdentityClaim.object_id.in_(some)).order_by(Task.created_at, Task.id)
        last |= {row.object_id: row.state for row in session.execute(query)}
    return {object_id for object_id, state in last.items() if state != TaskState.SUCCEEDED.value}
