"""What happens on hosts shows in the mirror; what Vigie observes it does not change."""

import sqlite3
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.core.errors import Conflict, HypervisorRefused
from app.core.hosts.specs import HostPatch, HostSpec
from app.core.hosts.states import AdminState, HostConnection, HostMode
from app.core.tasks.states import TaskState
from app.core.vms.power import VmVerb
from app.core.vms.states import VmState
from app.db.models import Event, Network, Pool, Vm, VmDefinition, Volume
from app.engine.hosts import coordinator
from app.engine.hosts.event_debouncer import BURST
from app.engine.hosts.poll_errors import UNEXPECTED
from app.hypervisor import Host
from app.lab.lab import Lab
from app.lab.paths import POOLS
from app.services.hosts import hosts
from app.services.vms import vms
from tests.integration.conftest import MakeSite
from tests.integration.hypervisor.garbler import Garbler
from tests.integration.site import ACTOR, Site, eventually

pytestmark = [pytest.mark.lab]


def test_virsh_outside_shows_at_once(fresh_lab: Lab, site: Site) -> None:
    host = fresh_lab.hosts[0]
    site.add(host)
    spec = host.create_guest("outside", boots=False)
    assert site.wait_vm("outside", VmState.SHUTOFF) < 2
    host.virsh("start", "outside")
    assert site.wait_vm("outside", VmState.RUNNING) < 2
    host.virsh("suspend", "outside")
    assert site.wait_vm("outside", VmState.PAUSED) < 2
    host.virsh("resume", "outside")
    assert site.wait_vm("outside", VmState.RUNNING) < 2
    host.kill_qemu("outside")
    assert site.wait_vm("outside", VmState.CRASHED) < 2
    host.virsh("undefine", "outside")
    row = site.vm("outside")
    assert row is not None
    assert row.uuid == spec.uuid or spec.uuid is None
    assert site.wait_vm("outside", VmState.MISSING) < 2


def test_a_first_reading_has_it_all(fresh_lab: Lab, site: Site) -> None:
    host = fresh_lab.hosts[0]
    host.create_guest("one", start=True, boots=False)
    host.create_guest("two")
    host_id = site.add(host)
    row = site.host(host)
    assert (row.vm_count, row.vm_running) == (2, 1)
    with site.services.database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(VmDefinition)) == 2
    assert site.host(host).checks

    def has(model: type[Pool | Network]) -> bool:
        with site.services.database.read() as session:
            return session.scalar(sa.select(model.id).where(model.host_id == host_id).limit(1)) is not None

    eventually(lambda: has(Pool) and has(Network), 5, "pools and networks")


def test_usage_guest_and_volumes_follow(fresh_lab: Lab, make_site: MakeSite) -> None:
    site = make_site(refresh_s=1.0)
    host = fresh_lab.hosts[0]
    host.create_guest("busy", start=True)
    site.add(host)

    def measured() -> bool:
        vm, row = site.vm("busy"), site.host(host)
        return vm is not None and vm.cpu_percent is not None and row.cpu_percent is not None

    eventually(measured, 10, "usage")

    def shown() -> bool:
        vm = site.vm("busy")
        return vm is not None and bool(vm.addresses)

    eventually(shown, 60, "address of the guest")
    row = site.vm("busy")
    assert row is not None
    with site.services.database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Volume))
        shown = vms.show_vm(site.ctx(session), row.id)
    assert [bool(disk.capacity_bytes and disk.allocation_bytes) for disk in shown.disks] == [True]
    assert shown.disk_bytes == shown.disks[0].capacity_bytes
    host.virsh("destroy", "busy")
    site.wait_vm("busy", VmState.SHUTOFF)
    row = site.vm("busy")
    assert row is not None
    assert row.addresses == []


def test_power_operations_change_no_definition(fresh_lab: Lab, make_site: MakeSite) -> None:
    site = make_site(refresh_s=1.0, resync_s=2.0)
    host = fresh_lab.hosts[0]
    host.create_guest("power", start=True)
    site.add(host)
    site.wait_vm("power", VmState.RUNNING)

    def changes() -> list[list[str]]:
        with site.services.database.read() as session:
            reported = session.scalars(sa.select(Event).where(Event.kind == "vm.changed").order_by(Event.id))
            return [[event.object_name, *event.params["parts"]] for event in reported]

    def connected() -> bool:
        vm = site.vm("power")
        return vm is not None and vm.agent_connected

    eventually(connected, 90, "the guest's agent")
    site.do("power", VmVerb.SHUTDOWN)
    site.wait_vm("power", VmState.SHUTOFF)
    time.sleep(3)
    site.do("power", VmVerb.START)
    time.sleep(3)
    site.do("power", VmVerb.FORCE_OFF)
    site.wait_vm("power", VmState.SHUTOFF)
    time.sleep(3)
    assert changes() == []
    host.virsh("setvcpus", "power", "3", "--config", "--maximum")
    eventually(lambda: ["power", "vCPUs"] in changes(), 10, "an edit is told")
    time.sleep(2)
    assert changes().count(["power", "vCPUs"]) == 1


def test_observe_mode_changes_nothing(fresh_lab: Lab, make_site: MakeSite) -> None:
    site = make_site(refresh_s=1.0, resync_s=2.0)
    host = fresh_lab.hosts[0]
    host.create_guest("still")
    before = _definitions(host.directory)
    site.add(host, mode=HostMode.OBSERVE)
    with pytest.raises(Conflict) as refused:
        site.act("still", VmVerb.START)
    assert refused.value.code == "host_observed"
    time.sleep(5)
    assert _definitions(host.directory) == before
    assert host.virsh("domstate", "still") == "shut off"


def test_a_host_moved_to_the_address_of_another_touches_no_vm(fresh_lab: Lab, site: Site) -> None:
    one, other = fresh_lab.hosts[:2]
    one.create_guest("ones", boots=False)
    other.create_guest("others", boots=False)
    site.add(one)
    site.wait_vm("ones", VmState.SHUTOFF)
    other_id = site.add(other, transport="local")
    site.wait_vm("others", VmState.SHUTOFF)
    eventually(lambda: bool(site.host(one).libvirt_uuid and site.host(other).libvirt_uuid), 5, "facts")
    with site.services.database.begin() as session:
        hosts.update_host(site.ctx(session), other_id, HostPatch(socket=str(one.socket)))
    site.wait_host(other, HostConnection.IDENTITY_CHANGED, 10)
    time.sleep(1)
    ones, others = site.vm("ones"), site.vm("others")
    assert ones
    assert others
    assert (ones.host_id, ones.duplicate) == (site.host_ids[one.name], False)
    assert (others.host_id, others.state) == (other_id, VmState.SHUTOFF)
    with site.services.database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Vm)) == 2
        page = hosts.show_host(site.ctx(session), other_id)
    assert one.name in (page.connection_reason or "")


def test_a_task_that_waits_while_its_host_turns_to_observe_mode_changes_nothing(
    fresh_lab: Lab, make_site: MakeSite
) -> None:
    site = make_site(tasks_per_host=1)
    host = fresh_lab.hosts[0]
    host.create_guest("deaf", start=True, boots=False)
    host.create_guest("still")
    host_id = site.add(host)
    first = site.act("deaf", VmVerb.SHUTDOWN, method="acpi", timeout_s=300)  # takes the host's only place
    eventually(lambda: site.now(first).state is TaskState.RUNNING, 5, "the first has begun")
    waiting = site.act("still", VmVerb.START)
    with site.services.database.begin() as session:
        hosts.update_host(site.ctx(session), host_id, HostPatch(mode=HostMode.OBSERVE))
    site.cancel(first)
    task = site.task(waiting)
    assert (task.state, task.error and task.error.code) == (TaskState.FAILED, "host_observed")
    assert host.virsh("domstate", "still") == "shut off"


def _definitions(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*.xml") if path.is_file()}


def test_a_locked_database_is_waited_for(fresh_lab: Lab, make_site: MakeSite) -> None:
    site = make_site(busy_timeout_ms=500)
    host = fresh_lab.hosts[0]
    site.add(host)
    host.create_guest("late", boots=False)
    site.wait_vm("late", VmState.SHUTOFF)
    holder = sqlite3.connect(site.services.settings.data_dir / "vigie.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        host.virsh("start", "late")
        eventually(lambda: site.engine.health().writer_failing, 5, "the writer notices")
        time.sleep(4)
        assert site.engine.health().writer_lag_s > 3
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    assert site.wait_vm("late", VmState.RUNNING) < 4
    eventually(lambda: site.engine.health().writer_lag_s < 1, 5, "the writer has caught up")
    with site.services.database.read() as session:
        kinds = list(session.scalars(sa.select(Event.kind).where(Event.object_name == "late")))
    assert "vm.started" in kinds


def test_hosts_come_and_go_by_their_configuration(fresh_lab: Lab, site: Site) -> None:
    host = fresh_lab.hosts[0]
    host_id = site.add(host)
    with site.services.database.begin() as session:
        hosts.update_host(site.ctx(session), host_id, HostPatch(admin_state=AdminState.DISABLED))
    eventually(lambda: site.engine.host(host_id) is None, 5, "disabled")
    with site.services.database.begin() as session:
        hosts.update_host(site.ctx(session), host_id, HostPatch(admin_state=AdminState.ENABLED))
    eventually(lambda: site.engine.host(host_id) is not None, 5, "enabled")
    with site.services.database.begin() as session:
        hosts.remove_host(site.ctx(session), host_id)
    eventually(lambda: not site.engine.health().hosts, 5, "removed")


def test_volumes_are_read_when_a_pool_is_read_anew_or_started_by_others(fresh_lab: Lab, site: Site) -> None:
    """They were seen only with the next reading of all pools, up to ten minutes later."""
    host = fresh_lab.hosts[0]
    site.add(host)

    def known() -> set[str]:
        with site.services.database.read() as session:
            return set(session.scalars(sa.select(Volume.name)))

    host.virsh("vol-create-as", "local", "by-hand.img", "1M", "--format", "raw")
    site.wait_host(host, HostConnection.CONNECTED, 15)
    time.sleep(3)  # the first reading of all volumes is done
    for name in ("second.img", "third.img"):
        host.exec("truncate", "-s", "1M", f"{POOLS['local']}/{name}")
        if name == "second.img":
            host.virsh("pool-refresh", "local")
        else:
            host.virsh("pool-destroy", "local")
            host.virsh("pool-start", "local")
        eventually(lambda name=name: name in known(), 20, name)  # type: ignore[misc]
    for name in ("by-hand.img", "second.img", "third.img"):
        host.virsh("vol-delete", name, "--pool", "local")


def test_a_file_with_a_name_that_is_not_utf8_freezes_no_volumes(fresh_lab: Lab, site: Site) -> None:
    host = fresh_lab.hosts[0]
    host.create_guest("beside")
    host.exec("sh", "-c", "touch \"$(printf '/var/lib/libvirt/images/caf\\351.img')\"")
    try:
        host.virsh("pool-refresh", "local")
        site.add(host)

        def volumes() -> int:
            with site.services.database.read() as session:
                return session.scalar(sa.select(sa.func.count()).select_from(Volume)) or 0

        eventually(volumes, 10, "volumes")
    finally:
        host.exec("sh", "-c", "rm \"$(printf '/var/lib/libvirt/images/caf\\351.img')\"")
        host.virsh("pool-refresh", "local")
    row = site.host(host)
    assert (row.connection, row.connection_reason) == (HostConnection.CONNECTED, None)


def test_a_host_that_becomes_unreadable_says_why_until_it_is_read_again(
    fresh_lab: Lab, make_site: MakeSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordinator, "REFUSED_RETRY_S", 0.5)
    site = make_site(resync_s=1.0, refresh_s=1.0)
    host = fresh_lab.hosts[0]
    host.create_guest("seen", start=True, boots=False)
    garbler = Garbler(tmp_path / "libvirt-sock", host.socket, "<arch>")
    try:
        garbler.on = False
        spec = HostSpec(name=host.name, transport="local", socket=str(garbler.path))
        site.host_ids[host.name] = hosts.add_host(site.services, ACTOR, str, spec).id
        site.wait_host(host, HostConnection.CONNECTED, 10)
        garbler.on = True
        eventually(lambda: "UTF-8" in (site.host(host).connection_reason or ""), 10, "a reason")
        assert site.host(host).connection == HostConnection.CONNECTED
        host.virsh("suspend", "seen")
        site.wait_vm("seen", VmState.PAUSED)
        garbler.on = False
        eventually(lambda: site.host(host).connection_reason is None, 10, "no reason any more")
        assert site.host(host).connection == HostConnection.CONNECTED
    finally:
        garbler.close()


def test_what_fails_unexpectedly_is_a_reason_and_one_traceback(
    fresh_lab: Lab, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordinator, "REFUSED_RETRY_S", 0.2)
    tracebacks: list[str] = []
    monkeypatch.setattr(coordinator.log, "exception", lambda what, **_: tracebacks.append(what))
    tries: list[float] = []

    def fail(*_: object) -> None:
        tries.append(time.monotonic())
        raise ValueError("not foreseen")

    monkeypatch.setattr(Host, "poll", fail)
    site = make_site(refresh_s=1.0)
    host = fresh_lab.hosts[0]
    site.add(host)
    eventually(lambda: site.host(host).connection_reason == UNEXPECTED, 10, "a reason")
    eventually(lambda: len(tries) > 3, 10, "more tries")
    assert site.host(host).connection == HostConnection.CONNECTED
    assert tracebacks == ["poll_failed"]


def test_a_vm_whose_name_is_no_text_is_watched_by_its_uuid(
    fresh_lab: Lab, site: Site, tmp_path: Path
) -> None:
    host = fresh_lab.hosts[0]
    strange = host.create_guest("unreadable-name", boots=False)
    host.create_guest("plain", boots=False)
    garbler = Garbler(tmp_path / "libvirt-sock", host.socket, "unreadable-name")
    try:
        spec = HostSpec(name=host.name, transport="local", socket=str(garbler.path))
        site.host_ids[host.name] = hosts.add_host(site.services, ACTOR, str, spec).id
        site.wait_host(host, HostConnection.CONNECTED, 10)
        site.wait_vm("plain", VmState.SHUTOFF)
        host.virsh("start", strange.uuid or "")
        assert site.wait_vm(strange.uuid or "", VmState.RUNNING) < 2
        assert site.host(host).connection_reason is None
    finally:
        garbler.close()


def test_a_host_that_cannot_be_read_at_all_is_refused_with_a_reason(
    fresh_lab: Lab, site: Site, tmp_path: Path
) -> None:
    host = fresh_lab.hosts[0]
    garbler = Garbler(tmp_path / "libvirt-sock", host.socket, "<arch>")
    try:
        spec = HostSpec(name=host.name, transport="local", socket=str(garbler.path))
        with pytest.raises(HypervisorRefused) as refused:
            hosts.add_host(site.services, ACTOR, str, spec)
        assert refused.value.code == "unreadable_answer"
    finally:
        garbler.close()


def test_a_guest_that_reboots_in_a_loop_is_read_seldom(fresh_lab: Lab, site: Site) -> None:
    host = fresh_lab.hosts[0]
    site.add(host)
    host.create_guest("loop")
    # With so little its kernel dies at once and the firmware starts it again, some ten times a second.
    host.virsh("setmaxmem", "loop", "64M", "--config")
    host.virsh("setmem", "loop", "64M", "--config")
    host.virsh("start", "loop")
    eventually(lambda: len(reboots(site)) > BURST - 2, 30, "it reboots")
    time.sleep(5)
    assert len(reboots(site)) <= BURST + 1
    host.virsh("destroy", "loop")
    assert site.wait_vm("loop", VmState.SHUTOFF) < 2
    host.create_guest("after", start=True, boots=False)
    assert site.wait_vm("after", VmState.RUNNING) < 2


def reboots(site: Site) -> list[str]:
    with site.services.database.read() as session:
        return list(session.scalars(sa.select(Event.message).where(Event.kind == "vm.rebooted")))
