"""Hosts as the web process opens them: for consoles and for files on their way to or from a volume.

The engine has connections of its own; bytes for a person do not go through it. A host is opened when it is
first needed, shared by all who need it, and closed a minute after the last of them has left.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from app.access.host_secrets import target_of
from app.access.vault import Vault
from app.config import Settings
from app.core.errors import Conflict, HostUnreachable, NotFound
from app.core.hosts.states import HostState
from app.core.messages import N_
from app.db.models import Host as HostRow
from app.db.session import Database
from app.hypervisor import Host, Target

IDLE_S = 60.0


@dataclass(slots=True)
class _Open:
    """One host that is open, or being opened. `config_version` tells when it must be opened anew."""

    config_version: int
    opening: threading.Lock = field(default_factory=threading.Lock)
    host: Host | None = None
    users: int = 0
    timer: threading.Timer | None = None


class Visits:
    """The hosts that this process has open. Thread-safe."""

    def __init__(self, settings: Settings, database: Database, vault: Vault) -> None:
        self._settings = settings
        self._database = database
        self._vault = vault
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}

    @contextmanager
    def to(self, host_id: str) -> Iterator[Host]:
        """An open host, for as long as the block lasts.

        Raises NotFound, Conflict (host_not_connected) for a host that the engine cannot use either, and what
        `Host.open` raises.
        """
        version, target = self._target(host_id)
        entry = self._enter(host_id, version)
        try:
            yield self._opened(entry, target)
        finally:
            self._leave(host_id, entry)

    def close(self) -> None:
        """Close all."""
        with self._lock:
            entries = list(self._open.values())
            self._open.clear()
        for entry in entries:
            _close(entry)

    def _target(self, host_id: str) -> tuple[int, Target]:
        with self._database.read() as session:
            row = session.get(HostRow, host_id)
            if row is None:
                raise NotFound(N_("There is no such host."))
            if not HostState(row.state).is_usable:
                raise Conflict(
                    N_("The host is not connected."),
                    why=row.state_reason,
                    hint=N_("Wait until the host answers again, or look at the host's page for the reason."),
                    code="host_not_connected",
                )
            return row.config_version, target_of(session, self._vault, row, loopback=self._settings.lab)

    def _enter(self, host_id: str, version: int) -> _Open:
        with self._lock:
            entry = self._open.get(host_id)
            if entry is not None and (entry.config_version != version or _is_lost(entry)):
                self._open.pop(host_id)
                if not entry.users:
                    _close(entry)
                entry = None
            if entry is None:
                entry = self._open[host_id] = _Open(version)
            entry.users += 1
            if entry.timer is not None:
                entry.timer.cancel()
                entry.timer = None
            return entry

    def _opened(self, entry: _Open, target: Target) -> Host:
        with entry.opening:
            if entry.host is None:
                entry.host = Host.open(
                    target,
                    connect_deadline_s=self._settings.connect_deadline_s,
                    call_deadline_s=self._settings.call_deadline_s,
                )
            if not entry.host.is_open:
                raise HostUnreachable(
                    N_("The connection to the host was lost."), hint=N_("Try again in a moment.")
                )
            return entry.host

    def _leave(self, host_id: str, entry: _Open) -> None:
        with self._lock:
            entry.users -= 1
            if entry.users:
                return
            if self._open.get(host_id) is not entry:
                _close(entry)
                return
            entry.timer = threading.Timer(IDLE_S, self._close_idle, (host_id, entry))
            entry.timer.daemon = True
            entry.timer.start()

    def _close_idle(self, host_id: str, entry: _Open) -> None:
        with self._lock:
            if entry.users or self._open.get(host_id) is not entry:
                return
            self._open.pop(host_id)
        _close(entry)


def _is_lost(entry: _Open) -> bool:
    return entry.host is not None and not entry.host.is_open


def _close(entry: _Open) -> None:
    if entry.timer is not None:
        entry.timer.cancel()
    if entry.host is not None:
        entry.host.close()
