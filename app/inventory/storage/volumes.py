"""Volumes of storage pools, and what follows for the sizes of VMs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.storage.observations import VolumeObservation
from app.core.storage.pools import DEVICE_POOLS
from app.db import models
from app.inventory.batch import Batch, StoredRow, table
from app.inventory.merged_report import Reading
from app.inventory.storage.readings import StorageReading
from app.inventory.vms.definitions import MAX_INTEGER, refresh_disk_bytes, refresh_host_access
from app.inventory.volume_formats import VolumeFormats, formats_in_definitions, is_in_question

SHOW_AGE_AFTER = timedelta(seconds=5)
_VOLUME = ("path", "kind", "format", "capacity_bytes", "allocation_bytes", "backing_path")


@dataclass(frozen=True, slots=True)
class VolumesRead:
    """The volumes of a pool of a host, by the ids of both."""

    host_id: str
    pool_id: str
    volumes: Sequence[VolumeObservation]


def volumes_without_pools(batch: Batch, readings: Iterable[Reading[StorageReading]]) -> list[VolumesRead]:
    """Volumes that came without their pools go to the rows that these have."""
    bare = {reading.host_id: reading.value.volumes for reading in readings if reading.value.volumes}
    if not bare:
        return []
    rows = table(models.Pool).c
    query = sa.select(rows.id, rows.host_id, rows.uuid).where(rows.host_id.in_(list(bare)))
    return [
        VolumesRead(row.host_id, row.id, volumes)
        for row in batch.session.execute(query)
        if (volumes := bare[row.host_id].get(row.uuid)) is not None
    ]


def observe_volumes(batch: Batch, read: Sequence[VolumesRead]) -> None:
    """Write the volumes of the pools that were read with them, and what follows for the sizes of VMs."""
    if not read:
        return
    batch.write()  # new pools must be there before their volumes and counts
    rows = table(models.Volume)
    query = sa.select(rows).where(rows.c.pool_id.in_([item.pool_id for item in read]))
    before: dict[str, dict[str, StoredRow]] = {}
    for row in batch.session.execute(query):
        before.setdefault(row.pool_id, {})[row.name] = row
    pools = table(models.Pool).c
    facts = sa.select(pools.id, pools.name, pools.volumes_read_at, pools.kind).where(
        pools.id.in_([item.pool_id for item in read])
    )
    known = {row.id: row for row in batch.session.execute(facts)}
    defined = formats_in_definitions(batch.session, _in_question(read, before))
    resized: set[str] = set()
    devices: set[str] = set()  # hosts of which other devices are volumes now
    for item in read:
        host_id, pool_id = item.host_id, item.pool_id
        formats = VolumeFormats(batch, host_id, known[pool_id].name, defined.get(host_id, {}))
        if _observe_volumes_of(batch, pool_id, item.volumes, before.get(pool_id, {}), formats):
            resized.add(host_id)
            if known[pool_id].kind in DEVICE_POOLS:
                devices.add(host_id)
        if _is_due(batch, known[pool_id].volumes_read_at):
            batch.topics.add(pool_id)
        counted = {"volume_count": len(item.volumes), "volumes_read_at": batch.now}
        batch.update(models.Pool, pool_id, counted)
    if resized:
        batch.write()
        refresh_disk_bytes(batch, resized)
    if devices:
        refresh_host_access(batch, devices)


def _in_question(read: Sequence[VolumesRead], before: dict[str, dict[str, StoredRow]]) -> set[str]:
    """Hosts with volumes of which definitions may know the format better."""
    return {
        item.host_id
        for item in read
        if any(
            is_in_question(volume, before.get(item.pool_id, {}).get(volume.name)) for volume in item.volumes
        )
    }


def _is_due(batch: Batch, read_at: datetime | None) -> bool:
    """Whether pages that show how old the volumes are have shown an age for long enough."""
    return read_at is None or batch.now - read_at > SHOW_AGE_AFTER


def _observe_volumes_of(
    batch: Batch,
    pool_id: str,
    volumes: Sequence[VolumeObservation],
    before: dict[str, StoredRow],
    formats: VolumeFormats,
) -> bool:
    """Write the volumes of one pool; return whether any was added, removed or resized."""
    resized = False
    for volume in {item.name: item for item in volumes}.values():
        wanted = {name: getattr(volume, name) for name in _VOLUME}
        wanted |= {name: min(wanted[name], MAX_INTEGER) for name in ("capacity_bytes", "allocation_bytes")}
        row = before.pop(volume.name, None)
        wanted = formats.settle(volume, row, wanted)
        volume_id = new_id(ObjectKind.VOLUME) if row is None else row.id
        if wanted.get("condition") and (row is None or row.condition != wanted["condition"]):
            formats.publish(volume_id, volume.name, wanted)
        if row is None:
            blank = {"condition": None, "condition_why": None, "condition_params": None, "checked_at": None}
            key = {"id": volume_id, "pool_id": pool_id, "name": volume.name}
            batch.insert(models.Volume, blank | key | wanted)
            resized = True
            continue
        changes = {name: value for name, value in wanted.items() if getattr(row, name) != value}
        if changes:
            batch.update(models.Volume, row.id, changes)
            batch.topics.add(pool_id)
            resized |= "capacity_bytes" in changes or "path" in changes
    for row in before.values():
        batch.delete(models.Volume, row.id)
    if resized or before:
        batch.topics.add(pool_id)
    return resized or bool(before)
