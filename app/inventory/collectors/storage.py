"""Storage pools and volumes of hosts."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence

from app.core.inventory.reports import Hint, Parts
from app.core.storage.observations import PoolObservation
from app.hypervisor import Host
from app.inventory.batch import Batch
from app.inventory.collectors.collector import Collector, HostMemory, Lane, Load, Newest, Poll
from app.inventory.collectors.disk_sizes import DiskSizes
from app.inventory.collectors.usage import USAGE
from app.inventory.merged_report import Reading
from app.inventory.storage.pools import observe_pools
from app.inventory.storage.readings import StorageReading, admit, merge
from app.inventory.storage.volumes import observe_volumes, volumes_without_pools

CHANGED_S = 0.5  # from the event of a pool to the reading of its volumes
CHANGED_EVERY_S = 10.0  # each part of an upload makes libvirt read the pool anew
HUNG_RETRY_S = 60.0  # until the volumes of a pool that hung are read again
READ_AGAIN = 3
VOLUMES_EVERY_S = 600.0
FILL_CALLS_PER_S = (
    200.0  # round trips that looks at pools may cost over all hosts; beyond, hosts are read less often
)


class PoolChanges:
    """Pools of one host whose volumes are to be read, and what running pools held when that was looked at last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed: set[str] = set()  # UUIDs
        self._due = 0.0  # when they may be read
        self.fill: dict[str, int] = {}  # marks by UUID; the slow lane alone writes them

    def add(self, pools: Collection[str]) -> None:
        """Have the volumes of these pools read soon."""
        with self._lock:
            if pools and not self._changed:
                self._due = max(self._due, time.monotonic() + CHANGED_S)
            self._changed.update(pools)

    def take(self) -> set[str]:
        """Hand out those that are to be read now."""
        with self._lock:
            taken, self._changed = self._changed, set()
            self._due = time.monotonic() + CHANGED_EVERY_S
        return taken

    def put_back(self, pools: set[str]) -> None:
        """Those could not be read."""
        with self._lock:
            self._changed |= pools
            self._due = time.monotonic() + HUNG_RETRY_S

    @property
    def due(self) -> float | None:
        """When there is something to read (time.monotonic()); None when there is not."""
        with self._lock:
            return self._due if self._changed else None


def read_all_volumes(memory: HostMemory, host: Host) -> Parts:
    """All pools with their volumes."""
    memory.of(PoolChanges).fill, _ = host.pool_marks()
    return STORAGE.part(StorageReading(_with_volumes(host)))


def read_changed_volumes(memory: HostMemory, host: Host) -> Parts:
    """The volumes of the pools that events named."""
    changes = memory.of(PoolChanges)
    pools = changes.take()
    try:
        return STORAGE.part(StorageReading(_with_volumes(host, pools)))
    except BaseException:
        changes.put_back(pools)
        raise


def check_fill(memory: HostMemory, host: Host) -> Parts:
    """Have the volumes read of pools that hold something else than when they were read last."""
    changes = memory.of(PoolChanges)
    marks, memory.calls[FILL.name] = host.pool_marks()
    before, changes.fill = changes.fill, marks
    changes.add({uuid for uuid, mark in marks.items() if before.get(uuid, mark) != mark})
    return {}


def fill_s(load: Load) -> float:
    """Seconds between two looks at what the pools of a host hold."""
    return max(load.settings.recheck_s * 3, load.hosts * load.calls / FILL_CALLS_PER_S)


def _with_volumes(host: Host, only: Collection[str] | None = None) -> tuple[PoolObservation, ...]:
    """Pools with their volumes; without, while tasks change their pools: what tasks report is newer."""
    for _ in range(READ_AGAIN):
        changes = host.storage.changes
        pools = host.read_pools(volumes=True, only=only)
        if host.storage.changes == changes:
            return pools
    return host.read_pools(volumes=False)


VOLUMES = Poll(
    "volumes",
    Lane.SLOW,
    slack_s=300.0,
    read=read_all_volumes,
    every_s=lambda load: VOLUMES_EVERY_S * load.spread,
    first_s=lambda load: load.first_slow_s,
    hangs_alone=True,
)
CHANGED = Poll("pools", Lane.SLOW, slack_s=10.0, read=read_changed_volumes, hangs_alone=True)
FILL = Poll(
    "fill",
    Lane.SLOW,
    slack_s=15.0,
    read=check_fill,
    every_s=fill_s,
    first_s=lambda load: load.first_recheck_s,
    hangs_alone=True,
)


class StorageCollector(Collector[StorageReading]):
    """Mirrors pools and their volumes. The first list of pools of a connection comes with the host's facts."""

    name = "storage"
    events = "pool"
    polls = (VOLUMES, CHANGED, FILL)

    def follow(self, memory: HostMemory, host: Host, hints: Sequence[Hint]) -> Parts:
        """The list of pools at once, when events named some; the volumes of these soon."""
        named = {hint.uuid for hint in hints if hint.uuid}
        if not named:
            return {}
        memory.of(PoolChanges).add(named)
        return self.part(StorageReading(host.read_pools(volumes=False)))

    def derive(self, memory: HostMemory, parts: Parts, hints: Sequence[Hint]) -> Parts:
        """Have all volumes read when disks of running VMs have another size: libvirt sends no event for that."""
        usage, changes = USAGE.of(parts), memory.of(PoolChanges)
        if usage is not None and usage.sample is not None and memory.of(DiskSizes).changed(usage.sample):
            changes.add(tuple(changes.fill))  # it lies in one of the pools
        return {}

    def wanted(self, memory: HostMemory, now: float) -> Mapping[str, float]:
        """The volumes of changed pools."""
        due = memory.of(PoolChanges).due
        return {} if due is None else {CHANGED.name: due}

    def admit(self, value: StorageReading, newest: Newest, began_s: float) -> StorageReading | None:
        """See `storage.readings.admit`."""
        return admit(value, newest.times, began_s)

    def merge(self, earlier: StorageReading, later: StorageReading) -> StorageReading:
        """See `storage.readings.merge`."""
        return merge(earlier, later)

    def write(self, batch: Batch, readings: Sequence[Reading[StorageReading]]) -> None:
        """Write pools, then volumes, and what follows for the disks of VMs."""
        read = observe_pools(batch, readings)
        observe_volumes(batch, [*read, *volumes_without_pools(batch, readings)])


STORAGE = StorageCollector()
