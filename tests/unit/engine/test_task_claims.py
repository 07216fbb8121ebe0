"""Slots of tasks: taken once, and given back whoever wins a race for the task."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from app.access.context import Services
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.tasks.states import TaskState
from app.db.models import Task
from app.engine.task_claims import SingleProcessTaskClaims
from app.engine.task_dispatcher import TaskDispatcher

KIND = "vm.start"


def test_a_task_is_claimed_once_until_it_is_released() -> None:
    claims = SingleProcessTaskClaims()
    assert claims.claim("task_1", "host_1")
    assert not claims.claim("task_1", "host_2")
    claims.run("task_1", "host_3")
    assert not claims.claim("task_1", "host_1")
    assert claims.held() == {"task_1": "host_3"}, "the VM has moved since the task was queued"
    claims.release("task_1")
    claims.release("task_1")
    assert claims.held() == {}
    assert claims.claim("task_1", "host_1")


def test_a_claim_is_withdrawn_only_while_the_task_does_not_run_here() -> None:
    claims = SingleProcessTaskClaims()
    claims.claim("task_1", "host_1")
    claims.withdraw("task_1")
    assert claims.held() == {}
    claims.claim("task_1", "host_1")
    claims.run("task_1", "host_1")
    claims.withdraw("task_1")
    assert claims.held() == {"task_1": "host_1"}
    claims.withdraw("task_2")


def test_of_many_that_claim_at_the_same_time_one_gets_the_task() -> None:
    claims, together = SingleProcessTaskClaims(), threading.Barrier(8)

    def claim(number: int) -> bool:
        together.wait()
        return claims.claim("task_1", f"host_{number}")

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(claim, range(8))).count(True) == 1


@pytest.fixture
def dispatcher(services: Services) -> Iterator[TaskDispatcher]:
    """A dispatcher with its task log open and no thread: the tests dispatch."""
    dispatcher = TaskDispatcher(services, lambda _: None, lambda _report, _timeout_s: True)
    dispatcher._durable.start()
    yield dispatcher
    dispatcher.stop()


def queue_task(services: Services) -> str:
    """A task of a VM that is gone: it ends as soon as it begins."""
    task_id = new_id(ObjectKind.TASK)  # the log of DBOS on PostgreSQL outlives a test
    with services.database.begin() as session:
        row = Task(id=task_id, kind=KIND, title="Start", state=TaskState.QUEUED.value, actor_name="ada")
        row.target_kind, row.target_id, row.host_id = "vm", "vm_1", None
        row.params, row.created_at = {}, datetime.now(UTC)
        session.add(row)
    return task_id


def state_of(services: Services, task_id: str) -> str:
    with services.database.read() as session:
        return session.get_one(Task, task_id).state


def wait_until_ended(services: Services, dispatcher: TaskDispatcher, task_id: str) -> None:
    deadline = time.monotonic() + 120
    while state_of(services, task_id) != TaskState.FAILED.value or dispatcher._durable.knows(task_id):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_task_that_somebody_else_began_first_takes_no_slot(
    services: Services, dispatcher: TaskDispatcher
) -> None:
    task_id = queue_task(services)
    assert dispatcher._durable.begin(task_id)
    wait_until_ended(services, dispatcher, task_id)
    with services.database.begin() as session:  # as the queue was read just before
        session.execute(sa.update(Task).values(state=TaskState.QUEUED.value))
    dispatcher._start_queued()
    assert dispatcher.health.running == 0
    assert state_of(services, task_id) == TaskState.QUEUED.value, "it was not begun a second time"


def test_a_task_that_ran_to_its_end_and_one_that_could_not_begin_give_their_slots_back(
    services: Services, dispatcher: TaskDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = queue_task(services)

    def fail(_task_id: str) -> bool:
        raise OSError("the disk is full")

    with monkeypatch.context() as failing:
        failing.setattr(dispatcher._durable, "begin", fail)
        with pytest.raises(OSError, match="full"):
            dispatcher._start_queued()
    assert dispatcher.health.running == 0
    dispatcher._start_queued()
    wait_until_ended(services, dispatcher, task_id)
    assert dispatcher.health.running == 0
