"""What is read of storage pools and volumes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PoolObservation:
    """A storage pool. `volumes` is None when this listing did not read them."""

    uuid: str
    name: str
    kind: str
    state: str  # running, inactive, building, degraded, inaccessible
    autostart: bool
    persistent: bool
    capacity_bytes: int
    allocation_bytes: int
    available_bytes: int
    target_path: str | None
    volumes: tuple[VolumeObservation, ...] | None = None
    xml: str | None = None  # its lasting definition, without what it holds at the moment
    live_xml: str | None = None  # what runs, where that differs
    source: str | None = None  # its target on a storage server, which other hosts may have too
    broken_files: tuple[str, ...] = ()  # of one that is off: by which libvirt fails to read it


@dataclass(frozen=True, slots=True)
class VolumeObservation:
    """A volume of a pool."""

    name: str
    path: str
    kind: str  # file, block, dir, network, ...
    format: str | None
    capacity_bytes: int
    allocation_bytes: int
    backing_path: str | None = None
