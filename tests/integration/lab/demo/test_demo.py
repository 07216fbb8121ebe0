"""`vigie demo` for real: what it promises when ready, and that nothing of it stays, however it ends."""

import http.client
import json
import os
import select
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.lab import state as states
from app.lab.demo.cli import remove_leftovers
from app.lab.demo.guests import HOSTILE_NAME
from app.lab.hosts import namespace
from app.lab.process import run
from app.lab.rest import Rest
from app.lab.server import VIGIE, free_port
from tests.commands import QuickServer

pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(150),
    pytest.mark.skipif(os.geteuid() != 0, reason="the demo needs root: run the tests with sudo"),
]
READY_S = 100


@contextmanager
def running_demo(*flags: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A demo in a process of its own, and the line that it printed when ready."""
    command = [*VIGIE, "demo", "--json", "--port", str(free_port()), *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], READY_S)[0], "the demo is not ready in time"
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()
            process.wait(10)
            remove_leftovers()


def traces(lab_id: str, server_pids: list[int]) -> list[str]:
    """Everything on the machine that is left of the demo's lab and server."""
    listed = [
        run(command).stdout
        for command in (["ip", "-o", "link"], ["ip", "-4", "route"], ["ip", "netns"], ["losetup", "-l"])
    ]
    lines = "\n".join([*listed, Path("/proc/mounts").read_text()]).splitlines()
    marks = (f"vlab-{lab_id}", f"lab-{lab_id}", f"/vigie-lab/{lab_id}/")
    found = [line for line in lines if any(mark in line for mark in marks)]
    found += [f"server {pid}" for pid in server_pids if is_alive(pid)]
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if any(mark in words for mark in marks):
            found.append(words.replace("\0", " "))
    found += [
        str(path) for path in (states.RUN_ROOT / lab_id, states.DATA_ROOT / f"lab-{lab_id}") if path.exists()
    ]
    return found


def is_alive(pid: int) -> bool:
    """Whether the process runs (one that only waits to be reaped does not)."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def children(pid: int) -> list[int]:
    """Pids of the server that the demo started."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(item) for item in listed if "serve" in namespace.command_line(int(item))]


def lab_of(process: subprocess.Popen[str]) -> str:
    """The id of the demo's lab."""
    return f"d{process.pid}"


def wait_until(done: Callable[[], bool], what: str, timeout_s: float = 60) -> None:
    """Return once `done`, or fail."""
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:g} s"
        time.sleep(0.05)


def test_demo_is_what_it_promises_and_sigterm_leaves_nothing(tmp_path: Path) -> None:
    with running_demo("--data-dir", str(tmp_path / "kept")) as (process, ready):
        assert set(ready) == {"url", "user", "password", "token", "hosts", "data_dir", "pid"}
        assert ready["pid"] == process.pid
        assert ready["data_dir"] == str(tmp_path / "kept")
        with Rest(ready["url"], ready["token"]) as rest:
            check_inventory(rest, ready)
        sign_in(ready["url"], ready["user"], ready["password"])
        servers = children(process.pid)
        assert len(servers) == 1
        second = subprocess.run(
            [*VIGIE, "demo", "--data-dir", ready["data_dir"]],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (second.returncode, "A Vigie runs on" in second.stderr) == (1, True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert traces(lab_of(process), servers) == []
    assert (tmp_path / "kept/vigie.db").exists(), "a directory that the user named is kept"


def check_inventory(rest: Rest, ready: dict[str, Any]) -> None:
    """Three hosts by two ways, eight guests of mixed states, as virsh says too."""
    hosts = rest.call("GET", "/hosts")["items"]
    assert Counter(host["transport"] for host in hosts) == {"ssh": 2, "tls": 1}
    assert {host["connection"] for host in hosts} == {"connected"}
    assert {(host["name"], host["address"]) for host in hosts} == {
        (host["name"], host["address"]) for host in ready["hosts"]
    }
    vms = rest.call("GET", "/vms?limit=100")["items"]
    assert Counter(vm["state"] for vm in vms) == {
        "running": 3,
        "paused": 1,
        "saved": 1,
        "crashed": 1,
        "shutoff": 2,
    }
    assert HOSTILE_NAME in {vm["name"] for vm in vms}
    assert [vm["name"] for vm in vms if not vm["persistent"]] == ["scratch-01"]
    by_virsh = {
        uuid
        for host in ready["hosts"]
        for uuid in run(["virsh", "-q", "-c", host["virsh_uri"], "list", "--all", "--uuid"]).stdout.split()
    }
    assert {vm["uuid"] for vm in vms} == by_virsh


def sign_in(url: str, user: str, password: str) -> None:
    """Sign in by the form, which must lead on and leave a session."""
    address = url.removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=10)
    body = f"name={user}&password={password}"
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": url}
    connection.request("POST", "/login", body, headers)
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Location")) == (303, "/")
    assert "vigie_session=" in (answer.getheader("Set-Cookie") or "")
    connection.close()


def test_after_kill_9_the_server_is_gone_and_the_next_demo_removes_the_rest() -> None:
    with running_demo("--hosts", "1", "--no-guests") as (process, ready):
        servers = children(process.pid)
        process.kill()
        process.wait(10)
        wait_until(lambda: not any(map(is_alive, servers)), "end of the server")
        assert traces(lab_of(process), servers), "the lab outlives the demo, else this test tests nothing"
        remove_leftovers()
        assert traces(lab_of(process), servers) == []
        assert not Path(ready["data_dir"]).exists()


def test_demo_ends_when_its_server_dies() -> None:
    with running_demo("--hosts", "1", "--no-guests") as (process, _):
        servers = children(process.pid)
        os.kill(servers[0], signal.SIGKILL)
        assert process.wait(30) == 1
        assert traces(lab_of(process), servers) == []


def test_a_real_data_directory_is_refused(tmp_path: Path) -> None:
    QuickServer(tmp_path).prepare()
    command = [*VIGIE, "demo", "--hosts", "1", "--data-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1
    assert "is no demo" in done.stderr
    assert (tmp_path / "vigie.db").exists()
