"""Storage pools of hosts. What a listing lacks is deleted: nobody owns anything of it."""

from __future__ import annotations

from collections.abc import Iterable

from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.storage.observations import PoolObservation
from app.core.storage.states import POOL_STATE_TITLES
from app.db import models
from app.hypervisor.xml import pools as pool_definitions
from app.inventory import host_objects
from app.inventory.batch import Batch, Row, StoredRow
from app.inventory.host_objects import ListedKind
from app.inventory.identity_claims import claimed_ids
from app.inventory.merged_report import Reading
from app.inventory.storage.readings import StorageReading
from app.inventory.storage.volumes import VolumesRead
from app.inventory.vms.definitions import MAX_INTEGER, refresh_host_access

STOPPED_BY = N_(
    "libvirt cannot read the folder %(directory)s because of incomplete image files: %(files)s. Delete or complete them on the host, then start the pool."
)
_FILES_NAMED = 5
POOLS = ListedKind(
    ObjectKind.POOL,
    models.Pool,
    appeared=N_("Storage pool %(name)s appeared on host %(host)s."),
    changed=N_("The definition of storage pool %(name)s on host %(host)s was changed."),
    vanished=N_("Storage pool %(name)s is no longer on host %(host)s."),
    same=pool_definitions.same,
)


def observe_pools(batch: Batch, readings: Iterable[Reading[StorageReading]]) -> list[VolumesRead]:
    """Write the pools that were listed; return the volumes that came with them."""
    listed = {reading.host_id: reading for reading in readings if reading.value.pools is not None}
    if not listed:
        return []
    before = host_objects.rows_by_uuid(batch, models.Pool, listed)
    ids = claimed_ids(batch.session, listed)
    read: list[VolumesRead] = []
    moved = {
        item.host_id
        for item in listed.values()
        if _observe_pools(batch, item, before.get(item.host_id, {}), ids, read)
    }
    if moved:
        batch.write()
        refresh_host_access(batch, moved)
    return read


def _observe_pools(
    batch: Batch,
    reading: Reading[StorageReading],
    before: dict[str, StoredRow],
    ids: dict[tuple[str, str], str],
    read: list[VolumesRead],
) -> bool:
    """Write the pools of one host; return whether their directories are others than before."""
    pools = reading.value.pools or ()
    directories = {row.target_path for row in before.values()}
    for pool in {item.uuid: item for item in pools}.values():
        row = before.pop(pool.uuid, None)
        if row is None:
            pool_id = ids.get((reading.host_id, pool.uuid)) or new_id(ObjectKind.POOL)
            _insert(batch, reading, pool_id, pool)
        else:
            pool_id = row.id
            _update(batch, reading.host, row, pool)
        if pool.volumes is not None:
            read.append(VolumesRead(reading.host_id, pool_id, pool.volumes))
    for row in before.values():
        host_objects.vanish(batch, reading.host, POOLS, row)
    return directories != {pool.target_path for pool in pools}


def _insert(batch: Batch, reading: Reading[StorageReading], pool_id: str, pool: PoolObservation) -> None:
    key = {"id": pool_id, "host_id": reading.host_id, "uuid": pool.uuid}
    blank = {"volume_count": 0, "volumes_read_at": None, "stopped_by": None, "links_hidden": None}
    batch.insert(models.Pool, key | _pool_columns(pool) | blank)
    host_objects.appear(batch, reading.host, POOLS, pool_id, pool.name, first=reading.merged.first)


def _update(batch: Batch, host: tuple[str, str], row: StoredRow, pool: PoolObservation) -> None:
    wanted = _pool_columns(pool) | _stopped_by(pool)
    if not _same_pool(row.live_xml or row.xml, pool.live_xml or pool.xml):
        # It may be another storage now.
        wanted |= {"shared_mark": None, "verified_at": None, "verify_requested_at": None}
        batch.delete(models.PoolDifference, row.id, by="pool_id")
        batch.delete(models.PoolDifference, row.id, by="other_id")
    host_objects.update(batch, host, POOLS, row, wanted)
    if row.state != pool.state:
        text = N_("Storage pool %(name)s on host %(host)s is in state “%(state)s” now.")
        state = [POOL_STATE_TITLES[pool.state]]
        host_objects.publish(batch, host, POOLS, row.id, pool.name, "state", text, state=state)


def _stopped_by(pool: PoolObservation) -> Row:
    """Why a pool is off, as far as a file of it did that; nothing when nobody looked."""
    if pool.state == "running":
        return {"stopped_by": None}
    if not pool.broken_files:
        return {}
    files = ", ".join(pool.broken_files[:_FILES_NAMED])
    return {"stopped_by": {"why": STOPPED_BY, "params": {"directory": pool.target_path, "files": files}}}


def _pool_columns(pool: PoolObservation) -> Row:
    return {
        "name": pool.name,
        "kind": pool.kind,
        "state": pool.state,
        "autostart": pool.autostart,
        "persistent": pool.persistent,
        "capacity_bytes": min(pool.capacity_bytes, MAX_INTEGER),
        "allocation_bytes": min(pool.allocation_bytes, MAX_INTEGER),
        "available_bytes": min(pool.available_bytes, MAX_INTEGER),
        "target_path": pool.target_path,
        "xml": pool.xml,
        "live_xml": pool.live_xml,
        "source": pool.source,
    }


def _same_pool(before: str | None, after: str | None) -> bool:
    """Whether two texts define the same storage; what libvirt fills in while it runs does not count."""
    if before is None or after is None:
        return before == after
    return pool_definitions.same(before, after)
