"""Volumes: what is asked for, and what is known of one. Sizes are bytes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.core.records import Record, Ref
from app.core.specs import ObjectId, Spec
from app.core.storage.records import VolumeRecord
from app.core.vms.create.spec import MAX_DISK, MIB, VolumeName

# Formats that are more than a run of bytes. Whatever else a host says (raw, iso, none, fat…) is raw to QEMU.
_CONTAINERS = frozenset(
    {
        "bochs",
        "cloop",
        "cow",
        "dmg",
        "parallels",
        "ploop",
        "qcow",
        "qcow2",
        "qed",
        "vdi",
        "vhd",
        "vhdx",
        "vmdk",
        "vpc",
    }
)


def is_same_format(one: str | None, other: str | None) -> bool:
    """Whether QEMU would read both in the same way."""
    return one == other or (one not in _CONTAINERS and other not in _CONTAINERS)


class VolumeSpec(Spec):
    """A volume to make. `backing_volume_id` makes it hold only what differs from that one, which then stays as it is."""

    pool_id: ObjectId
    name: VolumeName
    size_bytes: int | None = Field(
        None, ge=MIB, le=MAX_DISK, description="Unset with a backing volume: its size."
    )
    format: Literal["qcow2", "raw"] | None = Field(None, description="Unset: as suits the pool.")
    preallocate: bool = Field(False, description="Reserve all space at once.")
    backing_volume_id: ObjectId | None = None


class VolumeResize(Spec):
    """A new size. What lies behind a smaller one is lost."""

    size_bytes: int = Field(ge=MIB, le=MAX_DISK)
    shrink: bool = Field(False, description="Needed when the new size is smaller.")


class VolumeClone(Spec):
    """A copy, in the same pool or in another one of the host."""

    name: VolumeName
    pool_id: ObjectId | None = Field(None, description="Unset: the same pool.")
    format: Literal["qcow2", "raw"] | None = Field(None, description="Unset: the same.")


class VolumeMove(Spec):
    """Another pool of the same host. VMs that use the volume follow, also while they run."""

    pool_id: ObjectId


class VolumeDetail(VolumeRecord):
    """A volume with who uses it and what it is built on."""

    users: tuple[Ref, ...] = Field(description="VMs, volumes that are built on it, and images.")
    chain: tuple[str, ...] = Field((), description="Paths of the files that it is built on, nearest first.")
    freed_bytes: int = Field(description="What its deletion would free; 0 while it is in use.")
    usable: bool = Field(
        True,
        description="False while a condition holds it back, and of a VM's cloud-init drive: only its deletion is left.",
    )


class PoolChoice(Record):
    """A pool that can take a volume."""

    id: str
    name: str
    available_bytes: int
