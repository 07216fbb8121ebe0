"""Open hosts, shared by all who need one for a while: opened on first use, closed a minute after the last use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from app.hypervisor.host.host import Host
from app.hypervisor.transport.targets import Target
from app.hypervisor.transport.transport_loop import link_loop

IDLE_S = 60.0


@dataclass(eq=False, slots=True)
class _Entry:
    """One host that is open, or being opened, as one version of its configuration says."""

    config_version: int
    opening: threading.Lock = field(default_factory=threading.Lock)
    host: Host | None = None
    users: int = 0
    idle_timer: object | None = None

    def close(self) -> None:
        link_loop().disarm(self.idle_timer)
        if self.host is not None:
            self.host.close()


class HostConnectionCache:
    """The hosts that are open now, by id. Thread-safe.

    `open_host` connects to a target, such as `Host.open` with its deadlines.
    """

    def __init__(self, open_host: Callable[[Target], Host], *, idle_s: float = IDLE_S) -> None:
        self._open_host = open_host
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}

    @contextmanager
    def use(self, host_id: str, config_version: int, target: Target) -> Iterator[Host]:
        """The open host, kept open for as long as the block lasts. Raises what opening it raises.

        A host that was lost, or was opened with another version of its configuration, is opened anew; whoever uses
        it with the other version goes on with that.
        """
        entry = self._enter(host_id, config_version)
        try:
            yield self._opened(entry, target)
        finally:
            self._leave(host_id, entry)

    def close(self) -> None:
        """Close all, also those in use."""
        with self._lock:
            entries = list(self._entries.values())
            self._entries.clear()
        for entry in entries:
            entry.close()

    def _enter(self, host_id: str, config_version: int) -> _Entry:
        outdated = None
        with self._lock:
            entry = self._entries.get(host_id)
            if entry is None or entry.config_version != config_version:
                outdated = entry
                entry = self._entries[host_id] = _Entry(config_version)
            entry.users += 1
            timer, entry.idle_timer = entry.idle_timer, None
            is_used = outdated is not None and outdated.users > 0
        link_loop().disarm(timer)
        if outdated is not None and not is_used:
            outdated.close()
        return entry

    def _opened(self, entry: _Entry, target: Target) -> Host:
        with entry.opening:
            if entry.host is None or not entry.host.is_open:
                entry.host = self._open_host(target)
            return entry.host

    def _leave(self, host_id: str, entry: _Entry) -> None:
        with self._lock:
            entry.users -= 1
            if entry.users:
                return
            is_current = self._entries.get(host_id) is entry
            if is_current:
                close_idle = partial(self._close_idle, host_id, entry)
                entry.idle_timer = link_loop().arm(self._idle_s, close_idle)
        if not is_current:
            entry.close()

    def _close_idle(self, host_id: str, entry: _Entry) -> None:
        with self._lock:
            if entry.users or self._entries.get(host_id) is not entry:
                return
            del self._entries[host_id]
        entry.close()
