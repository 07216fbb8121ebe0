"""A Vigie server as a child process, for the demo and the benchmark: the real command, in its own session.

The child gets its settings from a file of its own; nothing of a real Vigie on this machine (environment or
/etc/vigie) reaches it. It dies with the process that made it, even when that is killed with signal 9.
"""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Protocol

from app.lab.errors import LabError
from app.lab.rest import Rest

VIGIE = [sys.executable, "-c", "from app.cli import main; main()"]
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0


class Child(Protocol):
    """What is needed of the process of a server; a subprocess.Popen has it."""

    pid: int

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int, /) -> None: ...

    def kill(self) -> None: ...


class Server:
    """`vigie serve` and the other commands of `vigie`, on the data directory `directory`."""

    def __init__(
        self, directory: Path, *, port: int = 0, settings: Mapping[str, object] | None = None
    ) -> None:
        self.directory = directory
        self.port = port or free_port()
        self._settings = {
            **(settings or {}),
            "data_dir": str(directory),
            "host": "127.0.0.1",
            "port": self.port,
        }
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def config(self) -> Path:
        """Its settings: VIGIE_CONFIG for whoever wants to use the command line on it."""
        return self.directory / "vigie.toml"

    @property
    def log(self) -> Path:
        """What it logged."""
        return self.directory / "server.log"

    @property
    def pid(self) -> int:
        """Its process. Raises LabError when it was not started."""
        if self._child is None:
            raise LabError("The server is not started.")
        return self._child.pid

    def prepare(self) -> None:
        """Make the directory, the settings file and an up-to-date database."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.config.write_text(
            "".join(f"{name} = {_toml(value)}\n" for name, value in self._settings.items())
        )
        self.vigie("db", "upgrade")

    def vigie(self, *words: str, given: str = "", timeout_s: float = 60) -> str:
        """Run a command of `vigie` on this data directory and return what it printed.

        Raises LabError with its words when it fails.
        """
        done = subprocess.run(
            [*VIGIE, *words],
            input=given,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=self._environment,
            check=False,
        )
        if done.returncode != 0:
            message = (done.stderr.strip() or done.stdout.strip())[-1500:]
            raise LabError(f"`vigie {' '.join(words)}` failed: {message}")
        return done.stdout

    def start(self, *, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Start serving and return once it answers. Raises LabError with the end of its log."""
        self._child = self._launch()
        deadline = time.monotonic() + timeout_s
        while not self._answers():
            if self._child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise LabError(f"The server did not start; its log {self.log} ends:\n{self._last_words()}")
            time.sleep(0.02)

    def _launch(self) -> Child:
        with self.log.open("ab") as output:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *VIGIE, "serve"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                # Ctrl-C is for the parent, which ends the child in its own time.
                start_new_session=True,
            )

    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._child is not None and self._child.poll() is not None

    def stop(self) -> float:
        """End it, by force when it takes more than 10 s; return the seconds that it took."""
        child, self._child = self._child, None
        if child is None or child.poll() is not None:
            return 0.0
        begun = time.monotonic()
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        return time.monotonic() - begun

    @property
    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("VIGIE_")}
        return {**kept, "VIGIE_CONFIG": str(self.config), "PYTHONUNBUFFERED": "1"}

    def _answers(self) -> bool:
        with closing(Rest(self.url, "", timeout_s=2)) as rest:
            try:
                return rest.ask("GET", "/healthz").status == 200
            except OSError:
                return False

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]


def is_served(directory: Path) -> bool:
    """Whether a server runs on this data directory: it holds a lock there."""
    try:
        with (directory / "vigie.lock").open() as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def free_port(preferred: int = 0) -> int:
    """`preferred` when nobody listens there, else a port that the kernel chooses."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise LabError("This machine has no free port.")


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
