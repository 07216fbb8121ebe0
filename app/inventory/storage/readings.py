"""What was read of the storage of a host: its pools, with their volumes or without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from app.core.storage.observations import PoolObservation, VolumeObservation


@dataclass(frozen=True, slots=True)
class StorageReading:
    """`pools`: all pools of the host; None when they were not listed, or newer ones are known.

    `volumes`: those of pools that are not in `pools`, or that have none there, by the UUID of the pool.
    """

    pools: tuple[PoolObservation, ...] | None
    volumes: Mapping[str, tuple[VolumeObservation, ...]] = field(default_factory=dict)


def merge(earlier: StorageReading, later: StorageReading) -> StorageReading:
    """The later list of pools; volumes that it does not have stay from the earlier one."""
    volumes = _volumes_of(earlier) | _volumes_of(later)
    pools = later.pools if later.pools is not None else earlier.pools
    if pools is None:
        return StorageReading(None, volumes)
    joined = tuple(replace(pool, volumes=volumes.pop(pool.uuid, pool.volumes)) for pool in pools)
    return StorageReading(joined, volumes)


def _volumes_of(reading: StorageReading) -> dict[str, tuple[VolumeObservation, ...]]:
    listed = {pool.uuid: pool.volumes for pool in reading.pools or () if pool.volumes is not None}
    return listed | dict(reading.volumes)


def admit(value: StorageReading, times: dict[str, float], began_s: float) -> StorageReading | None:
    """The reading without what newer ones have told; `times`: when the newest began of the list (""), and by pool.

    An older list of pools may still have the newest volumes of some: these are kept without it.
    """
    pools = value.pools or ()
    admitted = {
        pool.uuid: pool.volumes
        for pool in pools
        if pool.volumes is not None and began_s >= times.get(pool.uuid, began_s)
    }
    times.update(dict.fromkeys(admitted, began_s))
    if began_s < times.get("", began_s):
        return StorageReading(None, admitted) if admitted else None
    there = {pool.uuid for pool in pools}
    for uuid in [uuid for uuid in times if uuid and uuid not in there]:
        del times[uuid]
    times[""] = began_s
    if all(pool.volumes is None or pool.uuid in admitted for pool in pools):
        return value
    return StorageReading(tuple(replace(pool, volumes=admitted.get(pool.uuid)) for pool in pools))
