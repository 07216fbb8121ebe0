"""Simulated fleets: thousands of hosts served by a few libvirtd with their test driver, without root.

One libvirtd could serve all, but what it does grows with the square of its clients: with 2,500 of them each
call waits more than 1 ms for its poll(). So hosts are dealt to daemons, 250 each by default. Some hosts, the
victims, have a libvirtd of their own, which can be frozen or killed.
"""

import os
import resource
import secrets
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from pydantic import BaseModel

from app.lab.errors import LabError
from app.lab.fleets import nodes
from app.lab.hosts import namespace
from app.lab.process import run
from app.lab.state import DATA_ROOT, RUN_ROOT

VICTIMS = "victims"
MAX_HOSTS = 9999
# A unix socket's path may have 107 characters.
MAX_SOCKET_PATH = 107
NOBODY = 65534

CONFIG = """\
unix_sock_dir = "{sockets}"
auth_unix_ro = "none"
auth_unix_rw = "none"
max_clients = 20000
max_queued_clients = 20000
max_anonymous_clients = 20000
min_workers = 4
max_workers = 20
keepalive_interval = -1
log_outputs = "3:file:{log}"
"""


class FleetState(BaseModel):
    """A fleet on disk. Its last `victims` hosts share a daemon; the others have one per `share` hosts."""

    id: str
    directory: Path
    hosts: int
    vms: int
    victims: int
    share: int


class Fleet:
    """Simulated hosts. `up` makes them, `attach` finds them, `down` removes every trace."""

    def __init__(self, state: FleetState) -> None:
        self.state = state

    @classmethod
    def up(
        cls,
        hosts: int,
        vms: int = 18,
        base_dir: Path | None = None,
        *,
        victims: int = 0,
        frozen: bool = False,
        share: int = 250,
        fleet_id: str | None = None,
    ) -> Self:
        """Make a fleet and return once its daemons answer; with `frozen`, victims are frozen from the start.

        Raises LabError when it cannot be made; nothing is left then.
        """
        if not 1 <= hosts <= MAX_HOSTS or not 0 <= victims <= hosts or vms < 0 or share < 1:
            raise LabError(
                f"A fleet has 1 to {MAX_HOSTS} hosts, no more victims than hosts, and 0 or more VMs each."
            )
        identity = fleet_id or secrets.token_hex(2)
        directory = (base_dir or _default_base()).resolve() / f"fleet-{identity}"
        fleet = cls(
            FleetState(id=identity, directory=directory, hosts=hosts, vms=vms, victims=victims, share=share)
        )
        if len(str(fleet.socket(VICTIMS))) > MAX_SOCKET_PATH:
            raise LabError(f"{base_dir} is too long a path for a socket in it; choose a shorter --dir.")
        try:
            fleet._build()
            if frozen:
                fleet.freeze()
        except BaseException:
            fleet.down()
            raise
        return fleet

    @classmethod
    def attach(cls, fleet_id: str | None = None) -> Self:
        """The fleet with this id, or the only one. Raises LabError when none or several fit."""
        found = [state for state in all_fleets() if fleet_id in (None, state.id)]
        if not found:
            raise LabError("There is no such fleet; `vigie lab fleet up` makes one.")
        if len(found) > 1:
            raise LabError(
                f"Several fleets are up; choose with --id: {', '.join(state.id for state in found)}."
            )
        return cls(found[0])

    def down(self) -> None:
        """End the daemons and remove every trace. No error when parts are gone already."""
        for group in self.groups:
            self._signal(group, signal.SIGKILL)
        shutil.rmtree(self.state.directory, ignore_errors=True)
        self._pointer.unlink(missing_ok=True)
        for base in (_default_base(), _registry()):
            if base.is_dir() and not any(base.iterdir()):
                base.rmdir()

    @property
    def groups(self) -> list[str]:
        """Names of the daemons."""
        return list(dict.fromkeys(self.group_of(number) for number in range(1, self.state.hosts + 1)))

    def is_victim(self, number: int) -> bool:
        """Whether the nth host (from 1) can be frozen or killed."""
        return number > self.state.hosts - self.state.victims

    def group_of(self, number: int) -> str:
        """Which daemon serves the nth host (from 1)."""
        if self.is_victim(number):
            return VICTIMS
        return f"main-{(number - 1) // self.state.share + 1:02d}"

    def socket(self, group: str) -> Path:
        """The socket of one of the daemons."""
        return self.state.directory / group / "libvirt-sock"

    def node_path(self, number: int) -> Path:
        """The file of the nth host (from 1)."""
        return self.state.directory / "nodes" / f"node-{number:04d}.xml"

    def uri(self, number: int) -> str:
        """The libvirt URI of the nth host (from 1)."""
        return f"test+unix://{self.node_path(number)}?socket={self.socket(self.group_of(number))}"

    def uris(self) -> list[str]:
        """All libvirt URIs, in order."""
        return [self.uri(number) for number in range(1, self.state.hosts + 1)]

    def pid(self, group: str) -> int | None:
        """Pid of one of the daemons; None when it is dead."""
        found = namespace.with_argument(self._config(group))
        return found[0] if found else None

    def freeze(self) -> None:
        """Stop the victims' daemon in its tracks: connections open and nothing answers."""
        self._signal(VICTIMS, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the victims' daemon go on."""
        self._signal(VICTIMS, signal.SIGCONT)

    def kill(self) -> None:
        """Kill the victims' daemon: connections are refused."""
        self._signal(VICTIMS, signal.SIGKILL)

    def start(self, group: str = VICTIMS) -> None:
        """Start a daemon that was killed. Its hosts are as their files say. Raises LabError."""
        if self.pid(group) is not None:
            return
        home = self.state.directory / group
        command = [
            "libvirtd",
            "--daemon",
            "--config",
            str(self._config(group)),
            "--pid-file",
            str(home / "pid"),
        ]
        if os.geteuid() == 0:
            # As root it would be the machine's own libvirtd; yet it must reach closed directories.
            caps = "+dac_read_search"
            who = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            command = [*who, f"--inh-caps={caps}", f"--ambient-caps={caps}", *command]
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        places = {
            f"XDG_{kind}": str(home) for kind in ("RUNTIME_DIR", "CONFIG_HOME", "CACHE_HOME", "DATA_HOME")
        }
        run(
            ["prlimit", f"--nofile={limit}", *command],
            extra_environment={**places, "HOME": str(home)},
            cwd=home,
        )
        self._wait_until_answering(group)

    @property
    def _pointer(self) -> Path:
        return _registry() / f"{self.state.id}.json"

    def _config(self, group: str) -> Path:
        return self.state.directory / group / "libvirtd.conf"

    def _build(self) -> None:
        _registry().mkdir(parents=True, exist_ok=True)
        self._pointer.write_text(self.state.model_dump_json() + "\n")
        (self.state.directory / "nodes").mkdir(parents=True)
        for number in range(1, self.state.hosts + 1):
            nodes.write_node(self.node_path(number), number, self.state.vms)
        for group in self.groups:
            home = self.state.directory / group
            home.mkdir()
            self._config(group).write_text(CONFIG.format(sockets=home, log=home / "log"))
            if os.geteuid() == 0:
                os.chown(home, NOBODY, NOBODY)
            self.start(group)

    def _wait_until_answering(self, group: str) -> None:
        numbers = range(1, self.state.hosts + 1)
        number = next(item for item in numbers if self.group_of(item) == group)
        answer = run(["virsh", "-q", "-c", self.uri(number), "list"], check=False)
        if answer.returncode != 0:
            log = self.state.directory / group / "log"
            message = log.read_text()[-1000:] if log.exists() else ""
            raise LabError(f"The fleet's libvirtd does not answer: {answer.stderr.strip()} {message}")

    def _signal(self, group: str, number: signal.Signals, timeout_s: float = 10) -> None:
        pid = self.pid(group)
        if pid is None:
            return
        namespace.send(pid, number)
        deadline = time.monotonic() + timeout_s
        while number == signal.SIGKILL and self.pid(group) is not None:
            if time.monotonic() > deadline:
                raise LabError(f"The fleet's libvirtd, process {pid}, does not end.")
            time.sleep(0.01)


def all_fleets() -> list[FleetState]:
    """Every fleet that is written down for this user."""
    states = []
    for path in sorted(_registry().glob("*.json")):
        with suppress(FileNotFoundError):  # it was taken down just now
            states.append(FleetState.model_validate_json(path.read_text()))
    return states


def _registry() -> Path:
    if os.geteuid() == 0:
        return RUN_ROOT / "fleets"
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(base) / f"vigie-fleets-{os.geteuid()}"


def _default_base() -> Path:
    return DATA_ROOT if os.geteuid() == 0 else _registry()
