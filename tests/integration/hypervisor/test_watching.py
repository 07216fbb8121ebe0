"""What a host does by itself is seen: events, crashes, guests, screens, strange names."""

import io
import threading

import pytest
from PIL import Image

from app.core.vms.states import VmState
from app.hypervisor.host.host import FLAGS_EVERY
from app.lab.lab import Lab
from tests.integration.hypervisor.targets import OpenHost, local_target, ssh_target
from tests.integration.waiting import wait_for, wait_for_agent

pytestmark = pytest.mark.lab
STRANGE = ("<img src=x onerror=alert(1)>", "-rf", "\u202egnp.exe", "n" * 200, "a,b;c'd\"e")


def test_events_of_virsh_arrive(fresh_lab: Lab, open_host: OpenHost) -> None:
    lab_host = fresh_lab.hosts[0]
    opened = open_host(ssh_target(lab_host))
    guest = lab_host.create_guest("delta", boots=False)
    assert guest.uuid
    for command in ("start", "suspend", "resume", "destroy", "undefine"):
        lab_host.virsh(command, guest.uuid)
    lab_host.virsh("net-destroy", "default")
    lab_host.virsh("net-start", "default")
    lab_host.virsh("pool-refresh", "local")
    expected = {("vm", what) for what in ("defined", "started", "paused", "resumed", "stopped", "undefined")}
    expected |= {("network", "stopped"), ("network", "started"), ("pool", "refreshed")}
    wait_for(lambda: expected <= {(hint.kind, hint.what) for hint in list(opened.hints)}, "events", 5)
    stopped = next(hint for hint in opened.hints if hint.what == "stopped" and hint.kind == "vm")
    assert (stopped.uuid, stopped.detail) == (guest.uuid, "destroyed")


def test_a_killed_qemu_is_a_crash(fresh_lab: Lab, open_host: OpenHost) -> None:
    lab_host = fresh_lab.hosts[0]
    guest = lab_host.create_guest("epsilon", start=True, boots=False)
    assert guest.uuid
    opened = open_host(local_target(lab_host))
    lab_host.kill_qemu(guest.uuid)
    wait_for(
        lambda: any(hint.what == "stopped" and hint.detail == "failed" for hint in opened.hints), "event", 5
    )
    assert opened.host.read_vm(guest.uuid).state is VmState.CRASHED
    vms = opened.host.poll()[0]
    assert [(vm.state, vm.state_reason) for vm in vms] == [(VmState.CRASHED, "crashed")]


def test_a_stuck_qemu_does_not_stop_the_others(faulty_lab: Lab, open_host: OpenHost) -> None:
    lab_host = faulty_lab.hosts[0]
    stuck, well = (lab_host.create_guest(name, start=True, boots=False) for name in ("stuck", "well"))
    host = open_host(local_target(lab_host), call_deadline_s=3).host
    lab_host.freeze_qemu(stuck.uuid or "")
    # The first reading finds out; later ones leave the stuck one out and know the other.
    vms, _ = host.poll()
    assert len(vms) == 2
    assert host.is_open
    for _ in range(2):
        _, sample = host.poll()
        known = {vm.uuid for vm in sample.vms if vm.memory_bytes and vm.disk_read_bytes is not None}
        assert well.uuid in known
    assert len(host.read_vms()) == 2


def test_strange_names_come_through(fresh_lab: Lab, open_host: OpenHost) -> None:
    lab_host = fresh_lab.hosts[0]
    uuids = {name: lab_host.create_guest(name, boots=False).uuid for name in STRANGE}
    host = open_host(ssh_target(lab_host)).host
    seen = {vm.name: vm.uuid for vm in host.read_vms()}
    assert seen == uuids
    host.start(seen["-rf"])
    assert host.read_vm(seen["-rf"]).state is VmState.RUNNING


def test_autostart_and_transient_flags(fresh_lab: Lab, open_host: OpenHost) -> None:
    lab_host = fresh_lab.hosts[0]
    guest = lab_host.create_guest("zeta", start=True, boots=False)
    assert guest.uuid
    host = open_host(local_target(lab_host)).host
    host.set_autostart(guest.uuid, True)
    assert "enable" in lab_host.virsh("dominfo", guest.uuid)
    for seen in (host.read_vm(guest.uuid), host.poll()[0][0]):
        assert (seen.autostart, seen.persistent, seen.has_managed_save) == (True, True, False)
    host.set_autostart(guest.uuid, False)
    lab_host.virsh("undefine", guest.uuid)
    for seen in (host.read_vm(guest.uuid), host.poll()[0][0]):
        assert (seen.autostart, seen.persistent) == (False, False)


def test_guest_and_screen(fresh_lab: Lab, open_host: OpenHost) -> None:
    lab_host = fresh_lab.hosts[0]
    guest = lab_host.create_guest("eta", start=True)
    assert guest.uuid
    host = open_host(ssh_target(lab_host)).host
    wait_for_agent(lab_host, guest.uuid)
    info = wait_for(lambda: (found := host.guest_info(guest.uuid or "")).addresses and found, "address")
    assert info.agent_connected
    assert info.hostname == "eta"
    mac = next(nic.mac for nic in host.read_vm(guest.uuid).definition.nics)  # type: ignore[union-attr]
    assert info.addresses[0][0] == mac
    assert info.addresses[0][1].startswith("192.168.122.")

    picture = host.screenshot(guest.uuid, max_width=320)
    with Image.open(io.BytesIO(picture.data)) as image:
        assert image.format == "PNG"
        assert image.size == (picture.width, picture.height)
    assert picture.width == 320

    host.shutdown(guest.uuid, "agent")
    wait_for(lambda: host.read_vm(guest.uuid or "").state is VmState.SHUTOFF, "shutdown")


def test_a_dead_agent_blocks_nobody(faulty_lab: Lab, open_host: OpenHost) -> None:
    lab_host = faulty_lab.hosts[0]
    guest = lab_host.create_guest("theta", start=True)
    assert guest.uuid
    host = open_host(local_target(lab_host), call_deadline_s=6).host
    wait_for_agent(lab_host, guest.uuid)
    lab_host.freeze_qemu(guest.uuid)
    assert not host.guest_info(guest.uuid).agent_connected
    assert host.is_open
    host.ping()


def test_facts(fresh_lab: Lab, open_host: OpenHost) -> None:
    lab_host = fresh_lab.hosts[0]
    facts = open_host(ssh_target(lab_host)).host.read_facts()
    assert (facts.libvirt_uuid, facts.hostname, facts.hypervisor) == (lab_host.uuid, lab_host.name, "QEMU")
    assert facts.libvirt_version == lab_host.exec("libvirtd", "--version").stdout.split()[-1]
    assert facts.kvm == (fresh_lab.state.accelerator == "kvm")
    assert (facts.lock_manager, facts.clock_skew_s, facts.migration_port_open) == ("none", 0.0, True)
    assert facts.cpus > 0
    assert facts.memory_bytes > 1024**3


def test_flags_that_no_event_tells_of_are_seen_within_three_polls(
    fresh_lab: Lab, open_host: OpenHost
) -> None:
    lab_host = fresh_lab.hosts[0]
    lab_host.create_guest("quiet", boots=False)
    host = open_host(local_target(lab_host)).host

    def autostart() -> bool:
        return host.poll()[0][0].autostart

    assert [autostart() for _ in range(3)] == [False] * 3
    lab_host.virsh("autostart", "quiet")
    assert any(autostart() for _ in range(FLAGS_EVERY))
    uuid = host.poll()[0][0].uuid
    host.set_autostart(uuid, False)
    assert not autostart()  # at once, for what Vigie does itself


def test_a_vm_that_was_saved_in_between_is_saved_in_the_next_poll(
    fresh_lab: Lab, open_host: OpenHost
) -> None:
    lab_host = fresh_lab.hosts[0]
    lab_host.create_guest("guest", start=True, boots=False)
    host = open_host(local_target(lab_host)).host
    assert [host.poll()[0][0].state for _ in range(2)] == [VmState.RUNNING] * 2
    lab_host.virsh("managedsave", "guest")
    assert host.poll()[0][0].state is VmState.SAVED


def test_a_change_during_a_poll_is_in_the_next_one(fresh_lab: Lab, open_host: OpenHost) -> None:
    lab_host = fresh_lab.hosts[0]
    uuid = lab_host.create_guest("quiet", boots=False).uuid
    assert uuid
    host = open_host(local_target(lab_host)).host
    for number in range(60):
        wanted = number % 2 == 0
        polling = threading.Thread(target=host.poll)
        polling.start()
        host.set_autostart(uuid, wanted)
        polling.join()
        assert host.poll()[0][0].autostart is wanted
