"""Whose work an observed change is: of a task that really sent something and whose effect it is, or of nobody here."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from app.access.context import Services
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.tasks.states import TaskState
from app.db import models
from tests.unit.inventory.test_observe import DB, WEB, World, definition, pool, vm

OFF = definition("off", xml="<domain type='kvm'/>")


@pytest.fixture
def world(services: Services) -> World:
    return World(services)


def task(world: World, kind: str, target: str, state: TaskState, **fields: object) -> str:
    """A task of alice's; `acted_at` and `finished_at` are seconds before now. `creates` is the UUID of its target."""
    uuid = fields.pop("creates", None)
    now = datetime.now(world.time.tzinfo)
    row = {
        "id": new_id(ObjectKind.TASK),
        "kind": kind,
        "title": "t",
        "state": state.value,
        "target_id": target,
    }
    row |= {"actor_name": "alice", "created_at": now, "started_at": now, "host_id": world.hosts["a"]}
    for name in ("acted_at", "finished_at"):
        ago = fields.pop(name, None)
        row[name] = None if ago is None else now - timedelta(seconds=ago)  # type: ignore[arg-type]
    with world.services.database.begin() as session:
        session.add(models.Task(**row | fields))
        if uuid is not None:
            session.flush()
            claim = {"task_id": row["id"], "object_id": target, "host_id": world.hosts["a"], "uuid": uuid}
            session.add(models.IdentityClaim(**claim))
    return str(row["id"])


@pytest.mark.parametrize(
    ("state", "acted_at", "finished_at", "code", "named"),
    [
        (TaskState.RUNNING, None, None, None, None),
        (TaskState.RUNNING, 1, None, None, "alice"),
        (TaskState.FAILED, None, 1, "vm_busy", None),
        (TaskState.FAILED, 300, 200, "vm_busy", None),
        (TaskState.FAILED, 300, 200, "outcome_unknown", "alice"),
        (TaskState.SUCCEEDED, 2, 1, None, "alice"),
        (TaskState.SUCCEEDED, 200, 100, None, None),
    ],
)
def test_a_failed_force_off_is_not_the_author_of_a_later_stop(
    world: World,
    state: TaskState,
    acted_at: int | None,
    finished_at: int | None,
    code: str | None,
    named: str | None,
) -> None:
    world.observe(world.sees("a", vm()))
    error = {"code": code} if code else None
    requested = {"acted_at": acted_at, "finished_at": finished_at, "error": error}
    task(world, "vm.force-off", world.vm().id, state, **requested)
    world.observe(world.sees("a", vm(state="shutoff", state_reason="destroyed")))
    stopped = world.events()[-1]
    assert (stopped.kind, stopped.actor_name) == ("vm.stopped", named)


def test_a_task_that_has_ended_explains_one_effect_only(world: World) -> None:
    world.observe(world.sees("a", vm(state="shutoff", domain_id=None)))
    task(world, "vm.start", world.vm().id, TaskState.SUCCEEDED, acted_at=2, finished_at=1)
    for number in (1, 2):
        world.observe(world.sees("a", vm(domain_id=number)))
        world.observe(world.sees("a", vm(state="shutoff")))
    started = [event.actor_name for event in world.events() if event.kind == "vm.started"]
    assert started == ["alice", None]


def test_what_vigie_creates_and_deletes_is_named_as_its_own(world: World) -> None:
    world.observe(world.sees("a"))
    new, back = new_id(ObjectKind.VM), new_id(ObjectKind.VM)
    task(world, "vm.create", new, TaskState.RUNNING, acted_at=1, creates=WEB)
    task(world, "vm.undelete", back, TaskState.RUNNING, acted_at=1, creates=DB)
    task(world, "pool.create", new_id(ObjectKind.POOL), TaskState.RUNNING, acted_at=1, creates=pool().uuid)
    world.observe(world.sees("a", vm(state="shutoff", definition=OFF), vm(DB, "shutoff", definition=OFF)))
    world.observe(world.report("a", pools=(pool(),)))
    assert {item.id for item in world.vms()} == {new, back}
    task(world, "vm.delete", new, TaskState.RUNNING, acted_at=1)
    with world.services.database.begin() as session:
        gone = {"id": new, "name": "n", "uuid": WEB, "host_id": world.hosts["a"], "xml": "<x/>"}
        gone |= {"autostart": False, "tags": [], "notes": "", "volumes": []}
        session.add(models.DeletedVm(**gone, deleted_at=world.time, deleted_by="alice"))
    world.observe(world.report("a", gone_vms=(WEB,)))
    reported = [(event.kind, event.actor_name) for event in world.events()[1:]]
    assert sorted(reported) == [
        ("pool.appeared", "alice"),
        ("vm.defined", "alice"),
        ("vm.defined", "alice"),
        ("vm.deleted", "alice"),
    ]


def test_the_history_of_a_vm_that_vigie_made_begins_with_its_task(world: World) -> None:
    world.observe(world.sees("a"))
    new = new_id(ObjectKind.VM)
    created = task(world, "vm.create", new, TaskState.RUNNING, acted_at=1, creates=WEB)
    world.observe(world.sees("a", vm(state="shutoff", definition=OFF)))
    with world.services.database.begin() as session:
        done = {"state": TaskState.SUCCEEDED.value, "finished_at": world.time - timedelta(hours=1)}
        session.execute(sa.update(models.Task).values(**done))
    other = definition("on", xml="<domain type='kvm'><!-- virsh edit --></domain>", vcpus=3)
    world.observe(world.sees("a", vm(state="shutoff", definition=other)))
    with world.services.database.read() as session:
        columns = (models.History.task_id, models.History.actor_name, models.History.since)
        versions = session.execute(sa.select(*columns).order_by(models.History.id)).all()
    assert [(row[0], row[1]) for row in versions] == [(created, "alice"), (None, None)]
    assert versions[0][2] is not None
