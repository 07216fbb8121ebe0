"""Creating VMs: what a task is told, and what people see of a plan before it is done."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import Field

from app.core.records import Record, Ref
from app.core.specs import Name, Spec
from app.core.vms.create_spec import VmSpec


class DeleteCloudInitDriveParams(Spec):
    """Params of a task that deletes a cloud-init drive. `uuid` is that of its VM; None when that is gone.

    `host` has its volume, `vm_host` the VM; None in older tasks, which have both on their host.
    """

    vm_id: str
    uuid: str | None = None
    vm_host: str | None = None
    host: str | None = None
    pool: str
    name: str
    target: str


class PlannedVolume(Record):
    """A volume that would be made."""

    pool: str
    name: str
    format: str
    size_bytes: int
    from_image: str | None = Field(None, description="Name of the image that it is made from.")
    linked: bool = False


class Room(Record):
    """What there is of something on a host, and what would be left of it."""

    name: str = Field(description="memory, or the name of a pool.")
    total_bytes: int
    free_bytes: int
    after_bytes: int = Field(description="May be negative: then more is allocated than there is.")

    @property
    def taken_bytes(self) -> int:
        """What would not be free any more."""
        return self.total_bytes - self.after_bytes


class CreationPlan(Record):
    """What would be made, where, why there, and what it leaves free."""

    name: str
    host: Ref
    reason: str | None = Field(None, description="Why this host, when Vigie chose it.")
    os_variant: str | None = Field(None, description="Name of the guest's system.")
    machine: str | None
    firmware: str
    hypervisor: str
    cpu: str
    vcpus: int
    memory_bytes: int
    video: str | None
    volumes: tuple[PlannedVolume, ...] = ()
    networks: tuple[str, ...] = ()
    room: tuple[Room, ...] = ()
    warnings: tuple[str, ...] = ()
    xml: str = Field(description="The definition that would be made.")


class OsVariantRecord(Record):
    """A guest's operating system, as osinfo-db knows it."""

    id: str = Field(description="What `os` takes when a VM is created.")
    name: str
    family: str
    released: date | None = None
    memory_bytes: int | None = Field(None, description="Recommended.")
    disk_bytes: int | None = Field(None, description="Recommended.")


class OsVariantList(Record):
    """Systems, newest first."""

    items: tuple[OsVariantRecord, ...]


class VmPresetRecord(Record):
    """A specification that was kept under a name. Passwords are not kept; user_data is, sealed, and never shown:

    `user_data_from` in it names the specification itself then, so that it can be sent back as it is.
    """

    id: str
    name: str
    spec: dict[str, object] = Field(description="What `POST /vms` takes; only the fields that were given.")
    created_at: datetime
    created_by: str
    version: int


class VmPresetList(Record):
    """VM presets, by name."""

    items: tuple[VmPresetRecord, ...]


class VmPresetSpec(Spec):
    """A specification to keep."""

    name: Name
    spec: VmSpec
