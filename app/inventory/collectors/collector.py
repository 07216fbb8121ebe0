"""What a collector declares: when it reads a host, how two readings merge, and which rows and events follow."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import ClassVar, Generic, TypeVar, cast

from app.config import Settings
from app.core.inventory.reports import Hint, Parts
from app.hypervisor import Host
from app.inventory.batch import Batch
from app.inventory.merged_report import Reading

T = TypeVar("T")
Value = TypeVar("Value")
Kept = TypeVar("Kept")

# Hosts per second whose facts, and whose slow parts, are read first in a fleet that connects.
FIRST_HOSTS_PER_S = 50.0
FIRST_SLOW_PER_S = 20.0
EVENTS = "events"  # the reading of what events named, in the place of a poll


class Lane(Enum):
    """Polls of a host in one lane run one after the other; what hangs in one does not hold up the others."""

    PROMPT = auto()  # beside connecting, events and signs of life
    STATISTICS = auto()
    SLOW = auto()  # what may take long


@dataclass(frozen=True, slots=True)
class Load:
    """What decides when a host is read again.

    `hosts`: how many there are. `calls`: round trips of the last such poll, as far as it counts them. `soon` (0 to 1)
    and `spread` (about 1) are random, so that hosts are not all read at once.
    """

    settings: Settings
    hosts: int
    calls: int = 0
    soon: float = 0.0
    spread: float = 1.0

    @property
    def first_slow_s(self) -> float:
        """Seconds from a full reading to the first look at what takes long: a large fleet is spread."""
        return min(1.0, self.hosts / FIRST_HOSTS_PER_S) + self.soon * self.hosts / FIRST_SLOW_PER_S

    @property
    def first_recheck_s(self) -> float:
        """Seconds from a full reading to the first look for changes that hosts send no event for."""
        return self.soon * self.settings.recheck_s + self.hosts / FIRST_SLOW_PER_S


@dataclass(frozen=True, slots=True)
class Poll:
    """A reading that is made again and again.

    `slack_s`: how long it may wait for a thread. `every_s`: seconds from its end to the next; None when it is made only
    when something asks for it (`Collector.wanted`) or after a full reading. `first_s`: seconds from a full reading of
    the host to it, unless it is planned already. `settling_s`: seconds between two of them just after a reconnect.
    `hangs_alone`: a hang is one of a part of the host, whose connection is cut and made again.
    """

    name: str
    lane: Lane
    slack_s: float
    read: Callable[[HostMemory, Host], Parts]
    every_s: Callable[[Load], float] | None = None
    first_s: Callable[[Load], float] | None = None
    settling_s: float | None = None
    hangs_alone: bool = False


class HostMemory:
    """What collectors remember of one host from one reading to the next. Thread-safe; what it keeps locks for itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[type[object], object] = {}
        self.calls: dict[str, int] = {}  # round trips that polls took last, by the name of the poll

    def of(self, kind: type[Kept]) -> Kept:
        """The one object of this class; made when it is asked for first."""
        with self._lock:
            found = self._kept.get(kind)
            if found is None:
                found = self._kept[kind] = kind()
        return cast("Kept", found)


class Newest:
    """When the newest readings of a host by one collector began, in seconds of time.monotonic(). Its user locks.

    Several threads read a host at the same time, and tasks read it too: the newer of two readings is the one that began
    later, whichever ends first.
    """

    def __init__(self) -> None:
        self.times: dict[str, float] = {}

    def note(self, key: str, began_s: float) -> bool:
        """Note a reading unless a newer one is known; return whether it was noted."""
        if began_s < self.times.get(key, began_s):
            return False
        self.times[key] = began_s
        return True

    def note_each(self, values: Mapping[str, Value], began_s: float) -> dict[str, Value]:
        """Those of the values of which no newer reading is known, each noted by its key."""
        return {key: value for key, value in values.items() if self.note(key, began_s)}


class Collector(ABC, Generic[T]):
    """One kind of thing on hosts. An instance is shared by all hosts: what it remembers of one is in HostMemory.

    A subclass declares `name`, its `polls`, and `write`. `events` is the kind of object in events (vm, pool, network)
    after which `follow` is called.
    """

    name: ClassVar[str]
    events: ClassVar[str | None] = None
    polls: Sequence[Poll] = ()

    def part(self, value: T) -> dict[str, object]:
        """The value as a part of a report."""
        return {self.name: value}

    def of(self, parts: Parts) -> T | None:
        """This collector's part; None when nothing was read."""
        return cast("T | None", parts.get(self.name))

    def follow(self, memory: HostMemory, host: Host, hints: Sequence[Hint]) -> Parts:
        """Read again what events of this kind named, and what this collector found out itself. Called without, too."""
        return {}

    def derive(self, memory: HostMemory, parts: Parts, hints: Sequence[Hint]) -> Parts:
        """Take note of what was just read by any collector; return what follows from it."""
        return {}

    def reconnected(self, memory: HostMemory) -> None:
        """Forget what cannot be compared across connections."""

    def wanted(self, memory: HostMemory, now: float) -> Mapping[str, float]:
        """Polls (or EVENTS) that what was read so far asks for, and when, in seconds of time.monotonic()."""
        return {}

    def admit(self, value: T, newest: Newest, began_s: float) -> T | None:
        """The value without what newer readings have told already; None when nothing is left."""
        return value if newest.note("", began_s) else None

    def merge(self, earlier: T, later: T) -> T:
        """Two readings of one host as one."""
        return later

    @abstractmethod
    def write(self, batch: Batch, readings: Sequence[Reading[T]]) -> None:
        """Write what changed: rows, events, versions, topics. One reading per host, of hosts that are believed."""
