"""Which leftovers of ended tasks are looked for, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from app.access.context import Services
from app.core.hosts.states import HostConnection
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.tasks.states import TaskState
from app.db.models import Host, Task
from app.tasks import lifecycle
from tests.integration.api.conftest import fill


def add_failed(services: Services, host_id: str, count: int) -> list[str]:
    ids = [new_id(ObjectKind.TASK) for _ in range(count)]
    now = datetime.now(UTC)
    with services.database.begin() as session:
        session.add_all(
            Task(
                id=task_id, kind="volume.create", title="Create the volume", state=TaskState.FAILED.value,
                host_id=host_id, params={}, created_at=now, finished_at=now, actor_name="x",
                created_resources=[{"kind": "volume", "pool": "p", "name": task_id}],
            )
            for task_id in ids
        )  # fmt: skip
    return ids


def test_leftovers_of_a_host_that_is_gone_do_not_keep_those_of_others_waiting(services: Services) -> None:
    answering, dead = fill(services).hosts
    with services.database.begin() as session:
        gone = sa.update(Host).where(Host.id == dead)
        session.execute(gone.values(connection=HostConnection.NOT_ANSWERING.value))
    add_failed(services, dead, 120)
    wanted = add_failed(services, answering, 1)
    with services.database.read() as session:
        assert [task_id for task_id, _, _ in lifecycle.created_by_ended_tasks(session)] == wanted
