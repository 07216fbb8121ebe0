"""Use of CPU, memory, disks and networks."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.hosts.observations import HostCounters
from app.core.vms.observations import VmCounters


@dataclass(frozen=True, slots=True)
class Usage:
    """Rates of a VM or host over the last interval. None where it cannot be known."""

    cpu_percent: float | None = None  # of all its vCPUs or threads, 0..100
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    disk_read_bps: float | None = None
    disk_write_bps: float | None = None
    disk_iops: float | None = None
    net_rx_bps: float | None = None  # bytes per second
    net_tx_bps: float | None = None


@dataclass(frozen=True, slots=True)
class UsageSample:
    """Counters of a host and its running VMs, read together. `taken_at_s` is a monotonic clock."""

    taken_at_s: float
    host: HostCounters
    vms: tuple[VmCounters, ...] = ()
    complete: bool = True  # False: those of VMs did not come in time
