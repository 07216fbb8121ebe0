"""Reads one host for its coordinator: polls and what events named, by all collectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from app.core.inventory.reports import Hint, Parts
from app.core.inventory.usage import UsageSample
from app.hypervisor import Host
from app.inventory.collectors.all_collectors import Collectors
from app.inventory.collectors.collector import HostMemory, Poll
from app.inventory.collectors.usage import USAGE

OnUsage = Callable[[str, UsageSample], None]
"""Called with the host's id and its counters as they were read. In the thread that reads: it must only queue."""


class HostReader:
    """Holds what collectors remember of the host. All lanes of its coordinator use it at the same time."""

    def __init__(self, host_id: str, collectors: Collectors, on_usage: OnUsage) -> None:
        self._host_id = host_id
        self._collectors = collectors
        self._on_usage = on_usage
        self.memory = HostMemory()

    def read(self, poll: Poll, host: Host) -> Parts:
        """Make one poll; empty when there is nothing to report. Raises HostError."""
        return self._with_derived(poll.read(self.memory, host), ())

    def follow(self, host: Host, hints: Sequence[Hint]) -> Parts:
        """Read again what the events named, and only that. Raises HostError."""
        found: dict[str, object] = {}
        for collector in self._collectors:
            if collector.events is not None:
                found |= collector.follow(
                    self.memory, host, [hint for hint in hints if hint.kind == collector.events]
                )
        return self._with_derived(found, hints)

    def reconnected(self) -> None:
        """A new connection: what cannot be compared with readings of an earlier one is forgotten."""
        for collector in self._collectors:
            collector.reconnected(self.memory)

    def wanted(self, now: float) -> dict[str, float]:
        """Polls that what was read so far asks for, by name, and when (time.monotonic())."""
        found: dict[str, float] = {}
        for collector in self._collectors:
            for name, due in collector.wanted(self.memory, now).items():
                found[name] = min(due, found.get(name, due))
        return found

    def _with_derived(self, parts: Parts, hints: Sequence[Hint]) -> Parts:
        if not parts:
            return parts
        usage = USAGE.of(parts)
        if usage is not None and usage.sample is not None:
            self._on_usage(self._host_id, usage.sample)
        derived: dict[str, object] = {}
        for collector in self._collectors:
            derived |= collector.derive(self.memory, parts, hints)
        return {**parts, **derived} if derived else parts
