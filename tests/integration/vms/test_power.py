"""Every power verb, end to end on real guests, and how tasks end when the world changes under them."""

import os
import signal
import threading
import time
from dataclasses import dataclass

import pytest
import sqlalchemy as sa

from app.core.errors import Busy, Conflict, HostNotAnswering
from app.core.hosts.states import HostConnection
from app.core.inventory.reports import HostReport
from app.core.notices import SCREENSHOT_TAKEN, SCREENSHOT_WANTED
from app.core.tasks.states import TaskState
from app.core.vms.power import VmVerb
from app.core.vms.specs import BulkAction
from app.core.vms.states import VmState
from app.db.models import Event
from app.hypervisor import Host
from app.lab.lab import Lab
from app.services.vms import power, vms
from app.services.vms.operation import RunningVm
from app.services.vms.power.power_operation import PowerParameters
from app.services.vms.power.start import Start
from app.services.vms.power.steps import deliver
from app.tasks import context as task_context
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed
from app.tasks.journal import Journal
from app.tasks.lifecycle import Job
from tests.databases import Cluster
from tests.integration.conftest import MakeSite
from tests.integration.site import Site, eventually
from tests.integration.vms.test_create import guest_says
from tests.integration.waiting import wait_for_agent, wait_for_save, wait_for_state

pytestmark = [pytest.mark.lab]


def state(site: Site, name: str) -> str:
    row = site.vm(name)
    assert row is not None
    return row.state


def test_each_verb_shows_on_the_host_and_in_the_mirror_when_it_ends(fresh_lab: Lab, site: Site) -> None:
    host = fresh_lab.hosts[0]
    host.create_guest("guest", boots=False)
    site.add(host)
    for verb, mirrored, message in (
        (VmVerb.START, VmState.RUNNING, "running"),
        (VmVerb.PAUSE, VmState.PAUSED, "paused"),
        (VmVerb.RESUME, VmState.RUNNING, "running"),
        (VmVerb.SAVE, VmState.SAVED, "shut off"),
        (VmVerb.RESTORE, VmState.RUNNING, "running"),
        (VmVerb.RESET, VmState.RUNNING, "running"),
        (VmVerb.FORCE_OFF, VmState.SHUTOFF, "shut off"),
    ):
        task = site.do("guest", verb)
        assert state(site, "guest") == mirrored, verb  # already, not soon
        assert host.virsh("domstate", "guest") == message, verb
        assert (task.progress, task.message is not None) == (100, True)
    for verb, wanted in ((VmVerb.AUTOSTART_ON, True), (VmVerb.AUTOSTART_OFF, False)):
        site.do("guest", verb)
        row = site.vm("guest")
        assert row is not None
        assert row.autostart is wanted


def test_an_nmi_reaches_the_guest_once(fresh_lab: Lab, site: Site) -> None:
    host = fresh_lab.hosts[0]
    host.create_guest("guest", start=True)
    site.add(host)
    wait_for_agent(host, "guest")
    task = site.do("guest", VmVerb.INJECT_NMI)
    assert (task.title, task.state) == ("Send NMI", TaskState.SUCCEEDED)
    eventually(lambda: "NMI" in guest_says(host, "guest", "/bin/dmesg"), 10)
    assert state(site, "guest") == VmState.RUNNING


def test_tasks_run_on_postgresql_too(fresh_lab: Lab, make_site: MakeSite, cluster: Cluster) -> None:
    site = make_site(database_url=cluster.template_copy())
    host = fresh_lab.hosts[0]
    host.create_guest("guest", boots=False)
    site.add(host)
    site.do("guest", VmVerb.START)
    assert state(site, "guest") == VmState.RUNNING
    site.do("guest", VmVerb.FORCE_OFF)
    assert state(site, "guest") == VmState.SHUTOFF


@pytest.mark.parametrize("method", ["acpi", "agent"])
def test_a_guest_shuts_down_and_reboots(fresh_lab: Lab, site: Site, method: str) -> None:
    host = fresh_lab.hosts[0]
    spec = host.create_guest("guest", start=True)
    site.add(host)
    wait_for_agent(host, spec.uuid or "guest")
    if method == "acpi":  # the lab's guest knows no reboot by its agent
        site.do("guest", VmVerb.REBOOT, method=method)
        wait_for_agent(host, spec.uuid or "guest")
    site.do("guest", VmVerb.SHUTDOWN, method=method, timeout_s=60)
    assert state(site, "guest") == VmState.SHUTOFF
    assert host.virsh("domstate", "guest") == "shut off"


def test_a_shutdown_that_ends_the_command_of_the_guest_agent_is_no_failure(
    fresh_lab: Lab, site: Site
) -> None:
    host = fresh_lab.hosts[0]
    spec = host.create_guest("guest", start=True)
    site.add(host)
    wait_for_agent(host, spec.uuid or "guest")
    killed = "#!/bin/sh\n/bin/poweroff\nkill -KILL $$\n"
    guest_says(host, "guest", "/bin/sh", "-c", f"printf '{killed}' > /sbin/shutdown")
    site.do("guest", VmVerb.SHUTDOWN, method="agent", timeout_s=60)
    assert host.virsh("domstate", "guest") == "shut off"


def test_a_deaf_guest_is_told_of_and_forced_only_when_asked(fresh_lab: Lab, site: Site) -> None:
    host = fresh_lab.hosts[0]
    host.create_guest("deaf", start=True, boots=False)
    site.add(host)
    task = site.task(site.act("deaf", VmVerb.SHUTDOWN, method="acpi", timeout_s=2))
    assert (task.state, task.error and task.error.code) == (TaskState.FAILED, "guest_not_reacting")
    assert task.error is not None
    assert task.error.next_verb == "force-off"
    assert "2 seconds" in (task.error.why or "")
    assert host.virsh("domstate", "deaf") == "running"
    site.do("deaf", VmVerb.SHUTDOWN, method="acpi", timeout_s=2, force_after_timeout=True)
    assert host.virsh("domstate", "deaf") == "shut off"


def test_force_off_does_not_wait_for_a_shutdown_that_waits_for_its_guest(fresh_lab: Lab, site: Site) -> None:
    host = fresh_lab.hosts[0]
    host.create_guest("deaf", start=True, boots=False)
    site.add(host)
    waiting = site.act("deaf", VmVerb.SHUTDOWN, method="acpi", timeout_s=300)
    eventually(lambda: site.engine.health().tasks_running == 1, 5)
    with pytest.raises(Busy):
        site.act("deaf", VmVerb.PAUSE)
    site.do("deaf", VmVerb.FORCE_OFF)
    assert site.task(waiting).state is TaskState.CANCELLED
    assert host.virsh("domstate", "deaf") == "shut off"
    with pytest.raises(Conflict, match="cannot be done now"):
        site.act("deaf", VmVerb.RESET)


@pytest.mark.parametrize("verb", [VmVerb.FORCE_OFF, VmVerb.SHUTDOWN])
def test_a_transient_vm_that_is_stopped_is_a_success(fresh_lab: Lab, site: Site, verb: VmVerb) -> None:
    host = fresh_lab.hosts[0]
    spec = host.create_guest("passing", start=True, boots=verb is VmVerb.SHUTDOWN)
    if verb is VmVerb.SHUTDOWN:
        wait_for_agent(host, spec.uuid or "passing")
    host.virsh("undefine", "passing")
    site.add(host)
    task = site.do("passing", verb)
    assert task.message == "The VM has left its host, which forgets it when it stops."
    site.wait_vm("passing", VmState.MISSING)


def test_a_waiting_shutdown_can_be_cancelled(fresh_lab: Lab, site: Site) -> None:
    host = fresh_lab.hosts[0]
    host.create_guest("deaf", start=True, boots=False)
    site.add(host)
    task_id = site.act("deaf", VmVerb.SHUTDOWN, method="acpi", timeout_s=300)
    time.sleep(1)
    assert site.now(task_id).progress is None, "how long a guest takes is not known"
    begun = time.monotonic()
    site.cancel(task_id)
    assert site.task(task_id, 5).state is TaskState.CANCELLED
    assert time.monotonic() - begun < 2
    assert host.virsh("domstate", "deaf") == "running"


def test_a_save_can_be_cancelled_and_the_guest_goes_on(fresh_lab: Lab, site: Site) -> None:
    host = fresh_lab.hosts[0]
    spec = host.create_guest(
        "guest", start=True
    )  # what has not booted is saved at once: it has no memory to speak of
    site.add(host)
    wait_for_agent(host, spec.uuid or "guest")
    with host.held_saves():
        task_id = site.act("guest", VmVerb.SAVE)
        writer = wait_for_save(host)
    try:
        site.cancel(task_id)
        time.sleep(4)  # until the save was told to stop, also on a busy machine
    finally:
        os.kill(writer, signal.SIGCONT)
    assert site.task(task_id).state is TaskState.CANCELLED
    assert (host.virsh("domstate", "guest"), state(site, "guest")) == ("running", VmState.RUNNING)
    site.do("guest", VmVerb.SAVE)
    assert state(site, "guest") == VmState.SAVED


def test_a_save_that_a_lost_connection_left_at_work_is_waited_for(
    fresh_lab: Lab, make_site: MakeSite
) -> None:
    site = make_site(ping_s=0.5, call_deadline_s=1.0)
    host = fresh_lab.hosts[0]
    spec = host.create_guest(
        "guest", start=True
    )  # what has not booted is saved at once: it has no memory to speak of
    site.add(host)
    wait_for_agent(host, spec.uuid or "guest")
    with host.held_saves():
        task_id = site.act("guest", VmVerb.SAVE)
        writer = wait_for_save(host)
    try:
        host.cut()
        site.wait_host(host, HostConnection.NOT_ANSWERING, 10)
        host.heal()
        site.wait_host(host, HostConnection.CONNECTED, 20)
        time.sleep(2)
    finally:
        host.heal()
        os.kill(writer, signal.SIGCONT)
    task = site.task(task_id)
    assert (task.state, task.message) == (TaskState.SUCCEEDED, "The VM is saved.")
    assert state(site, "guest") == VmState.SAVED


def test_a_verb_that_arrived_before_the_connection_was_lost_is_not_a_failure(
    fresh_lab: Lab, site: Site
) -> None:
    host = fresh_lab.hosts[0]
    uuid = host.create_guest("guest", boots=False).uuid or ""
    opened = site.engine.host(site.add(host))
    times = 0

    def send(to: Host) -> None:
        nonlocal times
        times += 1
        if times == 1:
            raise HostNotAnswering("lost while it was under way", code="connection_ended")
        host.virsh("start", "guest")  # the first one, which the look did not see yet
        to.start(uuid)

    context = context_on(site, opened, uuid)
    assert deliver(context, RunningVm(context, uuid), lambda vm: vm.state.is_active, send)
    assert times == 2


def test_a_start_is_not_sent_again_while_the_first_may_still_be_queued_on_the_host(
    fresh_lab: Lab, site: Site
) -> None:
    """A call that passed its deadline has arrived: the daemon carries it out whenever it can."""
    host = fresh_lab.hosts[0]
    uuid = host.create_guest("guest", boots=False).uuid or ""
    opened = site.engine.host(site.add(host))
    times = 0

    def send(to: Host) -> None:
        nonlocal times
        times += 1
        raise HostNotAnswering("passed its deadline")

    context = context_on(site, opened, uuid)
    with pytest.raises(TaskFailed) as failed:
        deliver(context, RunningVm(context, uuid), lambda vm: vm.state.is_active, send)
    assert (failed.value.code, times) == ("outcome_unknown", 1)


@dataclass(frozen=True)
class OneHost:
    """An engine that has one host open, and writes nothing."""

    opened: Host | None

    def host(self, host_id: str) -> Host | None:
        return self.opened

    def observe(self, report: HostReport) -> bool:
        return True


def context_on(site: Site, host: Host | None, uuid: str) -> TaskContext:
    """What a task that starts the VM may use, outside the engine."""
    stopping = threading.Event()
    job = Job("t", Start.kind, Start(), PowerParameters(target_id="v"), "h", "v", uuid, sent=False)
    return TaskContext(job, site.services, Journal(site.services, stopping), OneHost(host), stopping)


HOOK_PATH = "/etc/libvirt/hooks/qemu"
HOOK = """#!/bin/sh
[ "$1 $2 $3" = "slow prepare begin" ] || exit 0
echo started >> /run/hook.log
while [ -e /run/hook.hold ]; do sleep 0.2; done
"""


def test_a_start_that_hangs_in_a_hook_is_sent_once_and_named_when_it_happens_late(
    fresh_lab: Lab, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_context, "HOST_WAIT_S", 6.0)
    host = fresh_lab.hosts[0]
    host.create_guest("slow", boots=False)
    host.exec("mkdir", "-p", "/etc/libvirt/hooks")
    try:
        host.exec(
            "sh", "-c", f"touch /run/hook.hold; rm -f /run/hook.log; cat > {HOOK_PATH} <<'END'\n{HOOK}END\n"
        )
        host.exec("chmod", "+x", HOOK_PATH)
        host.kill_daemon()
        host.start_daemon()
        site.add(host)
        task = site.task(site.act("slow", VmVerb.START), 60)
        assert task.error is not None
        assert task.error.code in ("host_lost", "outcome_unknown")
        host.exec("rm", "/run/hook.hold")
        site.wait_vm("slow", VmState.RUNNING, 30)
        with site.services.database.read() as session:
            query = sa.select(Event.task_id).where(Event.kind == "vm.started")
            assert session.scalars(query).all() == [task.id]
        assert host.exec("cat", "/run/hook.log").stdout.split() == ["started"]
    finally:
        host.exec("rm", "-f", "/run/hook.hold", HOOK_PATH)
        host.kill_daemon()
        host.start_daemon()


def test_what_virsh_does_in_between_is_told_truly(fresh_lab: Lab, make_site: MakeSite) -> None:
    site = make_site(tasks_per_host=1)
    host = fresh_lab.hosts[0]
    host.create_guest("deaf", start=True, boots=False)
    for name in ("started", "gone"):
        host.create_guest(name, boots=False)
    site.add(host)
    first = site.act("deaf", VmVerb.SHUTDOWN, method="acpi", timeout_s=300)  # takes the host's only place
    started, gone = site.act("started", VmVerb.START), site.act("gone", VmVerb.START)
    host.virsh("start", "started")
    host.virsh("undefine", "gone")
    site.cancel(first)
    task = site.task(started)
    assert (task.state, task.message) == (TaskState.SUCCEEDED, "The VM was running already.")
    task = site.task(gone)
    assert (task.state, task.error and task.error.code) == (TaskState.FAILED, "vm_gone")


def test_a_host_lost_in_the_middle_is_waited_for(fresh_lab: Lab, site: Site) -> None:
    host = fresh_lab.hosts[0]
    host.create_guest("deaf", start=True, boots=False)
    site.add(host)
    task_id = site.act("deaf", VmVerb.SHUTDOWN, method="acpi", timeout_s=40)
    time.sleep(1)
    host.kill_daemon()
    site.wait_host(host, HostConnection.NOT_ANSWERING, 5)
    host.kill_qemu("deaf")
    host.start_daemon()
    assert site.task(task_id).state is TaskState.SUCCEEDED


def test_fifty_at_once_and_one_wins(fresh_lab: Lab, site: Site) -> None:
    host = fresh_lab.hosts[0]
    host.create_guest("wanted", boots=False)
    site.add(host)
    won: list[str] = []
    lost: list[Conflict] = []

    def ask() -> None:
        try:
            won.append(site.act("wanted", VmVerb.START))
        except Conflict as error:
            lost.append(error)

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert len(lost) == 49
    assert all(error.task_id == won[0] for error in lost if isinstance(error, Busy))
    assert site.task(won[0]).state is TaskState.SUCCEEDED
    assert host.virsh("domid", "wanted") != "-"


def test_many_at_once_keep_to_the_limits(fresh_lab: Lab, make_site: MakeSite) -> None:
    site = make_site(tasks_per_host=2, tasks_total=3)
    names = []
    for host in fresh_lab.hosts[:2]:
        for number in range(4):
            names.append(f"{host.name}-{number}")
            host.create_guest(names[-1], boots=False)
        site.add(host)
    ids = [row.id for row in map(site.vm, names) if row is not None]
    most = 0
    with site.services.database.begin() as session:
        answer = power.act_many(site.ctx(session), BulkAction(verb=VmVerb.START, ids=ids))
    assert len(answer.tasks) == 8

    def done() -> bool:
        nonlocal most
        most = max(most, site.engine.health().tasks_running)
        return all(state(site, name) == VmState.RUNNING for name in names)

    eventually(done, 60, "all run")
    assert 1 < most <= 3


def test_a_screenshot_is_taken_for_whoever_looks(fresh_lab: Lab, site: Site) -> None:
    host = fresh_lab.hosts[0]
    spec = host.create_guest("seen", start=True, boots=False)
    site.add(host)
    row = site.vm("seen")
    assert row is not None
    wait_for_state(host, spec.uuid or "seen", "running")
    heard = threading.Event()
    site.services.hub.listen(lambda topics: heard.set() if SCREENSHOT_TAKEN + row.id in topics else None)
    site.services.hub.publish([SCREENSHOT_WANTED + row.id])
    assert heard.wait(10)
    with site.services.database.read() as session:
        screen = vms.screenshot_of(site.ctx(session), row.id)
        assert screen is not None
        assert screen.image.startswith(b"\x89PNG")
