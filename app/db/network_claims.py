"""Networks that are being created: the ids that they will have, so that tasks and events name the same object."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.tasks.states import ACTIVE_TASK_STATES
from app.db.models import Task

CREATE = ("network.create", "filter.create")


def reserved(session: Session, host_ids: Iterable[str]) -> dict[str, str]:
    """Ids of networks and filters that running tasks create on these hosts, by host and UUID."""
    active = [state.value for state in ACTIVE_TASK_STATES]
    ids = list(host_ids)
    query = sa.select(Task.host_id, Task.target_id, Task.params).where(
        Task.kind.in_(CREATE), Task.state.in_(active), Task.host_id.in_(ids)
    )
    return {f"{host} {params['uuid']}": target for host, target, params in session.execute(query)}
