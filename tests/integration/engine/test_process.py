"""The engine's own process: joined to the web's, and gone with it whatever happens."""

import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from app.core.notices import Hub
from app.engine.ipc import MAX_TOPICS, IpcEndpoint
from app.lab.lab import Lab
from app.lab.registration import make_administrator
from app.lab.rest import Rest
from app.lab.server import Server
from tests.commands import QuickServer
from tests.integration.site import eventually


def engine_of(server: Server) -> int:
    """The process id of a server's engine."""
    (child,) = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    return int(child)


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or only waits to be reaped by whoever inherited it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture
def server(tmp_path: Path):
    quick_server = QuickServer(tmp_path / "server", settings={"log_level": "info"})
    quick_server.prepare()
    quick_server.start()
    yield quick_server
    quick_server.stop()


def test_the_engine_dies_with_a_server_that_is_killed(server: Server) -> None:
    engine = engine_of(server)
    os.kill(server.pid, signal.SIGKILL)
    eventually(lambda: has_ended(engine), 2)
    server.start()  # nobody holds the lock any more


def test_a_server_whose_engine_was_killed_ends_with_an_error(server: Server) -> None:
    child = server._child
    assert child is not None
    os.kill(engine_of(server), signal.SIGKILL)
    assert child.wait(10) == 1
    assert "engine_lost" in server.log.read_text()


def test_a_frozen_engine_is_not_ready(server: Server) -> None:
    engine = engine_of(server)
    with closing(Rest(server.url, "")) as rest:
        assert rest.ask("GET", "/readyz").status == 200
        os.kill(engine, signal.SIGSTOP)
        try:
            eventually(lambda: rest.ask("GET", "/readyz").status == 503, 10)
            assert rest.ask("GET", "/healthz").status == 200
        finally:
            os.kill(engine, signal.SIGCONT)
        eventually(lambda: rest.ask("GET", "/readyz").status == 200, 5)


@pytest.mark.lab
def test_a_stopped_server_leaves_no_sockets_behind(lab: Lab, tmp_path: Path, monkeypatch) -> None:
    # Not under tmp_path: the address of a socket holds 107 bytes, and Vigie goes to /tmp before it gets too long.
    scratch = Path(tempfile.mkdtemp(prefix="test-", dir="/tmp"))
    monkeypatch.setenv("TMPDIR", str(scratch))
    server = QuickServer(tmp_path / "server", settings={"lab": True})
    server.prepare()
    token = make_administrator(server, "tester", "a long password")
    server.start()
    host = lab.hosts[0]
    with closing(Rest(server.url, token)) as rest:
        rest.call("POST", "/hosts", {"name": host.name, "transport": "local", "socket": str(host.socket)})
        eventually(lambda: rest.total("/hosts", connection="connected") == 1, 10)
        assert list(scratch.glob("vigie-*"))
    server.stop()
    assert not list(scratch.glob("vigie-*"))
    shutil.rmtree(scratch)


def test_notices_cross_in_both_directions_and_do_not_come_back() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    hubs = Hub(), Hub()
    heard: tuple[set[str], set[str]] = set(), set()
    for hub, into in zip(hubs, heard, strict=True):
        hub.listen(into.update)
    ended = threading.Event()
    endpoints = [
        IpcEndpoint(hub, end, lambda _: None, ended.set)
        for hub, end in zip(hubs, (ours, theirs), strict=True)
    ]
    for endpoint in endpoints:
        endpoint.start()
    many = {f"vm_{number}" for number in range(3 * MAX_TOPICS)}
    hubs[0].publish(many)
    eventually(lambda: heard[1] == many, 5)
    hubs[1].publish(["host_1"])
    eventually(lambda: "host_1" in heard[0], 5)
    heard[1].clear()
    time.sleep(0.1)
    assert heard[1] == set()
    endpoints[0].close()
    assert ended.wait(2)


def test_publishing_never_waits_for_a_process_that_does_not_listen() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    hub, heard = Hub(), set[str]()
    endpoint = IpcEndpoint(hub, ours, lambda _: None, lambda: None)
    endpoint.start()
    for number in range(50_000):
        hub.publish([f"vm_{number:012}"])
    other = Hub()
    other.listen(heard.update)
    late = IpcEndpoint(other, theirs, lambda _: None, lambda: None)
    late.start()
    eventually(lambda: len(heard) == 50_000, 10)
    endpoint.close()
    late.close()
