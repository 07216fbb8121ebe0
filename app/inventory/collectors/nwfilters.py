"""Network filters of hosts. What a listing lacks is deleted; definitions that change keep their versions."""

from __future__ import annotations

from collections.abc import Sequence

from app.core.ids import new_id
from app.core.inventory.reports import Hint, Parts
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.networks.observations import NwfilterObservation
from app.db import models
from app.hypervisor import Host
from app.inventory import host_objects
from app.inventory.batch import Batch, StoredRow
from app.inventory.collectors.collector import Collector, HostMemory, Lane, Load, Poll
from app.inventory.collectors.vms import VMS
from app.inventory.identity_claims import claimed_ids
from app.inventory.merged_report import Reading

CALLS_PER_S = 50.0  # round trips that this poll may cost over all hosts; beyond, hosts are read less often
Nwfilters = tuple[NwfilterObservation, ...]


class _Reported:
    """What was reported last of one host: filters send no events."""

    def __init__(self) -> None:
        self.mark: int | None = None


def _read(memory: HostMemory, host: Host) -> Parts:
    """The filters, when any is not as it was reported last."""
    reported, nwfilters = memory.of(_Reported), host.nwfilters.read()
    memory.calls["nwfilters"] = 1 + len(nwfilters or ())
    mark = hash(nwfilters)
    if nwfilters is None or mark == reported.mark:
        return {}
    reported.mark = mark
    return NWFILTERS.part(nwfilters)


def recheck_s(load: Load) -> float:
    """Seconds between two looks at the filters of a host."""
    return max(load.settings.recheck_s, load.hosts * load.calls / CALLS_PER_S)


class NwfiltersCollector(Collector[Nwfilters]):
    """Mirrors the network filters of hosts."""

    name = "nwfilters"
    polls = (
        Poll(
            "nwfilters",
            Lane.SLOW,
            slack_s=15.0,
            read=_read,
            every_s=recheck_s,
            first_s=lambda load: load.first_slow_s,
            hangs_alone=True,
        ),
    )

    def derive(self, memory: HostMemory, parts: Parts, hints: Sequence[Hint]) -> Parts:
        """After a complete reading of the host, report them again."""
        vms = VMS.of(parts)
        if vms is not None and vms.is_full:
            memory.of(_Reported).mark = None
        return {}

    def write(self, batch: Batch, readings: Sequence[Reading[Nwfilters]]) -> None:
        """Write filters that appeared, changed or vanished."""
        host_ids = [reading.host_id for reading in readings]
        before = host_objects.rows_by_uuid(batch, models.Nwfilter, host_ids)
        ids = claimed_ids(batch.session, host_ids)
        for reading in readings:
            _observe(batch, reading, before.get(reading.host_id, {}), ids)


def _observe(
    batch: Batch, reading: Reading[Nwfilters], before: dict[str, StoredRow], ids: dict[tuple[str, str], str]
) -> None:
    for seen in {item.uuid: item for item in reading.value}.values():
        row = before.pop(seen.uuid, None)
        wanted = {"name": seen.name, "xml": seen.xml}
        if row is None:
            nwfilter_id = ids.get((reading.host_id, seen.uuid)) or new_id(ObjectKind.NWFILTER)
            key = {"id": nwfilter_id, "host_id": reading.host_id, "uuid": seen.uuid}
            batch.insert(models.Nwfilter, key | wanted)
            batch.topics.add(nwfilter_id)
        elif (row.name, row.xml) != (seen.name, seen.xml):
            batch.update(models.Nwfilter, row.id, wanted)
            batch.topics.add(row.id)
            _changed(batch, reading.host, row, seen.xml)
    for row in before.values():
        batch.delete(models.Nwfilter, row.id)
        batch.topics.add(row.id)


def _changed(batch: Batch, host: tuple[str, str], row: StoredRow, xml: str) -> None:
    if xml == row.xml:
        return
    batch.version(ObjectKind.NWFILTER, row.id, host[0], row.xml, xml)
    batch.publish(
        "nwfilter.changed",
        N_("Network filter %(name)s on host %(host)s was changed."),
        {"name": row.name, "host": host[1]},
        object_kind=ObjectKind.NWFILTER,
        object_id=row.id,
        object_name=row.name,
        host=host,
    )


NWFILTERS = NwfiltersCollector()
