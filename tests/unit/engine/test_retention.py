"""What is old goes and what is needed stays, in parts, on both databases."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from app.access import accounts
from app.access.context import Services
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.notices import TREE
from app.core.tasks.states import TaskState
from app.db.models import Audit, Condition, Datacenter, Event, Host, IdempotencyKey, Login, Tag, Task, Vm
from app.engine import retention


def never() -> bool:
    return False


def fill(services: Services) -> None:
    """One old and one new row of each kind, and an old task that still runs."""
    now = datetime.now(UTC)
    user = accounts.first_user(services, "ada", "correct horse battery")
    old, fresh = now - timedelta(days=10_000), now - timedelta(minutes=1)
    with services.database.begin() as session:
        for at, state in ((old, "succeeded"), (fresh, "succeeded"), (old, "running")):
            session.add(
                Task(
                    id=new_id(ObjectKind.TASK),
                    kind="vm.start",
                    title="Start",
                    state=TaskState(state),
                    actor_name="ada",
                    created_at=at,
                )
            )
        for at in (old, fresh):
            session.add(Event(at=at, kind="vm.started", severity="info", message="Started."))
            session.add(Audit(at=at, actor_name="ada", via="api", action="login", outcome="ok"))
            session.add(
                IdempotencyKey(user_id=user.id, key=str(at), request_sha256="x", answer={}, created_at=at)
            )
            session.add(
                Login(
                    id=new_id(ObjectKind.LOGIN),
                    secret_sha256=str(at),
                    user_id=user.id,
                    created_at=at,
                    last_seen_at=at,
                    expires_at=at + timedelta(hours=1),
                )
            )


def counts(services: Services) -> dict[str, int]:
    with services.database.read() as session:
        return {
            model.__tablename__: session.scalar(sa.select(sa.func.count()).select_from(model)) or 0
            for model in (Task, Event, Audit, IdempotencyKey, Login)
        }


def test_old_rows_go_and_a_task_that_runs_stays(services: Services) -> None:
    fill(services)
    before = counts(services)
    assert retention.forget_old(services, never) == 5
    after = counts(services)
    assert after == {name: number - 1 for name, number in before.items()}
    with services.database.read() as session:
        assert sorted(session.scalars(sa.select(Task.state))) == ["running", "succeeded"]
    assert retention.forget_old(services, never) == 0


def add_host(services: Services) -> None:
    now = datetime.now(UTC)
    with services.database.begin() as session:
        session.add(Datacenter(id="dc_1", name="dc", name_key="retention", created_at=now))
        session.flush()
        session.add(
            Host(
                **{"id": "host_1", "datacenter_id": "dc_1", "name": "a", "name_key": "a", "transport": "ssh"},
                **{"address": "a.test", "port": 22, "user": "root", "socket": "/s", "mode": "managed"},
                **{"connection": "connected", "created_at": now},
            )
        )


def missing_vm(name: str, at: datetime, *, persistent: bool = False, notes: str = "") -> Vm:
    return Vm(
        **{"id": f"vm_{name}", "host_id": "host_1", "uuid": name, "name": name, "name_key": name},
        **{"state": "missing", "persistent": persistent, "autostart": False, "missing_since": at},
        **{"notes": notes, "created_at": at},
    )


def test_an_ended_transient_vm_goes_with_an_event_and_a_notice_unless_somebody_wrote_about_it(
    services: Services,
) -> None:
    now = datetime.now(UTC)
    old, fresh = now - timedelta(days=2), now - timedelta(hours=1)
    add_host(services)
    with services.database.begin() as session:
        for name, persistent, at, notes in (
            ("ended", False, old, ""),
            ("just-ended", False, fresh, ""),
            ("noted", False, old, "ours"),
            ("tagged", False, old, ""),
            ("undefined", True, old, ""),
        ):
            session.add(missing_vm(name, at, persistent=persistent, notes=notes))
        session.add(Tag(object_id="vm_tagged", name="prod"))
    heard: set[str] = set()
    services.hub.listen(heard.update)
    assert retention.forget_old(services, never) == 1
    with services.database.read() as session:
        left = set(session.scalars(sa.select(Vm.name)))
        events = session.execute(sa.select(Event.kind, Event.object_id, Event.host_name)).all()
    assert left == {"just-ended", "noted", "tagged", "undefined"}
    assert [tuple(event) for event in events] == [("vm.removed-from-inventory", "vm_ended", "a")]
    assert {TREE, "vm_ended"} <= heard


def test_what_holds_of_a_vm_goes_with_it(services: Services) -> None:
    old = datetime.now(UTC) - timedelta(days=2)
    add_host(services)
    with services.database.begin() as session:
        for vm in (missing_vm("ended", old), missing_vm("noted", old, notes="ours")):
            session.add(vm)
            session.add(
                Condition(
                    **{"object_id": vm.id, "code": "disk_missing", "subject": "", "object_kind": "vm"},
                    **{"host_id": "host_1", "params": {}, "since": old},
                )
            )
    assert retention.forget_old(services, never) == 1
    with services.database.read() as session:
        assert list(session.scalars(sa.select(Condition.object_id))) == ["vm_noted"]


def test_more_than_one_part_goes(services: Services) -> None:
    old = datetime.now(UTC) - timedelta(days=10_000)
    number = 2 * retention.AT_ONCE + 1
    with services.database.begin() as session:
        session.add_all(
            Event(at=old, kind="vm.started", severity="info", message="Started.") for _ in range(number)
        )
    assert retention.forget_old(services, never) == number
    assert counts(services)["event"] == 0


def test_a_server_that_stops_leaves_the_rest_for_the_next_round(services: Services) -> None:
    fill(services)
    before = counts(services)
    assert retention.forget_old(services, lambda: True) == 0
    assert counts(services) == before


def test_a_definition_that_was_pasted_before_an_upgrade_is_forgotten_once_its_task_has_ended(
    services: Services,
) -> None:
    now = datetime.now(UTC)
    with services.database.begin() as session:
        for state in ("queued", "running", "succeeded", "failed"):
            session.add(
                Task(
                    **{"id": f"task_{state}", "kind": "vm.define", "title": "Define", "actor_name": "ada"},
                    **{"state": state, "created_at": now},
                    params={"uuid": "u", "xml": "<graphics passwd='s3cret99'/>", "sealed": None},
                )
            )
    retention.run_retention(services, lambda: None, never)
    with services.database.read() as session:
        params = {row.state: row.params for row in session.scalars(sa.select(Task))}
    kept = {state for state, item in params.items() if "xml" in item}
    assert kept == {"queued", "running"}
    assert params["failed"] == {"uuid": "u", "sealed": None}
