"""What is answered about VMs."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from app.core.hosts.states import AdminState, HostConnection, HostMode, HostStatus, status_of
from app.core.inventory.conditions import ConditionRecord
from app.core.records import Record, UsageRecord
from app.core.tasks.records import TaskBrief
from app.core.vms.states import VmState


class VerbRecord(Record):
    """One action on an object: allowed now, or why not."""

    verb: str
    title: str = Field(description="In the language of the asker.")
    allowed: bool
    confirm: bool = Field(description="Whether people are asked first, because the guest may lose data.")
    code: str | None = Field(None, description="Stable code of the refusal.")
    why: str | None = None
    hint: str | None = None


class VmRecord(Record):
    """A VM in a list."""

    id: str
    uuid: str
    name: str
    title: str | None = None
    host_id: str
    host_name: str
    state: VmState
    state_reason: str | None = None
    state_since: datetime | None = None
    stale: bool
    observed_at: datetime | None
    duplicate: bool = Field(False, description="It runs on another host, too, at the same time.")
    persistent: bool
    autostart: bool
    vcpus: int
    memory_bytes: int
    disk_bytes: int | None = Field(None, description="Capacity of all its disks.")
    os_name: str | None = None
    guest_hostname: str | None = None
    addresses: list[str] = Field([])
    tags: list[str] = Field([])
    usage: UsageRecord
    conditions: list[ConditionRecord] = Field([], description="What is wrong with it now, the worst first.")
    task: TaskBrief | None = Field(None, description="The task that holds it now.")


class DiskRecord(Record):
    """A disk of a VM."""

    target: str
    device: str
    bus: str
    source: str | None = None
    format: str | None = None
    readonly: bool = False
    capacity_bytes: int | None = None
    allocation_bytes: int | None = None
    pending: Literal["added", "removed"] | None = Field(None, description="At the next power-off.")

    @property
    def takes_media(self) -> bool:
        """True when it is a drive."""
        return self.device in ("cdrom", "floppy")


class NicRecord(Record):
    """A network interface of a VM."""

    mac: str
    kind: str
    source: str | None = None
    model: str | None = None
    target: str | None = None
    filter: str | None = Field(None, description="The network filter that it names.")
    addresses: list[str] = Field([])
    pending: Literal["added", "removed"] | None = Field(None, description="At the next power-off.")


class GraphicsRecord(Record):
    """A display of a VM."""

    kind: str
    listen: str | None = None
    port: int | None = None


class DeviceRecord(Record):
    """Any other device: its kind and one line about it."""

    kind: str
    summary: str


class VmDetail(VmRecord):
    """A VM with all that is known about it."""

    notes: str = ""
    description: str | None = None
    domain_id: int | None = None
    os_id: str | None = None
    arch: str | None = None
    machine: str | None = None
    firmware: str | None = None
    hypervisor: str | None = None
    cpu_mode: str | None = None
    cpu_model: str | None = None
    vcpus_max: int | None = None
    memory_max_bytes: int | None = None
    has_managed_save: bool = False
    has_agent_channel: bool = False
    agent_connected: bool = False
    host_connection: HostConnection
    host_admin_state: AdminState
    host_mode: HostMode
    disks: list[DiskRecord] = Field([])
    nics: list[NicRecord] = Field([])
    graphics: list[GraphicsRecord] = Field([])
    devices: list[DeviceRecord] = Field([])
    actions: list[VerbRecord] = Field([])
    definition_read_at: datetime | None = None
    screenshot_at: datetime | None = Field(None, description="When the last screenshot was taken.")
    pending: list[str] = Field([], description="Parts that will be others after the next power-off.")
    host_access: list[str] = Field([], description="What of its definition lets its guest reach its host.")
    version: int = Field(description="Changes with each edit of tags or notes; the ETag.")

    @property
    def host_status(self) -> HostStatus:
        """What people are shown of its host in one word."""
        return status_of(self.host_connection, self.host_admin_state)
