"""Servers forked from one process that has loaded their libraries, which takes most of a server's start.

`Preloaded` is the tests' side. The other side, `main`, is a process with one thread that forks a server for each
line it reads and tells when one has ended. That the command itself starts is seen by the demo and by test_start.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from app.engine.process import die_with

_COMMAND = "from tests.preload import main; main()"


class Preloaded:
    """The process that has loaded the libraries; it and its servers die with this one."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", sys.executable, "-c", _COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[1],
            start_new_session=True,
        )
        self._lock = threading.Lock()
        self._codes: dict[int, int] = {}

    def start(self, environment: Mapping[str, str], log: Path) -> Child:
        """Start `vigie serve` with this environment; what it prints is added to `log`."""
        request = {"environment": dict(environment), "log": str(log), "directory": str(Path.cwd())}
        with self._lock:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            while (pid := self._read_line().get("started")) is None:
                pass
            self._codes.pop(pid, None)  # of an earlier server with this number
        return Child(self, pid)

    def code_of(self, pid: int) -> int | None:
        """How a server ended, as Popen has it; None while it runs."""
        with self._lock:
            while self._process.stdout in select.select([self._process.stdout], [], [], 0)[0]:
                self._read_line()
            return self._codes.get(pid)

    def _read_line(self) -> dict[str, int]:
        assert self._process.stdout is not None
        line: dict[str, int] | None = _read_json(self._process.stdout.fileno())
        assert line is not None, "the process that has loaded the libraries has ended"
        if "ended" in line:
            self._codes[line["ended"]] = line["code"]
        return line


class Child:
    """A server, with what its starter needs of subprocess.Popen."""

    def __init__(self, preloaded: Preloaded, pid: int) -> None:
        self.pid = pid
        self._preloaded = preloaded

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._preloaded.code_of(self.pid)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended. Raises subprocess.TimeoutExpired."""
        begun = time.monotonic()
        while (code := self.poll()) is None:
            if timeout is not None and time.monotonic() - begun > timeout:
                raise subprocess.TimeoutExpired("vigie serve", timeout)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it by force."""
        self.send_signal(signal.SIGKILL)


def main() -> None:
    """Load the libraries, then fork a server for each line of standard input."""
    import app.cli.root
    import app.main  # noqa: F401

    # A child's end must wake the select below, whatever its handler does.
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    gc.collect()
    gc.freeze()
    while True:
        ready, _, _ = select.select([0, ended], [], [])
        if ended in ready:
            os.read(ended, 4096)
            _tell_ended()
        if 0 in ready:
            request = _read_json(0)
            if request is None:
                return
            _fork(request)


def _read_json(file: int) -> Any:
    """The next line; None at the end. Byte by byte: what a buffer holds, select does not see."""
    text = bytearray()
    while (byte := os.read(file, 1)) not in (b"\n", b""):
        text += byte
    return json.loads(text) if byte else None


def _tell_ended() -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            _tell({"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _tell(line: Mapping[str, int]) -> None:
    os.write(1, json.dumps(line).encode() + b"\n")


def _fork(request: Mapping[str, Any]) -> None:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return _tell({"started": pid})
    try:
        _serve(parent, request)
    except Exception:  # noqa: BLE001  the end of a process: told as it would tell it
        traceback.print_exc()
    finally:
        os._exit(1)


def _serve(parent: int, request: Mapping[str, Any]) -> NoReturn:
    """Become `vigie serve`, as a process of its own would be."""
    die_with(parent)
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for ours, theirs in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(ours, theirs)
    os.closerange(3, 64)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["directory"])
    tempfile.tempdir = None  # chosen by an environment that was another
    gc.unfreeze()

    from app.cli import root

    code = 0
    try:
        root.app(["serve"])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
