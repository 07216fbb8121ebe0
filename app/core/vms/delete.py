"""Deleting VMs: what belongs to one, what shall go, and what can be undeleted."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from app.core.records import Record, Ref
from app.core.specs import ObjectId, Spec


class VolumePlace(Spec):
    """A volume as a task names it: the pool's UUID, the volume's name, path, and id in the inventory."""

    pool: str
    name: str
    path: str
    volume_id: str | None = None


class DeleteSpec(Spec):
    """What goes with a VM that is deleted. Without anything, its definition and its saved state."""

    volumes: list[ObjectId] = Field([], max_length=64, description="Volumes of its disks that go too.")
    keep_nvram: bool = Field(False, description="Keep the file with its UEFI variables.")
    keep_tpm: bool = Field(False, description="Keep the state of its TPM.")
    force_off: bool = Field(False, description="Cut its power first when it runs.")


class DeletePreviewDisk(Record):
    """A disk or drive of the VM, and whether its volume may go with it."""

    target: str
    path: str | None = Field(None, description="None for an empty drive.")
    volume: Ref | None = Field(None, description="None when no pool of the host has it.")
    pool: Ref | None = None
    allocation_bytes: int | None = Field(None, description="What would be freed.")
    deletable: bool
    own: bool = Field(False, description="Made for this VM, as far as can be seen: proposed to go with it.")
    goes: bool = Field(False, description="A cloud-init drive: it goes with the VM in any case.")
    why: str | None = Field(None, description="Why it stays.")


class DeletePreview(Record):
    """What belongs to a VM that might be deleted."""

    vm: Ref
    host: Ref
    running: bool
    disks: tuple[DeletePreviewDisk, ...]
    nvram: str | None = Field(None, description="File with its UEFI variables.")
    tpm: bool
    managed_save: bool
    snapshots: tuple[str, ...] | None = Field(
        None, description="Their names; null when the host could not be asked."
    )
    deleted_vm_days: int = Field(description="For so long its definition can be undeleted; disks cannot.")


class DeletedVmRecord(Record):
    """A VM that was deleted and whose definition is kept for a while."""

    id: str
    name: str
    uuid: str
    host: Ref
    deleted_at: datetime
    deleted_by: str
    volumes: tuple[str, ...] = Field(description="Paths of volumes that were deleted with it.")
    tags: tuple[str, ...] = ()


class DeletedVmList(Record):
    """Deleted VMs, the last first."""

    items: tuple[DeletedVmRecord, ...]
