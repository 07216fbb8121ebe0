"""Leases of running networks: whole as read; pages are told when they changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import sqlalchemy as sa

from app.core.inventory.reports import Parts
from app.core.networks.observations import Lease
from app.db import models
from app.hypervisor import Host
from app.inventory.batch import Batch, table
from app.inventory.collectors.collector import Collector, HostMemory, Lane, Newest, Poll
from app.inventory.merged_report import Reading

EVERY_S = 600.0
Leases = Mapping[str, tuple[Lease, ...]]  # by the UUID of the network


def _read(memory: HostMemory, host: Host) -> Parts:
    return LEASES.part(host.networks.all_leases())


class LeasesCollector(Collector[Leases]):
    """Keeps the leases beside their networks. Those that somebody looks at are read more often, by engine/hosts/on_demand."""

    name = "leases"
    polls = (
        Poll(
            "leases",
            Lane.SLOW,
            slack_s=300.0,
            read=_read,
            every_s=lambda load: EVERY_S * load.spread,
            first_s=lambda load: load.first_slow_s,
            hangs_alone=True,
        ),
    )

    def admit(self, value: Leases, newest: Newest, began_s: float) -> Leases | None:
        """The leases of networks of which no newer ones are known."""
        return newest.note_each(value, began_s)

    def merge(self, earlier: Leases, later: Leases) -> Leases:
        """The later leases of each network."""
        return {**earlier, **later}

    def write(self, batch: Batch, readings: Sequence[Reading[Leases]]) -> None:
        """Write them. Networks that are not mirrored yet get theirs with the next reading."""
        reported = {reading.host_id: reading.value for reading in readings}
        rows = table(models.Network).c
        query = sa.select(rows.id, rows.host_id, rows.uuid, rows.leases).where(
            rows.host_id.in_(list(reported))
        )
        for row in batch.session.execute(query):
            seen = reported[row.host_id].get(row.uuid)
            if seen is None:
                continue
            leases = [asdict(item) for item in seen]
            batch.update(models.Network, row.id, {"leases": leases, "leases_read_at": batch.now})
            if leases != row.leases:
                batch.topics.add(row.id)


LEASES = LeasesCollector()
