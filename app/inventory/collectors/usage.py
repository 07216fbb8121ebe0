"""Use of CPU, memory, disks and networks by hosts and VMs. It is read with the states of VMs: `STATES` in `vms.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.core.inventory.usage import Usage, UsageSample
from app.db import models
from app.inventory.batch import Batch
from app.inventory.collectors.collector import Collector
from app.inventory.merged_report import Reading
from app.inventory.usage import COLUMNS, UNKNOWN, rounded
from app.inventory.vms.rows import VmRow, VmRows


@dataclass(frozen=True, slots=True)
class UsageReading:
    """Rates over the time since the sample before, by UUID for VMs; a VM without one is not running.

    `sample`: the counters as they were read, before anything is rounded or dropped.
    """

    host: Usage | None
    vms: Mapping[str, Usage] | None
    sample: UsageSample | None = None


class UsageCollector(Collector[UsageReading]):
    """Keeps the usage of hosts and VMs, rounded: see `inventory.usage`."""

    name = "usage"

    def merge(self, earlier: UsageReading, later: UsageReading) -> UsageReading:
        """The later figures, as far as it has any."""
        return UsageReading(
            later.host or earlier.host, later.vms if later.vms is not None else earlier.vms, later.sample
        )

    def write(self, batch: Batch, readings: Sequence[Reading[UsageReading]]) -> None:
        """Write figures that changed noticeably."""
        for reading in readings:
            if reading.value.host is not None:
                _write_host(batch, reading, reading.value.host)
        reported = {item.host_id: item.value.vms for item in readings if item.value.vms is not None}
        if reported:
            for host_id, rows in batch.shared(VmRows).of(reported).items():
                _write_vms(batch, rows, reported[host_id])


def _write_host(batch: Batch, reading: Reading[UsageReading], usage: Usage) -> None:
    row, wanted = reading.merged.row, rounded(usage)
    if row is not None and wanted != tuple(getattr(row, name) for name in COLUMNS):
        batch.update(models.Host, reading.host_id, dict(zip(COLUMNS, wanted, strict=True)))
        batch.topics.add(reading.host_id)


def _write_vms(batch: Batch, rows: Mapping[str, VmRow], usages: Mapping[str, Usage]) -> None:
    for uuid, row in rows.items():
        usage = None if row.gone else usages.get(uuid)
        wanted = rounded(usage) if usage is not None else UNKNOWN
        if wanted != row.usage:
            row.usage = wanted
            batch.update(models.Vm, row.id, dict(zip(COLUMNS, wanted, strict=True)))
            batch.topics.add(row.id)


USAGE = UsageCollector()
