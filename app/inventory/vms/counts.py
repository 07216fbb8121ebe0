"""How many VMs hosts have, and what is said when a host is read for the first time."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.vms.states import VmState
from app.db import models
from app.db.chunks import chunks
from app.inventory.batch import Batch, table
from app.inventory.vms.readings import VmReading


def recount(batch: Batch, host_ids: Iterable[str]) -> None:
    """Count the VMs of these hosts from the rows as written so far; missing ones do not count."""
    vm = table(models.Vm).c
    running = sa.func.count().filter(vm.state == VmState.RUNNING.value)
    for some in chunks(host_ids):
        query = sa.select(vm.host_id, sa.func.count(), running)
        query = query.where(vm.host_id.in_(some), vm.missing_since.is_(None)).group_by(vm.host_id)
        found = {row[0]: (row[1], row[2]) for row in batch.session.execute(query)}
        for host_id in some:
            count, on = found.get(host_id, (0, 0))
            batch.update(models.Host, host_id, {"vm_count": count, "vm_running": on})
            batch.topics.add(host_id)


def record_first_readings(batch: Batch, readings: Iterable[VmReading]) -> None:
    """One event for each host that was read for the first time, in place of one for each of its VMs."""
    for reading in readings:
        if reading.merged.first and reading.value.has_definitions:
            batch.publish(
                "host.read",
                N_("Host %(name)s was read for the first time: %(count)s VMs."),
                {"name": reading.merged.host_name, "count": len(reading.value.listed)},
                object_kind=ObjectKind.HOST,
                object_id=reading.host_id,
                object_name=reading.merged.host_name,
                host=reading.host,
            )
