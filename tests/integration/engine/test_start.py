"""Starting and stopping the server: refusals that say why, and an end that waits for nobody."""

import http.client
import os
import signal
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from app.lab.lab import Lab
from app.lab.registration import make_administrator, register_hosts
from app.lab.rest import Rest
from app.lab.server import VIGIE, Server, free_port
from tests.integration.site import eventually


def serve(directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `vigie serve` until it ends by itself."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VIGIE_")}
    settings = {"VIGIE_DATA_DIR": str(directory), "VIGIE_PORT": str(free_port()), **variables}
    return subprocess.run(
        [*VIGIE, "serve"], env={**kept, **settings}, capture_output=True, text=True, timeout=90, check=False
    )


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = serve(tmp_path, VIGIE_PORT=port)
    assert ended.returncode == 1
    assert port in ended.stderr
    assert "VIGIE_PORT" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_nobody_else_reads_what_is_in_a_directory_that_all_may_enter(tmp_path: Path) -> None:
    directory = tmp_path / "open"
    server = Server(directory)
    before = os.umask(0o022)
    try:
        directory.mkdir()
        server.prepare()
        upgraded = _readable(directory)
        server.start()
        served = _readable(directory)
        names = {item.name for item in directory.iterdir()}
    finally:
        server.stop()
        os.umask(before)
    assert directory.stat().st_mode & 0o777 == 0o755
    assert upgraded == {"vigie.toml"}, "only what the test wrote"
    assert served == {"vigie.toml", "server.log"}, "only what the test wrote"
    assert names >= {"vigie.db", "vigie.db-wal", "tasks.db"}


def _readable(directory: Path) -> set[str]:
    """The files that others than their owner may read or write."""
    return {item.name for item in directory.iterdir() if item.stat().st_mode & 0o077}


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"VIGIE_PORT": "many"}, "VIGIE_PORT"),
        ({"VIGIE_WORKERS": "0"}, "VIGIE_WORKERS"),
        ({"VIGIE_PROT": "80"}, "VIGIE_PROT"),
        ({"VIGIE_DATA_DIR": "/proc/no/such"}, "VIGIE_DATA_DIR"),
        ({"VIGIE_DATABASE_URL": "postgresql+psycopg://nobody:hidden-word@127.0.0.1:9/none"}, "database"),
        ({"VIGIE_HOST": "192.0.2.77"}, "VIGIE_HOST"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, variables: dict[str, str], words: str) -> None:
    ended = serve(tmp_path, **variables)
    assert ended.returncode == 1, ended.stderr
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "hidden-word" not in ended.stderr + ended.stdout


def test_a_second_server_on_the_same_data_is_refused(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.prepare()
    server.start()
    try:
        ended = serve(tmp_path)
        assert ended.returncode == 1
        assert str(server.pid) in ended.stderr
    finally:
        server.stop()


@pytest.mark.lab
def test_sigterm_waits_neither_for_hung_hosts_nor_for_open_streams(faulty_lab: Lab, tmp_path: Path) -> None:
    server = Server(tmp_path / "server")
    server.prepare()
    token = make_administrator(server, "tester", "a long password")
    server.start()
    try:
        with closing(Rest(server.url, token)) as rest:
            register_hosts(rest, faulty_lab)
            eventually(lambda: rest.total("/hosts", connection="connected") == 3, 20)
        streams = [open_stream(server.url, token) for _ in range(3)]
        for host in faulty_lab.hosts:
            host.freeze(everything=True)
        time.sleep(4)
        begun = time.monotonic()
        os.kill(server.pid, signal.SIGTERM)
        eventually(server.has_ended, 10)
        assert time.monotonic() - begun < 3
        for stream in streams:
            stream.close()
        assert "Traceback" not in server.log.read_text()
    finally:
        server.stop()


def open_stream(url: str, token: str) -> http.client.HTTPConnection:
    """An event stream that has begun."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.request("GET", "/api/v1/events/stream", headers={"Authorization": f"Bearer {token}"})
    assert connection.getresponse().status == 200
    return connection
