"""What hosts report becomes rows, events and notices: on both databases, without libvirt."""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from app.access.context import Services
from app.core.hosts.observations import HostFacts
from app.core.hosts.states import HostConnection
from app.core.ids import new_id
from app.core.inventory.reports import Hint, HostReport
from app.core.inventory.usage import Usage
from app.core.kinds import ObjectKind
from app.core.messages import filled
from app.core.networks.observations import NetworkObservation
from app.core.notices import TREE
from app.core.storage.observations import PoolObservation, VolumeObservation
from app.core.tasks.states import TaskState
from app.core.vms.observations import (
    DefinitionObservation,
    DeviceView,
    DiskView,
    GraphicsView,
    GuestInfo,
    NicView,
    VmObservation,
)
from app.core.vms.states import VmState
from app.db import models
from app.inventory.observe import observe, record_changes
from app.services.operations import load_operations
from app.tasks.explain import explain
from app.web.i18n import translator
from tests.unit.inventory.parts import parts_of

WEB, DB = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
FACTS = HostFacts(
    *("4c4c4544-0000-0000-0000-000000000001", "kvm-a", "QEMU", "9.0.0", "7.2.0", "x86_64"),
    *("Intel", "Broadwell", "Xeon", 1, 4, 2, 8, 2**34),
)


def definition(digest: str = "1", **changes: object) -> DefinitionObservation:
    vm_definition = DefinitionObservation(
        *("<domain/>", digest, "hvm", "x86_64", "q35", "efi", "kvm", 2, 4, "host-model", None, 2**31, 2**31),
        title="Shop",
        disks=(DiskView("vda", "disk", "virtio", "/pool/web.qcow2", "qcow2"),),
        nics=(NicView("52:54:00:AA:bb:01", "network", "default"),),
    )
    return replace(vm_definition, **changes)


def vm(uuid: str = WEB, state: str = "running", **changes: object) -> VmObservation:
    active = VmState(state).is_active
    vm_observation = VmObservation(
        uuid,
        f"vm-{uuid[0]}",
        VmState(state),
        None,
        1 if active else None,
        True,
        False,
        False,
        definition=definition(),
    )
    return replace(vm_observation, **changes)


REPORT_FIELDS = {field.name for field in fields(HostReport)}


class World:
    """Hosts a and b, and reports of them."""

    def __init__(self, services: Services) -> None:
        load_operations()
        self.services = services
        self.topics: set[str] = set()
        services.hub.listen(lambda topics: self.topics.update(topics))
        now = datetime.now(UTC)
        self.time = now
        with services.database.begin() as session:
            session.add(
                models.Datacenter(
                    id=new_id(ObjectKind.DATACENTER), name="dc", name_key="dc-test", created_at=now
                )
            )
            session.flush()
            datacenter = session.scalars(sa.select(models.Datacenter.id).limit(1)).one()
            self.hosts = {name: new_id(ObjectKind.HOST) for name in "ab"}
            for name, host_id in self.hosts.items():
                session.add(
                    models.Host(
                        **{"id": host_id, "datacenter_id": datacenter, "name": name, "name_key": name},
                        **{
                            "transport": "ssh",
                            "address": f"{name}.test",
                            "port": 22,
                            "user": "root",
                            "socket": "/s",
                        },
                        **{"mode": "managed", "connection": "connecting", "created_at": now},
                    )
                )

    def report(self, host: str, **seen: object) -> HostReport:
        self.time += timedelta(seconds=1)
        about = {name: seen.pop(name) for name in REPORT_FIELDS & seen.keys()}
        return HostReport(self.hosts[host], self.time, parts=parts_of(**seen), **about)

    def sees(self, host: str, *vms: VmObservation, **fields: object) -> HostReport:
        return self.report(host, listing=vms, **fields)

    def observe(self, *reports: HostReport) -> None:
        self.topics.clear()
        with self.services.database.begin() as session:
            changes = observe(session, reports)
            explain(session, changes)
            record_changes(session, self.services.hub, changes)

    def vms(self) -> list[models.Vm]:
        with self.services.database.read() as session:
            found = list(session.scalars(sa.select(models.Vm).order_by(models.Vm.created_at, models.Vm.id)))
            session.expunge_all()
            return found

    def vm(self) -> models.Vm:
        (only,) = self.vms()
        return only

    def host(self, name: str = "a") -> models.Host:
        with self.services.database.read() as session:
            found = session.get_one(models.Host, self.hosts[name])
            session.expunge_all()
            return found

    def events(self) -> list[models.Event]:
        with self.services.database.read() as session:
            found = list(session.scalars(sa.select(models.Event).order_by(models.Event.id)))
            session.expunge_all()
            return found

    def event_kinds(self) -> list[str]:
        return [event.kind for event in self.events()]


@pytest.fixture
def world(services: Services) -> World:
    return World(services)


def test_first_reading_makes_rows_and_one_event_for_the_host(world: World) -> None:
    world.observe(world.sees("a", vm(), vm(DB, "shutoff"), connection=HostConnection.CONNECTED, facts=FACTS))
    assert world.event_kinds() == ["host.connected", "host.read"]
    host = world.host()
    assert (host.connection, host.vm_count, host.vm_running, host.cpus) == ("connected", 2, 1, 8)
    web = next(item for item in world.vms() if item.uuid == WEB)
    assert (web.vcpus, web.title, web.state_since) == (2, "Shop", None)
    assert "52:54:00:aa:bb:01" in web.search_text
    assert {TREE, web.id, host.id} <= world.topics


def test_the_same_reading_again_changes_and_tells_nothing(world: World) -> None:
    world.observe(world.sees("a", vm(), connection=HostConnection.CONNECTED))
    before = world.event_kinds()
    world.observe(world.sees("a", vm(), connection=HostConnection.CONNECTED))
    assert world.event_kinds() == before
    assert world.topics == set()


@pytest.mark.parametrize(
    ("before", "after", "reason", "kind", "severity"),
    [
        ("shutoff", "running", "booted", "vm.started", "info"),
        ("running", "shutoff", "shutdown", "vm.stopped", "info"),
        ("running", "shutoff", "crashed", "vm.crashed", "error"),
        ("running", "crashed", None, "vm.crashed", "error"),
        ("running", "paused", "user", "vm.paused", "info"),
        ("paused", "running", None, "vm.resumed", "info"),
        ("running", "saved", "saved", "vm.saved", "info"),
    ],
)
def test_a_change_of_state_is_an_event(
    world: World, before: str, after: str, reason: str | None, kind: str, severity: str
) -> None:
    world.observe(world.sees("a", vm(state=before)))
    reported = len(world.events())
    world.observe(world.sees("a", vm(state=after, state_reason=reason)))
    (event,) = world.events()[reported:]
    assert (event.kind, event.severity, event.actor_name) == (kind, severity, None)
    assert event.message % event.params
    row = world.vm()
    assert (row.state, row.state_since) == (after, world.time)
    assert world.host().vm_running == (after == "running")


def test_two_starts_between_readings_are_seen_by_the_run(world: World) -> None:
    world.observe(world.sees("a", vm(domain_id=1)))
    world.observe(world.sees("a", vm(domain_id=2)))
    assert world.event_kinds()[-1] == "vm.started"


@pytest.mark.parametrize(("kind", "named"), [("vm.start", "alice"), ("vm.shutdown", None)])
def test_the_task_that_did_it_is_named_and_no_other(world: World, kind: str, named: str | None) -> None:
    world.observe(world.sees("a", vm(state="shutoff")))
    row = world.vm()
    with world.services.database.begin() as session:
        session.add(
            models.Task(
                **{
                    "id": new_id(ObjectKind.TASK),
                    "kind": kind,
                    "title": "t",
                    "state": TaskState.RUNNING.value,
                },
                **{
                    "target_id": row.id,
                    "actor_name": "alice",
                    "created_at": world.time,
                    "started_at": world.time,
                    "acted_at": world.time,
                },
            )
        )
    world.observe(world.sees("a", vm(state="running")))
    assert world.events()[-1].actor_name == named


def test_a_vm_that_a_complete_listing_lacks_is_missing_and_comes_back(world: World) -> None:
    world.observe(world.sees("a", vm()))
    world.observe(world.sees("a"))
    row = world.vm()
    assert (row.state, row.missing_since, world.host().vm_count) == ("missing", world.time, 0)
    assert world.event_kinds()[-1] == "vm.undefined"
    world.observe(world.sees("a"))
    assert world.event_kinds().count("vm.undefined") == 1
    world.observe(world.sees("a", vm()))
    assert (world.vm().id, world.vm().state, world.vm().missing_since) == (row.id, "running", None)
    assert world.event_kinds()[-1] == "vm.restored"


def test_a_partial_reading_makes_nothing_missing(world: World) -> None:
    world.observe(world.sees("a", vm(), vm(DB)))
    world.observe(world.report("a", vms=(vm(state="shutoff"),)))
    assert sorted(item.state for item in world.vms()) == ["running", "shutoff"]


def test_silence_changes_the_host_only(world: World) -> None:
    world.observe(world.sees("a", vm(), connection=HostConnection.CONNECTED))
    world.observe(HostReport(world.hosts["a"], None, HostConnection.NOT_ANSWERING, "It is silent.", {}))
    assert (world.host().connection, world.vm().state) == ("not_answering", "running")
    world.observe(HostReport(world.hosts["a"], None, HostConnection.CONNECTING))
    world.observe(HostReport(world.hosts["a"], None, HostConnection.NOT_ANSWERING))
    assert world.event_kinds().count("host.not_answering") == 1


def test_pages_of_vms_hear_that_their_host_fell_silent_and_came_back(world: World) -> None:
    world.observe(world.sees("a", vm(), connection=HostConnection.CONNECTED))
    for state, heard in (
        (HostConnection.NOT_ANSWERING, True),
        (HostConnection.CONNECTING, False),
        (HostConnection.CONNECTED, True),
    ):
        world.observe(HostReport(world.hosts["a"], None, state))
        assert (world.vm().id in world.topics) is heard, state


def test_a_reconnect_without_a_loss_is_no_event(world: World) -> None:
    for state in (HostConnection.CONNECTED, HostConnection.CONNECTING, HostConnection.CONNECTED):
        world.observe(world.report("a", connection=state))
    assert world.event_kinds() == ["host.connected"]


def test_a_transient_vm_that_ended_stays_as_missing(world: World) -> None:
    world.observe(world.sees("a", vm(persistent=False)))
    world.observe(world.report("a", gone_vms=(WEB,)))
    assert (world.vm().state, world.host().vm_count) == (VmState.MISSING, 0)
    assert world.event_kinds()[-1] == "vm.ended"


def test_a_transient_vm_that_moved_while_its_host_was_lost_keeps_its_notes(world: World) -> None:
    world.observe(world.sees("a", vm(persistent=False)), world.sees("b"))
    before = world.vm().id
    with world.services.database.begin() as session:
        session.get_one(models.Vm, before).notes = "ours"
    world.observe(world.report("a", connection=HostConnection.NOT_ANSWERING))
    world.observe(world.sees("a", connection=HostConnection.CONNECTED))  # no event told of the migration
    world.observe(world.sees("b", vm(persistent=False)))
    row = world.vm()
    assert (row.id, row.host_id, row.notes) == (before, world.hosts["b"], "ours")
    assert row.state == VmState.RUNNING


def test_a_rename_is_found_under_the_new_name(world: World) -> None:
    world.observe(world.sees("a", vm()))
    world.observe(world.sees("a", vm(name="Été", definition=None)))
    row = world.vm()
    assert (row.name, row.name_key) == ("Été", "été")
    assert "été" in row.search_text
    assert "52:54:00:aa:bb:01" in row.search_text
    assert world.event_kinds()[-1] == "vm.renamed"
    assert TREE in world.topics


def test_a_changed_definition_is_told_but_not_what_running_changes(world: World) -> None:
    world.observe(world.sees("a", vm()))
    off = definition(memory_bytes=2**32, devices=(DeviceView("channel", "unix org.qemu.guest_agent.0"),))
    world.observe(world.sees("a", vm(state="shutoff", definition=replace(off, digest="2"))))
    assert world.event_kinds()[-1] == "vm.changed"
    reported = len(world.event_kinds())
    running = replace(
        off,
        xml="<domain type='kvm' id='3'>",
        memory_bytes=2**30,
        cpu_mode="custom",
        cpu_model="Broadwell",
        nics=(NicView("52:54:00:AA:bb:01", "network", "default", target="vnet7"),),
        graphics=(GraphicsView("vnc", "127.0.0.1", 5900),),
        devices=(DeviceView("channel", "unix org.qemu.guest_agent.0 (connected)"),),
    )
    off = replace(off, graphics=(GraphicsView("vnc"),))
    for number, seen in enumerate((off, running, off, running, off)):
        world.observe(world.sees("a", vm(definition=replace(seen, digest=f"run {number}"))))
    (displays,) = [event for event in world.events()[reported:] if event.kind == "vm.changed"]
    assert displays.params["parts"] == ["Displays"]
    world.observe(world.sees("a", vm(definition=replace(off, digest="3", vcpus=3, memory_bytes=2**33))))
    changed = world.events()[-1]
    assert filled(translator("fr"), changed.message, changed.params).endswith(
        "modifiée\u00a0: vCPU, Mémoire."
    )
    assert world.vm().memory_bytes == 2**33
    with world.services.database.read() as session:
        assert session.get_one(models.VmDefinition, world.vm().id).digest == "3"


# Two hosts


def test_a_migration_moves_the_row(world: World) -> None:
    world.observe(world.sees("a", vm()), world.sees("b"))
    before = world.vm()
    world.observe(world.sees("b", vm(state="paused", is_migration_target=True)))
    assert world.vm().host_id == world.hosts["a"]
    world.observe(world.sees("b", vm(state_reason="migrated")), world.sees("a"))
    after = world.vm()
    assert (after.id, after.host_id, after.duplicate) == (before.id, world.hosts["b"], False)
    assert world.event_kinds()[-1] == "vm.migrated"
    assert (world.host("a").vm_count, world.host("b").vm_count) == (0, 1)


def test_a_migration_is_seen_when_the_target_speaks_first(world: World) -> None:
    world.observe(world.sees("a", vm()), world.sees("b"))
    world.observe(world.sees("b", vm(state_reason="migrated")))
    world.observe(world.sees("a"))
    assert world.vm().host_id == world.hosts["b"]
    assert "vm.duplicate" not in world.event_kinds()
    assert "vm.undefined" not in world.event_kinds()


@pytest.mark.parametrize("persistent", [True, False])
def test_a_migration_is_seen_when_the_source_speaks_first(world: World, persistent: bool) -> None:
    world.observe(world.sees("a", vm(persistent=persistent)), world.sees("b"))
    before = world.vm().id
    world.observe(world.report("a", gone_vms=(WEB,), hints=(Hint("vm", WEB, "stopped", "migrated"),)))
    world.observe(world.sees("b", vm(persistent=persistent, state_reason="migrated")))
    assert (world.vm().id, world.vm().host_id) == (before, world.hosts["b"])
    assert "vm.undefined" not in world.event_kinds()


def test_in_one_batch_the_listing_of_the_target_goes_over_a_late_one_of_the_source(world: World) -> None:
    world.observe(world.sees("a", vm()), world.sees("b"))
    late = world.sees("a", vm(state_reason="booted"))
    world.observe(world.sees("b", vm(state_reason="migrated")), late)
    assert (world.vm().host_id, world.vm().duplicate) == (world.hosts["b"], False)


def test_a_change_and_a_move_in_one_batch_end_as_the_move_says(world: World) -> None:
    world.observe(world.sees("a", vm(), vm(DB)), world.sees("b"))
    stopped = vm(state="shutoff", state_reason="migrated")
    world.observe(world.sees("a", stopped), world.sees("b", vm(DB), vm(state_reason="migrated")))
    assert [(item.host_id, item.state) for item in world.vms()] == [(world.hosts["b"], "running")] * 2


def test_two_new_copies_in_one_batch_are_both_marked(world: World) -> None:
    usage = {WEB: Usage(cpu_percent=5.0)}
    world.observe(world.sees("a", vm(), vm_usage=usage), world.sees("b", vm(), vm_usage=usage))
    assert [(item.duplicate, item.cpu_percent) for item in world.vms()] == [(True, 5.0)] * 2


def test_a_definition_left_on_the_source_is_no_second_vm(world: World) -> None:
    world.observe(world.sees("a", vm()), world.sees("b"))
    world.observe(world.sees("a", vm(state="shutoff", state_reason="migrated")), world.sees("b", vm()))
    for _ in range(2):
        world.observe(world.sees("a", vm(state="shutoff")), world.sees("b", vm()))
    assert world.vm().host_id == world.hosts["b"]


def wrong(world: World) -> dict[str, list[str]]:
    """Codes of the conditions that hold, by host of the VM."""
    with world.services.database.read() as session:
        rows = session.execute(
            sa.select(models.Vm.host_id, models.Condition.code)
            .join(models.Vm, models.Vm.id == models.Condition.object_id)
            .order_by(models.Condition.code)
        ).all()
    names = {host_id: name for name, host_id in world.hosts.items()}
    found: dict[str, list[str]] = {}
    for host_id, code in rows:
        found.setdefault(names[host_id], []).append(code)
    return found


def test_two_running_copies_are_two_rows_with_a_loud_condition_until_one_stops(world: World) -> None:
    world.observe(world.sees("a", vm(), connection=HostConnection.CONNECTED), world.sees("b"))
    first = world.vm().id
    world.observe(world.sees("b", vm()))
    assert [item.duplicate for item in world.vms()] == [True, True]
    assert wrong(world) == {"a": ["runs_twice"], "b": ["runs_twice"]}
    world.observe(world.sees("b", vm()), world.sees("a", vm()))
    assert world.event_kinds().count("vm.runs_twice") == 2
    world.observe(world.sees("b"))
    assert (world.vm().id, world.vm().host_id, world.vm().duplicate) == (first, world.hosts["a"], False)
    assert wrong(world) == {}
    assert world.event_kinds()[-1] == "vm.runs_twice_ended"


def test_a_vm_restarted_elsewhere_keeps_its_row_and_says_where_it_runs(world: World) -> None:
    world.observe(world.sees("a", vm(), connection=HostConnection.CONNECTED), world.sees("b"))
    first = world.vm().id
    world.observe(world.report("a", connection=HostConnection.NOT_ANSWERING))
    world.observe(world.sees("b", vm(state_reason="booted"), connection=HostConnection.CONNECTED))
    assert (world.vm().id, world.vm().host_id, world.vm().duplicate) == (first, world.hosts["b"], False)
    assert wrong(world) == {"b": ["may_run_elsewhere"]}
    for _ in range(2):
        world.observe(world.sees("a", vm(state="shutoff"), connection=HostConnection.CONNECTED))
        assert (world.vm().id, world.vm().host_id, world.vm().state) == (first, world.hosts["b"], "running")
        assert wrong(world) == {"b": ["defined_elsewhere"]}
    world.observe(world.sees("a"))
    assert wrong(world) == {}
    assert world.event_kinds()[-1] == "vm.defined_elsewhere_ended"


def test_the_copy_that_stops_gives_its_row_to_the_one_that_runs(world: World) -> None:
    world.observe(world.sees("a", vm(), connection=HostConnection.CONNECTED), world.sees("b"))
    first = world.vm().id
    world.observe(world.sees("b", vm()))
    assert len(world.vms()) == 2
    world.observe(world.sees("a", vm(state="shutoff")))
    assert (world.vm().id, world.vm().host_id, world.vm().duplicate) == (first, world.hosts["b"], False)
    assert wrong(world) == {"b": ["defined_elsewhere"]}


def test_a_second_definition_of_a_vm_that_is_off_is_no_second_row(world: World) -> None:
    world.observe(world.sees("a", vm(state="shutoff")))
    world.observe(world.sees("b", vm(state="shutoff")))
    assert world.vm().host_id == world.hosts["a"]
    assert wrong(world) == {"a": ["defined_elsewhere"]}
    world.observe(world.sees("b", vm()))  # it is started there
    assert world.vm().host_id == world.hosts["b"]
    world.observe(world.sees("a", vm(state="shutoff")), world.sees("b", vm()))
    assert wrong(world) == {"b": ["defined_elsewhere"]}


def test_when_the_older_copy_goes_its_history_lives_on_in_the_other(world: World) -> None:
    world.observe(world.sees("a", vm()), world.sees("b"))
    first = world.vm().id
    world.observe(world.sees("b", vm(name="other", definition=definition("b"))))
    world.observe(world.sees("a"))
    row = world.vm()
    assert (row.id, row.host_id, row.name, row.duplicate) == (first, world.hosts["b"], "other", False)
    with world.services.database.read() as session:
        assert session.get_one(models.VmDefinition, first).digest == "b"
    world.observe(world.sees("b", vm(name="other", definition=definition("b"))))
    assert world.vm().id == first


def test_the_same_machine_twice_says_so_and_its_vms_are_not_doubled(world: World) -> None:
    world.observe(world.sees("a", vm(), connection=HostConnection.CONNECTED, facts=FACTS))
    world.observe(world.sees("b", vm(), connection=HostConnection.CONNECTED, facts=FACTS))
    world.observe(world.sees("b", vm()))
    host = world.host("b")
    assert (host.connection, host.libvirt_uuid, host.connection_params) == (
        "identity_changed",
        None,
        {"host": "a"},
    )
    assert world.vm().host_id == world.hosts["a"]


def test_two_new_hosts_that_are_one_machine_in_one_batch(world: World) -> None:
    world.observe(*(world.report(name, connection=HostConnection.CONNECTED, facts=FACTS) for name in "ab"))
    assert sorted(world.host(name).connection for name in "ab") == ["connected", "identity_changed"]


# Guests, usage, stock


def test_guests_are_not_trusted(world: World) -> None:
    world.observe(world.sees("a", vm()))
    info = GuestInfo(
        True, "web\0\ud800" + "x" * 999, "<b>", (("52:54:00:aa:bb:01", "10.0.0.7"), ("", "no address"))
    )
    world.observe(world.report("a", guests={WEB: info}))
    row = world.vm()
    assert row.guest_hostname is not None
    assert row.guest_hostname.startswith("webxxx")
    assert len(row.guest_hostname) <= 255
    assert row.addresses == [["52:54:00:aa:bb:01", "10.0.0.7"]]
    assert "10.0.0.7" in row.search_text
    world.observe(world.report("a", guests={WEB: info}))
    assert world.topics == set()


@pytest.mark.parametrize(
    "end", ["shutoff", "crashed", "missing", "moved off", "stopped before the answer", "old row"]
)
def test_a_vm_that_does_not_run_has_no_address(world: World, end: str) -> None:
    info = GuestInfo(True, "shop", "Debian", (("52:54:00:aa:bb:01", "10.0.0.7"),))
    world.observe(world.sees("a", vm()), world.sees("b"))
    world.observe(world.report("a", guests={WEB: info}))
    assert "10.0.0.7" in world.vm().search_text
    if end in ("shutoff", "crashed"):
        world.observe(world.sees("a", vm(state=end, definition=None)))
    elif end == "missing":
        world.observe(world.sees("a"))
    elif end == "moved off":
        world.observe(world.sees("a"), world.sees("b", vm(state="shutoff")))
    elif end == "stopped before the answer":
        world.observe(world.sees("a", vm(state="shutoff", definition=None), guests={WEB: info}))
    else:
        with world.services.database.begin() as session:
            session.execute(sa.update(models.Vm).values(state="shutoff"))
        world.observe(world.sees("a", vm(state="shutoff")))
    row = world.vm()
    assert row.state != "running"
    assert (row.addresses, row.agent_connected, row.guest_hostname) == ([], False, "shop")
    assert "10.0.0.7" not in row.search_text
    assert row.id in world.topics


def test_usage_is_written_when_it_changes_noticeably(world: World) -> None:
    world.observe(world.sees("a", vm()))
    world.observe(world.report("a", vm_usage={WEB: Usage(cpu_percent=12.34, disk_read_bps=123456.7)}))
    row = world.vm()
    assert (row.cpu_percent, row.disk_read_bps) == (12.3, 123000.0)
    assert row.id in world.topics
    world.observe(world.report("a", vm_usage={WEB: Usage(cpu_percent=12.31, disk_read_bps=123100.0)}))
    assert world.topics == set()
    world.observe(world.report("a", vm_usage={}))
    assert world.vm().cpu_percent is None


def pool(state: str = "running", volumes: tuple[VolumeObservation, ...] | None = None) -> PoolObservation:
    return PoolObservation("p", "images", "dir", state, True, True, 100, 50, 50, "/pool", volumes)


def network(active: bool = True) -> NetworkObservation:
    return NetworkObservation("n", "default", active, True, True, "virbr0", "nat", ("10.0.0.1/24",), True)


def test_pools_volumes_and_networks_follow_their_host(world: World) -> None:
    disk = VolumeObservation("web.qcow2", "/pool/web.qcow2", "file", "qcow2", 10 * 2**30, 2**30)
    world.observe(world.report("a", listing=(vm(),), pools=(pool(volumes=(disk,)),), networks=(network(),)))
    assert world.vm().disk_bytes == 10 * 2**30
    assert world.event_kinds() == ["host.read"]
    world.observe(world.report("a", pools=(pool("inactive", ()),), networks=(network(False),)))
    assert world.event_kinds()[1:] == ["pool.state", "network.state"]
    reported = world.events()[1]
    message = filled(translator("fr"), reported.message, reported.params)
    assert "Inactif" in message
    assert "inactive" not in message
    world.observe(world.report("a", pools=(), networks=()))
    assert world.event_kinds()[3:] == ["pool.vanished", "network.vanished"]


def pool_xml(path: str = "/pool", permissions: str = "") -> str:
    return f"<pool type='dir'><name>images</name><target><path>{path}</path>{permissions}</target></pool>"


def test_starting_or_stopping_a_pool_makes_no_version_and_keeps_its_proof(world: World) -> None:
    """libvirt writes owner and mode of the directory into the definition of a pool that it starts or reads anew."""
    defined = replace(pool("inactive"), xml=pool_xml())
    filled = "<permissions><mode>0755</mode><owner>0</owner><group>0</group></permissions>"
    world.observe(world.sees("a", vm(), connection=HostConnection.CONNECTED))
    world.observe(world.report("a", pools=(defined,)))
    with world.services.database.begin() as session:
        session.execute(sa.update(models.Pool).values(shared_mark="mark", verified_at=world.time))
    reported = len(world.events())
    for permissions in (filled, filled.replace("0755", "0700"), ""):
        world.observe(world.report("a", pools=(replace(pool(), xml=pool_xml("/pool", permissions)),)))
    assert [event.kind for event in world.events()[reported:]] == ["pool.state"]
    with world.services.database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(models.History)) == 0
        assert session.scalar(sa.select(models.Pool.shared_mark)) == "mark"


def test_a_pool_defined_anew_while_it_runs_is_a_version_and_ends_its_proof_when_it_starts(
    world: World,
) -> None:
    """What runs is the storage that was proven; what waits for the next start is another."""
    old, new = pool_xml(), pool_xml("/elsewhere")
    world.observe(world.sees("a", vm(), connection=HostConnection.CONNECTED))
    world.observe(world.report("a", pools=(replace(pool(), xml=old),)))
    with world.services.database.begin() as session:
        session.execute(sa.update(models.Pool).values(shared_mark="mark", verified_at=world.time))
    waiting = replace(pool(), xml=new, live_xml=old)
    world.observe(world.report("a", pools=(waiting,)))
    assert world.event_kinds()[-1] == "pool.changed"
    with world.services.database.read() as session:
        assert session.scalar(sa.select(models.Pool.shared_mark)) == "mark"
    world.observe(world.report("a", pools=(replace(pool(), xml=new),)))
    assert world.event_kinds().count("pool.changed") == 1
    with world.services.database.read() as session:
        assert session.scalar(sa.select(models.Pool.shared_mark)) is None


def listed(world: World, *formats: str | None, size: int = 2**20) -> models.Volume:
    """The row of a volume that the host takes for one format after the other."""
    for format in formats:
        backing = "/etc/shadow" if format == "qcow2" else None
        seen = VolumeObservation("data.img", "/pool/data.img", "file", format, size, 0, backing)
        world.observe(world.report("a", pools=(pool(volumes=(seen,)),)))
    with world.services.database.read() as session:
        row = session.scalars(sa.select(models.Volume)).one()
        session.expunge_all()
        return row


def test_a_host_that_takes_a_volume_for_another_format_changes_nothing_but_its_condition(
    world: World,
) -> None:
    row = listed(world, "raw", "qcow2", "qcow2")
    assert (row.format, row.backing_path, row.condition) == ("raw", None, "format_disagrees")
    assert world.event_kinds().count("volume.held") == 1
    row = listed(world, "raw")
    assert (row.format, row.condition) == ("raw", None)


def test_a_definition_says_what_a_new_volume_is_whatever_its_content_says(world: World) -> None:
    disk = DiskView("vda", "disk", "virtio", "/pool/data.img", "raw")
    world.observe(world.sees("a", vm(definition=definition(disks=(disk,)))))
    row = listed(world, "qcow2")
    assert (row.format, row.format_by, row.condition) == ("raw", "definition", "format_disagrees")


def test_a_medium_and_an_empty_file_that_becomes_an_image_are_no_attack(world: World) -> None:
    assert listed(world, "raw", "iso").condition is None
    world.observe(world.report("a", pools=()))
    assert listed(world, None, size=0).format == "raw"
    assert (listed(world, "qcow2").format, listed(world, "qcow2").condition) == ("qcow2", None)


def test_the_volumes_of_a_pool_that_is_off_keep_what_is_recorded_of_them(world: World) -> None:
    listed(world, "raw")
    world.observe(world.report("a", pools=(pool("inactive", None),)))
    assert listed(world, "qcow2").format == "raw"


def test_of_a_pool_among_other_devices_only_its_volumes_are_no_danger(world: World) -> None:
    reaches = (("host_path", "/dev/sdz1"),)
    world.observe(world.sees("a", vm(definition=definition(reaches=reaches))))
    part = VolumeObservation("sdz1", "/dev/sdz1", "block", "raw", 10, 10)
    disk = replace(pool(volumes=()), kind="disk", target_path="/dev")
    for volumes, host_access in (((), ["host_path"]), ((part,), None), ((), ["host_path"])):
        world.observe(world.report("a", pools=(replace(disk, volumes=volumes),)))
        assert world.vm().host_access == host_access


def test_a_disk_in_a_pool_is_no_danger_once_the_pool_is_known(world: World) -> None:
    reaches = (("host_path", "/pool/web.qcow2"), ("filesystem", "0123"))
    world.observe(world.sees("a", vm(definition=definition(reaches=reaches))))
    assert world.vm().host_access == ["host_path", "filesystem"]
    world.observe(world.report("a", pools=(pool(),)))
    assert world.vm().host_access == ["filesystem"]
    assert world.vm().id in world.topics
    world.observe(world.sees("a", vm(definition=definition("2", reaches=reaches))))
    assert world.vm().host_access == ["filesystem"]
    world.observe(world.report("a", pools=()))
    assert world.vm().host_access == ["host_path", "filesystem"]
    world.observe(world.sees("a", vm(definition=definition("3"))))
    assert world.vm().host_access is None


LIVE = "<domain type='kvm' id='1'/>"


def stored(world: World) -> models.VmDefinition:
    with world.services.database.read() as session:
        found = session.scalars(sa.select(models.VmDefinition)).one()
        session.expunge_all()
        return found


def saved(digest: str = "s", **changes: object) -> DefinitionObservation:
    return definition(digest, xml=f"<domain>{digest}</domain>", **changes)


def test_a_saved_definition_is_put_beside_the_one_that_runs(world: World) -> None:
    world.observe(world.sees("a", vm(definition=definition(xml=LIVE))))
    assert (world.vm().pending, stored(world).saved_xml) == (None, None)
    world.observe(world.report("a", saved={WEB: saved()}))
    assert (world.vm().pending, stored(world).saved_xml, stored(world).xml) == (
        False,
        "<domain>s</domain>",
        LIVE,
    )
    world.observe(world.report("a", saved={WEB: saved("t", vcpus=1)}))
    assert (world.vm().pending, stored(world).pending) == (True, ["vCPUs"])
    assert world.event_kinds()[1:] == ["vm.changed"]
    with world.services.database.read() as session:
        versions = list(session.scalars(sa.select(models.History.xml).order_by(models.History.id)))
    assert versions == ["<domain>s</domain>", "<domain>t</domain>"]
    world.observe(world.report("a", saved={WEB: saved("t", vcpus=1), DB: saved()}))
    assert world.topics == set()


def test_both_definitions_of_one_batch_belong_together(world: World) -> None:
    first = world.sees("a", vm(definition=definition(xml=LIVE)))
    world.observe(first, world.report("a", saved={WEB: saved(vcpus=1)}))
    assert (world.vm().pending, stored(world).pending) == (True, ["vCPUs"])
    again = world.sees("a", vm(definition=definition("2", xml=LIVE)))
    world.observe(again, world.report("a", saved={WEB: saved("u")}), world.sees("a", vm(definition=None)))
    assert (world.vm().pending, stored(world).saved_digest) == (False, "u")


def test_a_saved_definition_that_comes_after_the_stop_is_dropped(world: World) -> None:
    world.observe(world.sees("a", vm(definition=definition(xml=LIVE))))
    off = world.sees("a", vm(state="shutoff", definition=saved()))
    world.observe(world.report("a", saved={WEB: saved("old", vcpus=1)}), off)
    assert (world.vm().pending, stored(world).xml, stored(world).saved_xml) == (
        False,
        "<domain>s</domain>",
        None,
    )
    world.observe(world.report("a", saved={WEB: saved("old", vcpus=1)}))
    assert stored(world).saved_xml is None


def test_numbers_that_no_column_holds_do_not_stop_the_mirror(world: World) -> None:
    huge = definition(memory_bytes=2**70, vcpus=2**40)
    world.observe(world.sees("a", vm(definition=huge)))
    assert world.vm().memory_bytes == 2**63 - 1


def test_what_a_removed_or_disabled_host_says_is_passed_over(world: World) -> None:
    with world.services.database.begin() as session:
        session.execute(
            sa.update(models.Host)
            .where(models.Host.name == "a")
            .values(admin_state="disabled", connection="not_answering")
        )
    gone = HostReport(
        new_id(ObjectKind.HOST), world.time, HostConnection.CONNECTED, parts=parts_of(listing=(vm(),))
    )
    world.observe(world.sees("a", vm(), connection=HostConnection.CONNECTED), gone)
    assert (world.vms(), world.host().connection) == ([], "not_answering")


def test_a_rolled_back_observation_tells_nobody(world: World, services: Services) -> None:
    def fail() -> None:
        with services.database.begin() as session:
            record_changes(session, services.hub, observe(session, [world.sees("a", vm())]))
            raise RuntimeError

    check: Callable[[], None] = fail
    with pytest.raises(RuntimeError):
        check()
    assert (world.topics, world.vms()) == (set(), [])


def test_a_hundred_missing_vms_cost_few_queries(world: World, services: Services) -> None:
    uuids = [f"{number:08d}-1111-1111-1111-111111111111" for number in range(100)]
    world.observe(world.sees("a", *(vm(uuid) for uuid in uuids)))
    requested: list[str] = []
    sa.event.listen(
        services.database.engine, "before_cursor_execute", lambda *args: requested.append(args[2])
    )
    world.observe(world.sees("a"))
    assert {item.state for item in world.vms()} == {"missing"}
    assert len(requested) < 30, requested


def test_what_waited_for_the_power_off_is_nobodys_change(world: World) -> None:
    one = DiskView("vda", "disk", "virtio", "/pool/web.qcow2", "qcow2")
    live = definition(xml="<domain type='kvm' id='1'>", disks=(one, replace(one, target="vdb")))
    world.observe(world.sees("a", vm(definition=live)))
    world.observe(world.report("a", saved={WEB: saved(disks=(one,))}))
    reported = len(world.event_kinds())
    world.observe(world.sees("a", vm(state="shutoff", definition=saved("off", disks=(one,)))))
    assert sorted(world.event_kinds()[reported:]) == ["vm.applied", "vm.stopped"]
    (applied,) = [event for event in world.events() if event.kind == "vm.applied"]
    assert applied.params["parts"] == ["Disks"]
