"""Hosts that hang, die or talk nonsense: every call ends at its deadline and leaves nothing behind."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from app.core.errors import HostAuthFailed, HostError, HostNotAnswering, HostUnreachable
from app.core.hosts.endpoints import Endpoint, make_endpoint
from app.core.hosts.states import Transport
from app.core.vms.states import VmState
from app.hypervisor import Host, SshPassword, Target, see_identity
from app.hypervisor.transport import relay
from app.lab.fleets.fleet import Fleet
from app.lab.lab import Lab
from tests.integration.hypervisor.targets import (
    TRANSPORTS,
    OpenHost,
    local_target,
    simulated_target,
    ssh_target,
)
from tests.integration.waiting import wait_for, wait_for_save

pytestmark = pytest.mark.lab
DEADLINE_S = 1.5


@contextmanager
def at_deadline(deadline_s: float = DEADLINE_S) -> Iterator[None]:
    """The block must raise HostNotAnswering, about when the deadline passes."""
    started = time.monotonic()
    with pytest.raises(HostNotAnswering):
        yield
    assert deadline_s * 0.9 <= time.monotonic() - started <= deadline_s + 1


@contextmanager
def listener(greeting: bytes) -> Iterator[int]:
    """A port that accepts, says `greeting` and no more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def work() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.sendall(greeting)
                held.append(connection)

        threading.Thread(target=work, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        for item in held:
            item.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_frozen_daemon_during_open(faulty_lab: Lab, transport: str) -> None:
    lab_host = faulty_lab.hosts[0]
    target = TRANSPORTS[transport](lab_host)
    lab_host.freeze()
    with at_deadline():
        Host.open(target, connect_deadline_s=DEADLINE_S, call_deadline_s=DEADLINE_S)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_frozen_daemon_during_a_call(faulty_lab: Lab, open_host: OpenHost, transport: str) -> None:
    lab_host = faulty_lab.hosts[0]
    opened = open_host(TRANSPORTS[transport](lab_host), call_deadline_s=DEADLINE_S)
    opened.host.ping()
    lab_host.freeze()
    with at_deadline():
        opened.host.read_vms()
    assert not opened.host.is_open
    wait_for(lambda: len(opened.lost) == 1, "loss")
    assert isinstance(opened.lost[0], HostNotAnswering)
    with pytest.raises(HostNotAnswering):
        opened.host.ping()


def test_frozen_host_during_open(faulty_lab: Lab) -> None:
    lab_host = faulty_lab.hosts[0]
    target = ssh_target(lab_host)
    lab_host.freeze(everything=True)
    with at_deadline():
        Host.open(target, connect_deadline_s=DEADLINE_S, call_deadline_s=DEADLINE_S)


def test_close_does_not_wait_for_a_frozen_daemon(faulty_lab: Lab, open_host: OpenHost) -> None:
    lab_host = faulty_lab.hosts[0]
    opened = open_host(ssh_target(lab_host), call_deadline_s=60)
    lab_host.freeze()
    failed: list[Exception] = []

    def call() -> None:
        try:
            opened.host.ping()
        except HostError as error:
            failed.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    time.sleep(0.3)
    started = time.monotonic()
    opened.host.close()
    assert time.monotonic() - started < 0.2
    caller.join(2)
    assert not caller.is_alive()
    assert [type(error) for error in failed] == [HostNotAnswering]
    assert opened.lost == []


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_killed_daemon_is_noticed_at_once(faulty_lab: Lab, open_host: OpenHost, transport: str) -> None:
    lab_host = faulty_lab.hosts[0]
    opened = open_host(TRANSPORTS[transport](lab_host))
    started = time.monotonic()
    lab_host.kill_daemon()
    wait_for(lambda: opened.lost, "loss")
    assert time.monotonic() - started < 1
    assert not opened.host.is_open


def test_cut_cable_is_noticed_by_the_deadline(faulty_lab: Lab, open_host: OpenHost) -> None:
    lab_host = faulty_lab.hosts[0]
    opened = open_host(ssh_target(lab_host), call_deadline_s=DEADLINE_S)
    lab_host.cut()
    with at_deadline():
        opened.host.ping()


def test_save_ends_when_the_daemon_dies(faulty_lab: Lab, open_host: OpenHost) -> None:
    lab_host = faulty_lab.hosts[0]
    guest = lab_host.create_guest("gamma", start=True, memory_mib=512)
    assert guest.uuid
    opened = open_host(ssh_target(lab_host))
    opened.host.job_progress(guest.uuid)
    lab_host.freeze()
    threading.Timer(0.5, opened.host.close).start()
    with pytest.raises(HostNotAnswering):
        opened.host.save(guest.uuid)


def test_a_stuck_qemu_cuts_no_verb_of_another_vm(faulty_lab: Lab, open_host: OpenHost) -> None:
    lab_host = faulty_lab.hosts[0]
    stuck = lab_host.create_guest("stuck", start=True, boots=False).uuid or ""
    saved = lab_host.create_guest("saved", start=True, boots=False).uuid or ""
    host = open_host(ssh_target(lab_host), call_deadline_s=DEADLINE_S).host
    lab_host.freeze_qemu("stuck")
    failed: list[HostError] = []

    def save() -> None:
        try:
            host.save(saved)
        except HostError as error:
            failed.append(error)

    saving = threading.Thread(target=save)
    with lab_host.held_saves():  # so that the verb is under way all the time
        saving.start()
        writer = wait_for_save(lab_host)
    try:
        with at_deadline():
            host.screenshot(stuck)
        with at_deadline():
            host.job_progress(stuck)
        assert saving.is_alive()
    finally:
        os.kill(writer, signal.SIGCONT)
    saving.join(20)
    assert failed == []
    assert host.read_vm(saved).state is VmState.SAVED


def here(transport: Transport, port: int) -> Endpoint:
    """A port of this machine, which only labs may dial."""
    return replace(make_endpoint(transport, address="127.0.0.1", port=port), loopback=True)


def test_silent_port() -> None:
    with listener(b"") as port:
        for transport in (Transport.SSH, Transport.TLS):
            endpoint = here(transport, port)
            with at_deadline():
                see_identity(endpoint, deadline_s=DEADLINE_S)
        endpoint = here(Transport.SSH, port)
        with at_deadline():
            Host.open(
                Target(endpoint, SshPassword("x"), "SHA256:x"),
                connect_deadline_s=DEADLINE_S,
                call_deadline_s=5,
            )


@pytest.mark.parametrize(
    "greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", os.urandom(4096), b"SSH-2.0-x\r\n\xff\xff\xff\xff"]
)
def test_port_that_talks_nonsense(greeting: bytes) -> None:
    with listener(greeting) as port:
        for transport in (Transport.SSH, Transport.TLS):
            endpoint = here(transport, port)
            with pytest.raises((HostUnreachable, HostNotAnswering)):
                see_identity(endpoint, deadline_s=DEADLINE_S)


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(HostUnreachable):
        see_identity(here(Transport.SSH, port), deadline_s=5)
    with pytest.raises(HostUnreachable):
        see_identity(make_endpoint(Transport.TLS, address="no-such-host.invalid"), deadline_s=5)
    with pytest.raises(HostError) as refused:
        Host.open(
            Target(make_endpoint(Transport.LOCAL, socket="/nonexistent/sock")),
            connect_deadline_s=5,
            call_deadline_s=5,
        )
    assert refused.value.code == "libvirt_socket"
    assert not isinstance(refused.value, HostAuthFailed)


def test_unplugged_host(faulty_lab: Lab) -> None:
    lab_host = faulty_lab.hosts[0]
    lab_host.cut()
    with pytest.raises(HostUnreachable):
        see_identity(make_endpoint(Transport.SSH, address=lab_host.address), deadline_s=DEADLINE_S)


def test_rounds_of_freezing_leave_nothing_behind(fresh_lab: Lab, open_host: OpenHost) -> None:
    lab_host = fresh_lab.hosts[0]
    target = ssh_target(lab_host)
    counts = []
    for _ in range(20):
        opened = open_host(target, call_deadline_s=0.4)
        opened.host.poll()
        lab_host.freeze()
        with pytest.raises(HostNotAnswering):
            opened.host.poll()
        lab_host.thaw()
        with pytest.raises(HostNotAnswering):
            opened.host.poll()
        time.sleep(0.5)
        counts.append((threading.active_count(), len(os.listdir("/proc/self/fd"))))
    assert counts[-1] == counts[2], counts


def test_frozen_simulated_host_harms_no_other(make_fleet: Callable[..., Fleet], open_host: OpenHost) -> None:
    fleet = make_fleet(2, victims=1)
    sick = open_host(simulated_target(fleet, 2), call_deadline_s=DEADLINE_S).host
    well = open_host(simulated_target(fleet, 1)).host

    def poll_sick() -> None:
        with suppress(HostNotAnswering):
            sick.poll()

    fleet.freeze()
    failing = threading.Thread(target=poll_sick)
    failing.start()
    started = time.monotonic()
    for _ in range(20):
        well.poll()
    assert time.monotonic() - started < 1
    failing.join(5)
    fleet.thaw()
    assert not sick.is_open


def test_no_private_socket_stays(fresh_lab: Lab, open_host: OpenHost) -> None:
    open_host(local_target(fresh_lab.hosts[0]))
    folder = Path(relay._directory())
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list(folder.iterdir()) == []


def test_a_cleaned_temporary_folder_is_made_again(fresh_lab: Lab, open_host: OpenHost) -> None:
    open_host(local_target(fresh_lab.hosts[0]))
    Path(relay._directory()).rmdir()
    open_host(local_target(fresh_lab.hosts[0])).host.ping()
