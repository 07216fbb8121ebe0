"""Lab hosts as processes: start one in namespaces of its own, find it, look into it, end it.

Nothing is remembered between calls: a host is found by the command line of its first process, which names the
host's own configuration file. So it is found after any crash of the lab's command.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.lab.errors import LabError
from app.lab.process import SYSTEM_ENVIRONMENT

INIT_SCRIPT = Path(__file__).with_name("init.py")
NAMESPACES = ("--net", "--mount", "--uts", "--ipc", "--pid")


_children: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Process:
    """A process of a host: `pid` as the machine counts, `inner_pid` as the host does."""

    pid: int
    inner_pid: int
    command: str
    stopped: bool


def start(config_path: Path, config: Mapping[str, object], log: Path, *, timeout_s: float = 20) -> int:
    """Start the host (or switch) of this configuration and return the pid of its first process.

    Raises LabError with the end of its log when it is not ready within `timeout_s` seconds.
    """
    ready = config_path.with_suffix(".ready")
    ready.unlink(missing_ok=True)
    config_path.write_text(json.dumps({**config, "ready": str(ready)}, indent=2) + "\n")
    command = ["unshare", *NAMESPACES, "--fork", "--kill-child=SIGKILL", "--propagation", "slave"]
    command += [sys.executable, "-ISB", str(INIT_SCRIPT), str(config_path)]
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=SYSTEM_ENVIRONMENT,
            start_new_session=True,
        )
    _children.append(child)
    deadline = time.monotonic() + timeout_s
    while not ready.exists():
        if child.poll() is not None or time.monotonic() > deadline:
            child.kill()
            child.wait(timeout=10)
            raise LabError(f"{config_path.stem} did not start; its log {log} ends: {log.read_text()[-1500:]}")
        time.sleep(0.005)
    pid = find(config_path)
    if pid is None:
        raise LabError(f"{config_path.stem} ended at once; its log is {log}.")
    return pid


def find(config_path: Path) -> int | None:
    """The machine's pid of the first process of the host with this configuration; None if it is dead."""
    return next((pid for pid in _all_pids() if is_at(pid, config_path)), None)


def with_argument(path: Path) -> list[int]:
    """Pids, as the machine counts, of all living processes that have this path as a word of their command."""
    wanted = os.fsencode(path)
    return [
        pid for pid in _all_pids() if wanted in _read(pid, "cmdline").split(b"\0") and not _is_zombie(pid)
    ]


def is_at(pid: int, config_path: Path) -> bool:
    """Whether `pid` still is the first process of that host (pids are used again)."""
    return os.fsencode(config_path) in _read(pid, "cmdline").split(b"\0") and _is_first(pid)


def processes(init_pid: int) -> list[Process]:
    """Every process of the host but its first."""
    inside = _pid_namespace(init_pid)
    found = []
    for pid in _all_pids():
        if pid != init_pid and inside is not None and _pid_namespace(pid) == inside:
            status = _status(pid)
            if status and not status["State"].startswith("Z"):
                stopped = status["State"].startswith("T")
                found.append(Process(pid, int(status["NSpid"].split()[-1]), status["Name"], stopped))
    return found


def command_line(pid: int) -> list[str]:
    """The words of a process's command; none when it is gone."""
    return _read(pid, "cmdline").decode(errors="surrogateescape").split("\0")[:-1]


def kill(init_pid: int, *, timeout_s: float = 10) -> None:
    """End the host with all its processes, and wait until they are gone.

    Raises LabError when that takes more than `timeout_s` seconds.
    """
    inside = processes(init_pid)
    send(init_pid, signal.SIGKILL)
    deadline = time.monotonic() + timeout_s
    while any(_status(pid) and not _is_zombie(pid) for pid in [init_pid, *(item.pid for item in inside)]):
        if time.monotonic() > deadline:
            raise LabError(f"The host with process {init_pid} did not end within {timeout_s:g} s.")
        time.sleep(0.005)
    # Those that this very process started would stay as zombies.
    _children[:] = [child for child in _children if child.poll() is None]


def send(pid: int, signal_number: signal.Signals) -> None:
    """Send a signal to a process of the lab; one that has just ended is no error."""
    try:
        os.kill(pid, signal_number)
    except ProcessLookupError:
        return


def inside_command(init_pid: int, command: Sequence[str | Path], *, network_only: bool = False) -> list[str]:
    """The command line that runs `command` in the host, or in its network alone."""
    which = ["--net"] if network_only else ["--mount", "--uts", "--ipc", "--net", "--pid"]
    return ["nsenter", "--target", str(init_pid), *which, "--", *(os.fspath(word) for word in command)]


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _status(pid: int) -> dict[str, str]:
    lines = _read(pid, "status").decode(errors="replace").splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _is_zombie(pid: int) -> bool:
    return _status(pid).get("State", "Z").startswith("Z")


def _is_first(pid: int) -> bool:
    """Whether the process is number 1 of a pid namespace inside the machine's."""
    numbers = _status(pid).get("NSpid", "").split()
    return len(numbers) > 1 and numbers[-1] == "1"


def _pid_namespace(pid: int) -> int | None:
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino
    except OSError:
        return None
