"""Rates from two readings of counters. Counters that went back (a restart, a migration) give no rate, never a wrong one."""

from __future__ import annotations

from app.core.hosts.observations import HostCounters
from app.core.inventory.usage import Usage, UsageSample
from app.core.vms.observations import VmCounters

NS_PER_S = 1_000_000_000


def usage_between(before: UsageSample | None, after: UsageSample) -> tuple[Usage, dict[str, Usage]]:
    """Usage of the host, and of each VM in `after` by UUID, over the time between the two samples.

    Without `before`, or for a VM that is not in it or was started anew since, rates are None; memory is known
    at once.
    """
    seconds = after.taken_at_s - before.taken_at_s if before else 0.0
    earlier = {vm.uuid: vm for vm in before.vms} if before and seconds > 0 else {}
    host = _host_usage(before.host if before and seconds > 0 else None, after.host)
    return host, {vm.uuid: _vm_usage(earlier.get(vm.uuid), vm, seconds) for vm in after.vms}


def _host_usage(before: HostCounters | None, after: HostCounters) -> Usage:
    used = None
    if after.memory_total_bytes is not None and after.memory_free_bytes is not None:
        used = max(after.memory_total_bytes - after.memory_free_bytes, 0)
    busy = _grown(before.cpu_busy_ns, after.cpu_busy_ns) if before else None
    total = _grown(before.cpu_total_ns, after.cpu_total_ns) if before else None
    cpu = _percent(busy / total) if busy is not None and total else None
    return Usage(cpu_percent=cpu, memory_used_bytes=used, memory_total_bytes=after.memory_total_bytes)


def _vm_usage(before: VmCounters | None, after: VmCounters, seconds: float) -> Usage:
    used = _memory_used(after)
    if before is None or before.domain_id != after.domain_id:
        return Usage(memory_used_bytes=used, memory_total_bytes=after.memory_bytes)
    cpu_ns = _grown(before.cpu_time_ns, after.cpu_time_ns)
    reads = _rate(before.disk_read_requests, after.disk_read_requests, seconds)
    writes = _rate(before.disk_write_requests, after.disk_write_requests, seconds)
    return Usage(
        cpu_percent=_percent(cpu_ns / (seconds * NS_PER_S * after.vcpus))
        if cpu_ns is not None and after.vcpus
        else None,
        memory_used_bytes=used,
        memory_total_bytes=after.memory_bytes,
        disk_read_bps=_rate(before.disk_read_bytes, after.disk_read_bytes, seconds),
        disk_write_bps=_rate(before.disk_write_bytes, after.disk_write_bytes, seconds),
        disk_iops=None if reads is None and writes is None else (reads or 0.0) + (writes or 0.0),
        net_rx_bps=_rate(before.net_rx_bytes, after.net_rx_bytes, seconds),
        net_tx_bps=_rate(before.net_tx_bytes, after.net_tx_bytes, seconds),
    )


def _memory_used(vm: VmCounters) -> int | None:
    """What the guest says it uses; else what its process holds, which is never more than the guest has."""
    if vm.memory_bytes is not None and vm.memory_unused_bytes is not None:
        return max(vm.memory_bytes - vm.memory_unused_bytes, 0)
    if vm.memory_rss_bytes is not None and vm.memory_bytes is not None:
        return min(vm.memory_rss_bytes, vm.memory_bytes)
    return vm.memory_rss_bytes


def _grown(before: int | None, after: int | None) -> int | None:
    return after - before if before is not None and after is not None and after >= before else None


def _rate(before: int | None, after: int | None, seconds: float) -> float | None:
    grown = _grown(before, after)
    return None if grown is None else grown / seconds


def _percent(share: float) -> float:
    return min(max(share * 100, 0.0), 100.0)
