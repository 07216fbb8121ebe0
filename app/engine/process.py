"""The engine in a process of its own, so that pages never wait for it to let go of the interpreter.

It is forked before the first thread is started, shares what is imported, and dies with its parent however that
ends. The two are joined by a IpcEndpoint; the engine says how it is twice a second, and silence counts as not running.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict

import structlog

from app.access.context import Services
from app.access.vault import Vault
from app.config import Settings
from app.core.errors import Unavailable, VigieError
from app.core.messages import N_
from app.core.notices import Hub
from app.db.session import Database
from app.engine.engine import Engine
from app.engine.ipc import IpcEndpoint, Message
from app.hypervisor import remove_directory, serve_many_threads
from app.memory import TRIM_EVERY_S, give_back, share_heaps

log = structlog.get_logger(__name__)

HEALTH_EVERY_S = 0.5
SILENT_AFTER_S = 5.0
START_S = 30.0
STOP_S = 4.0
_PR_SET_PDEATHSIG = 1  # prctl(2)


class EngineProcess:
    """The parent's side. `fork` first of all, `connect` once there is a hub."""

    def __init__(self, pid: int, end: socket.socket) -> None:
        self.pid = pid
        self._end = end
        self._ipc: IpcEndpoint | None = None
        self._told = threading.Event()
        self._why_not: Message | None = None
        self._health: Mapping[str, object] = {}
        self._heard_at = 0.0
        self._stopping = False

    @classmethod
    def fork(cls, settings: Settings, vault: Vault) -> EngineProcess:
        """Start the process. No thread may run yet."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        gc.collect()
        gc.freeze()  # what both share is not written to by their collectors
        pid = os.fork()
        if pid:
            theirs.close()
            return cls(pid, ours)
        try:
            ours.close()
            _become_child_of(parent)
            serve_many_threads()
            _Child(settings, vault, theirs).run()
        except Exception:
            log.exception("engine_failed")
        finally:
            os._exit(1)

    def connect(self, hub: Hub, on_end: Callable[[], None]) -> None:
        """Join the hub. `on_end` is called when the process ends without having been asked to."""

        def ended() -> None:
            self._told.set()
            if not self._stopping:
                on_end()

        self._ipc = IpcEndpoint(hub, self._end, self._hear, ended)
        self._ipc.start()

    def wait_until_started(self) -> None:
        """Return once the engine works. Raises Unavailable with the reason when it cannot."""
        self._told.wait(START_S)
        if self._why_not is not None:
            raise Unavailable(**self._why_not)
        if not self._heard_at:
            raise Unavailable(
                N_("The engine did not start."), hint=N_("The log says why."), code="engine_not_started"
            )

    def health(self) -> Mapping[str, object]:
        """How the engine was, at most half a second ago; not running when nothing was heard for long."""
        if time.monotonic() - self._heard_at > SILENT_AFTER_S:
            return {**self._health, "running": False}
        return self._health

    def stop(self) -> None:
        """Ask the process to end, and make sure of it."""
        self._stopping = True
        if self._ipc is not None:
            self._ipc.close()
        deadline = time.monotonic() + STOP_S
        while time.monotonic() < deadline:
            with suppress(ChildProcessError):
                if os.waitpid(self.pid, os.WNOHANG)[0] == 0:
                    time.sleep(0.01)
                    continue
            return
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def _hear(self, message: Message) -> None:
        if "health" in message:
            self._health = message["health"]
            self._heard_at = time.monotonic()
        else:
            self._why_not = message["failed"]
        self._told.set()


class _Child:
    """The engine's side: runs until the parent hangs up."""

    def __init__(self, settings: Settings, vault: Vault, end: socket.socket) -> None:
        self._database = Database(settings.database, epoch_file=settings.epoch_path)
        self._hub = Hub()
        self._engine = Engine(Services(settings, self._database, self._hub, vault))
        self._ended = threading.Event()
        self._ipc = IpcEndpoint(self._hub, end, lambda _: None, self._ended.set)

    def run(self) -> None:
        """Everything, to the end of the process."""
        self._ipc.start()
        try:
            self._engine.start()
        except VigieError as error:
            reported = {**error.texts()._asdict(), "code": error.code}
            self._ipc.tell({"failed": reported})
            self._ipc.close()
            return
        trimmed_at = time.monotonic()
        while True:
            self._ipc.tell({"health": asdict(self._engine.health())})
            if self._ended.wait(HEALTH_EVERY_S):
                break
            if time.monotonic() - trimmed_at > TRIM_EVERY_S:
                give_back()
                trimmed_at = time.monotonic()
        self._engine.stop()
        self._database.close()
        remove_directory()
        # Threads blocked in a call to a hung host must not hold up the end; all that matters is written by now.
        os._exit(0)


def _become_child_of(parent: int) -> None:
    """Be killed when the parent ends; leave Ctrl-C and SIGTERM to it; share heaps between threads."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    share_heaps()
    die_with(parent)


def die_with(parent: int) -> None:
    """Be killed when the parent ends, however that happens; end at once when it has."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
