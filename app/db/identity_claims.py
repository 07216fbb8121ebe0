"""Ids of what running tasks create."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.tasks.states import ACTIVE_TASK_STATES, TaskState
from app.db.chunks import chunks
from app.db.models import Task

CREATE = "vm.create"
BRING_BACK = "vm.bring_back"


def promised(session: Session, host_ids: Collection[str]) -> dict[tuple[str, str], str]:
    """Ids of VMs that running tasks make on these hosts, by host and UUID."""
    active = [state.value for state in ACTIVE_TASK_STATES]
    query = sa.select(Task.host_id, Task.kind, Task.target_id, Task.params).where(
        Task.kind.in_((CREATE, BRING_BACK)), Task.state.in_(active), Task.host_id.in_(list(host_ids))
    )
    return {
        (host_id, params["blueprint"]["uuid"] if kind == CREATE else params["uuid"]): target
        for host_id, kind, target, params in session.execute(query)
    }


def given_up(session: Session, vm_ids: Collection[str]) -> set[str]:
    """Those of these VMs that were to be made, and were not: what there is of them is being removed."""
    found: dict[str, str] = {}
    for some in chunks(vm_ids):
        query = sa.select(Task.target_id, Task.state).where(Task.target_id.in_(some), Task.kind == CREATE)
        found |= {row.target_id or "": row.state for row in session.execute(query)}
    return {target for target, state in found.items() if state != TaskState.SUCCEEDED.value}
