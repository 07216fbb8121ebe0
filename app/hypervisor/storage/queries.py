"""Reading the storage pools of a host, with their volumes. Bulk calls, at most two more per pool and one per volume."""

from __future__ import annotations

from collections.abc import Collection

import libvirt

from app.core.errors import HypervisorRefused
from app.core.storage.observations import PoolObservation, VolumeObservation
from app.hypervisor import errors
from app.hypervisor.domains.queries import uuids_of
from app.hypervisor.transport.connection import Connection
from app.hypervisor.xml import pools
from app.hypervisor.xml.domains import read

_POOL_STATES = ("inactive", "building", "running", "degraded", "inaccessible")


def list_pools(
    connection: Connection, *, volumes: bool, only: Collection[str] | None = None
) -> tuple[PoolObservation, ...]:
    """All storage pools that can be read; with the volumes of all, or `only` of these UUIDs, where they can be listed."""
    raw = connection.raw
    listed: list[libvirt.virStoragePool] = connection.optional("pools", raw.listAllStoragePools, 0) or []
    if not listed:
        return ()
    autostart = uuids_of(
        connection.call(raw.listAllStoragePools, libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_AUTOSTART)
    )
    transient = uuids_of(
        connection.call(raw.listAllStoragePools, libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_TRANSIENT)
    )
    found = []
    for pool in listed:
        uuid = pool.UUIDString()
        wanted = volumes and (only is None or uuid in only)
        seen = _pool(connection, pool, uuid in autostart, uuid not in transient, wanted)
        if seen is not None:
            found.append(seen)
    return tuple(found)


def pool_marks(connection: Connection) -> tuple[dict[str, int], int]:
    """For each running pool a number that changes when its fill, its volumes' names or its autostart do.

    With them, how many round trips that took. A volume that is resized may leave all that as it was.
    """
    raw = connection.raw
    running, autostart = (
        libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE,
        libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_AUTOSTART,
    )
    listed: list[libvirt.virStoragePool] = (
        connection.optional("pools", raw.listAllStoragePools, running) or []
    )
    if not listed:
        return {}, 1
    started = uuids_of(connection.call(raw.listAllStoragePools, autostart))
    marks = {}
    for pool in listed:
        uuid = pool.UUIDString()
        try:
            names = connection.readable(pool.listVolumes) or []
            marks[uuid] = hash((*connection.call(pool.info), uuid in started, *sorted(names)))
        except HypervisorRefused as error:
            # It went off or away in between, which is an event.
            if error.code not in ("no_such_pool", "wrong_state"):
                raise
    return marks, 2 + 2 * len(listed)


def saved_pool(connection: Connection, pool: libvirt.virStoragePool) -> str:
    """The lasting definition of a pool; what runs where the host makes no difference."""
    saved: str | None = connection.optional("saved pools", pool.XMLDesc, libvirt.VIR_STORAGE_XML_INACTIVE)
    return saved if saved is not None else connection.call(pool.XMLDesc, 0)


def _pool(
    connection: Connection, pool: libvirt.virStoragePool, autostart: bool, persistent: bool, volumes: bool
) -> PoolObservation | None:
    """None for a pool that is gone, or that cannot be read."""
    try:
        state, capacity, allocation, available = connection.call(pool.info)
        named = _POOL_STATES[state] if 0 <= state < len(_POOL_STATES) else "inaccessible"
        saved = saved_pool(connection, pool) if persistent else None
        live = connection.call(pool.XMLDesc, 0) if named != "inactive" or saved is None else saved
        # Kind and path are those of what runs: files are looked for there.
        kind, path, runs = read.read_pool(live)
        lasting = runs if saved is None else read.read_pool(saved)[2]
        # What a pool holds that is off cannot be asked; it does not cease to be.
        listed = _volumes(connection, pool) if volumes and named == "running" else None
        return PoolObservation(
            uuid=pool.UUIDString(),
            name=connection.call(pool.name),
            kind=kind,
            state=named,
            autostart=autostart,
            persistent=persistent,
            capacity_bytes=capacity,
            allocation_bytes=allocation,
            available_bytes=available,
            target_path=path,
            volumes=listed,
            xml=lasting,
            live_xml=None if pools.same(runs, lasting) else runs,
            source=pools.source_of(runs),
        )
    except HypervisorRefused as error:
        if error.code == "no_such_pool" or errors.is_unreadable(error):
            return None
        raise
    except read.UnreadableXml:
        return None


def _volumes(connection: Connection, pool: libvirt.virStoragePool) -> tuple[VolumeObservation, ...] | None:
    """Those that can be read: a file may have a name that is no text. What ext4 makes for itself is none."""
    found = []
    for volume in connection.optional("volumes", pool.listAllVolumes, 0) or []:
        try:
            seen = read.read_volume(connection.call(volume.XMLDesc, 0))
            if (seen.name, seen.kind) != ("lost+found", "dir"):
                found.append(seen)
        except read.UnreadableXml:
            continue
        except HypervisorRefused as error:
            if error.code != "no_such_volume" and not errors.is_unreadable(error):
                raise
    return tuple(found)
