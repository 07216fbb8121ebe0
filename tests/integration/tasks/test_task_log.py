"""The log of running tasks cannot be written: tasks end truly all the same, and no place is lost."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from app.core.tasks.states import TaskState
from app.core.vms.power import VmVerb
from app.core.vms.states import VmState
from app.lab.lab import Lab
from tests.integration.conftest import MakeSite
from tests.integration.site import Site, eventually

pytestmark = [pytest.mark.lab]


@contextmanager
def refusing(site: Site, table: str) -> Iterator[None]:
    """The task log takes no new rows of this table."""
    path = site.services.settings.data_dir / "tasks.db"
    refuse = f"BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as log:
        log.execute(f"CREATE TRIGGER refuse {refuse}")
        try:
            yield
        finally:
            log.execute("DROP TRIGGER refuse")


def test_a_step_that_cannot_be_logged_ends_truly_and_gives_its_place_back(fresh_lab: Lab, site: Site) -> None:
    host = fresh_lab.hosts[0]
    host.create_guest("guest", boots=False)
    site.add(host)
    with refusing(site, "operation_outputs"):
        task = site.task(site.act("guest", VmVerb.START))
        assert task.state is TaskState.SUCCEEDED
        assert host.virsh("domstate", "guest") == "running"
        eventually(lambda: site.engine.health().tasks_running == 0, 5, "its place is free")


def test_a_task_that_cannot_be_begun_waits_and_holds_no_place(fresh_lab: Lab, site: Site) -> None:
    host = fresh_lab.hosts[0]
    host.create_guest("guest", boots=False)
    site.add(host)
    with refusing(site, "workflow_status"):
        task_id = site.act("guest", VmVerb.START)
        eventually(lambda: site.engine.health().tasks_queued == 1, 5, "it waits")
        eventually(lambda: site.engine.health().tasks_running == 0, 5, "it holds no place")
    assert site.task(task_id).state is TaskState.SUCCEEDED
    site.wait_vm("guest", VmState.RUNNING)


def test_every_task_that_waits_is_counted(fresh_lab: Lab, make_site: MakeSite) -> None:
    site = make_site(tasks_per_host=1, tasks_total=1)
    host = fresh_lab.hosts[0]
    host.create_guest("deaf", start=True, boots=False)
    names = [f"waits-{number}" for number in range(6)]
    for name in names:
        host.create_guest(name)
    site.add(host)
    first = site.act("deaf", VmVerb.SHUTDOWN, method="acpi", timeout_s=300)
    eventually(lambda: site.now(first).state is TaskState.RUNNING, 5, "the first has begun")
    waiting = [site.act(name, VmVerb.START) for name in names]
    eventually(lambda: site.engine.health().tasks_queued == len(names), 5, "all are counted")
    for task_id in [*waiting, first]:
        site.cancel(task_id)
    eventually(lambda: site.engine.health().tasks_queued == 0, 5, "none is left")
