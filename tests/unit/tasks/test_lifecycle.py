"""A task that must not begin ends as failed, with the reason, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from app.access.context import Services
from app.core.access.privileges import Role
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.tasks.states import TaskState
from app.db.models import Host, Task, User, Vm
from app.services.operations import load_operations
from app.tasks import lifecycle
from tests.integration.api.conftest import Inventory, fill

load_operations()


def queued(services: Services, vm: str, kind: str = "vm.start", **fields: Any) -> str:
    """A task that waits, of a VM."""
    row = {"id": new_id(ObjectKind.TASK), "kind": kind, "title": "t", "params": {}, "target_kind": "vm"}
    row |= {
        "target_id": vm,
        "state": TaskState.QUEUED.value,
        "actor_name": "ada",
        "created_at": datetime.now(UTC),
    }
    with services.database.begin() as session:
        session.add(Task(**row | fields))
    return str(row["id"])


def begun(services: Services, task_id: str) -> tuple[str, str | None]:
    """State and error code after the task was to begin."""
    with services.database.begin() as session:
        lifecycle.begin_task(services, session, task_id)
    with services.database.read() as session:
        task = session.get_one(Task, task_id)
        return task.state, (task.error or {}).get("code")


def observe_mode(services: Services, created: Inventory) -> None:
    with services.database.begin() as session:
        for host_id in created.hosts:
            session.get_one(Host, host_id).mode = "observe"


def disabled(services: Services, created: Inventory) -> None:
    with services.database.begin() as session:
        for host_id in created.hosts:
            session.get_one(Host, host_id).admin_state = "disabled"


def no_vm(services: Services, created: Inventory) -> None:
    with services.database.begin() as session:
        session.delete(session.get_one(Vm, created.vms[0]))


@pytest.mark.parametrize(
    ("fields", "change", "code"),
    [
        ({"kind": "vm.levitate"}, None, "unknown_kind"),
        ({"kind": "vm.rename", "params": {"name": 7}}, None, "unreadable_parameters"),
        ({"actor_id": "user_gone"}, None, "not_allowed"),
        ({}, observe_mode, "host_observed"),
        ({}, disabled, "host_disabled"),
        ({}, no_vm, "vm_gone"),
    ],
)
def test_a_task_that_must_not_begin_ends_as_failed(
    services: Services,
    fields: dict[str, Any],
    change: Callable[[Services, Inventory], None] | None,
    code: str,
) -> None:
    created = fill(services)
    task_id = queued(services, created.vms[0], **fields)
    if change is not None:
        change(services, created)
    assert begun(services, task_id) == (TaskState.FAILED.value, code)


def test_a_user_who_lost_the_privilege_meanwhile_starts_nothing(services: Services) -> None:
    created = fill(services)
    user = {"id": new_id(ObjectKind.USER), "name": "ada", "name_key": "ada", "role": Role.VIEWER.value}
    with services.database.begin() as session:
        session.add(User(**user, display="", password_hash="x", created_at=datetime.now(UTC), language="en"))
    task_id = queued(services, created.vms[0], actor_id=user["id"])
    assert begun(services, task_id) == (TaskState.FAILED.value, "not_allowed")


def test_a_run_after_a_crash_is_not_checked_again(services: Services) -> None:
    created = fill(services)
    task_id = queued(services, created.vms[0], actor_id="user_gone", acted_at=datetime.now(UTC))
    assert begun(services, task_id) == (TaskState.RUNNING.value, None)
