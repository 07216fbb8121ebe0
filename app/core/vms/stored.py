"""Definitions of VMs as the mirror keeps them: core.vms.observations.VmDefinition as JSON, without its XML."""

from __future__ import annotations

from typing import TypedDict, final


@final
class StoredDisk(TypedDict):
    """One disk; see DiskView."""

    target: str
    device: str
    bus: str
    source: str | None
    format: str | None
    readonly: bool
    capacity_bytes: int | None
    allocation_bytes: int | None


@final
class StoredNic(TypedDict):
    """One network interface; see NicView."""

    mac: str
    kind: str
    source: str | None
    model: str | None
    target: str | None
    filter: str | None


class StoredGraphics(TypedDict):
    """A display; see GraphicsView."""

    kind: str
    listen: str | None
    port: int | None


class StoredDevice(TypedDict):
    """Any other device; see DeviceView."""

    kind: str
    summary: str


class StoredFile(TypedDict):
    """A file, block device or volume that it names; see FileUse."""

    source: str
    writes: bool
    shared: bool


class StoredDefinition(TypedDict, total=False):
    """All that was read from a definition. Empty while none was; earlier versions stored fewer fields."""

    digest: str
    os_type: str
    arch: str
    machine: str
    firmware: str
    hypervisor: str
    vcpus: int
    vcpus_max: int
    cpu_mode: str
    cpu_model: str | None
    memory_bytes: int
    memory_max_bytes: int
    title: str | None
    description: str | None
    os_id: str | None
    has_agent_channel: bool
    disks: list[StoredDisk]
    nics: list[StoredNic]
    graphics: list[StoredGraphics]
    devices: list[StoredDevice]
    files: list[StoredFile]
    reaches: list[list[str]]
