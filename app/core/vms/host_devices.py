"""Devices of a host that VMs can have, and directories of it that they can share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from app.core.messages import N_
from app.core.records import Record, Ref
from app.core.specs import Spec

Kind = Literal["pci", "usb", "mdev"]
NodeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]
"""A device as libvirt names it, such as pci_0000_01_00_0."""
FolderTag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,35}$")]


def _absolute(value: str) -> str:
    if not value.startswith("/") or "/../" in f"{value}/" or "/./" in f"{value}/" or "//" in value:
        raise ValueError(N_("must be an absolute path, without . and .."))
    return value


FolderPath = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f]+$"),
    AfterValidator(_absolute),
]


@dataclass(frozen=True, slots=True)
class HostDevice:
    """A device of a host. `address` is what VMs name it by: see `app.hypervisor.xml.node_devices`."""

    name: str
    kind: Kind
    address: str
    title: str
    driver: str | None = None
    iommu_group: int | None = None
    group_members: tuple[str, ...] = ()  # addresses of the PCI devices that can only be given away together
    numa_node: int | None = None


class HostDeviceRecord(Record):
    """A device of a host, and the VMs that have it."""

    name: str
    kind: Kind
    address: str
    title: str
    driver: str | None = None
    iommu_group: int | None = Field(
        None, description="Only all devices of a group can be given to VMs together."
    )
    group_members: tuple[str, ...] = ()
    numa_node: int | None = None
    users: tuple[Ref, ...] = ()


class HostDeviceList(Record):
    """Devices of a host; null until they were read."""

    items: tuple[HostDeviceRecord, ...]
    read_at: datetime | None


class HostDeviceAdd(Spec):
    """A device of the host to give to a VM."""

    name: NodeName = Field(description="As GET /hosts/{id}/devices names it.")


class FilesystemAdd(Spec):
    """A directory of the host that the guest mounts by its tag."""

    path: FolderPath
    tag: FolderTag
    driver: Literal["9p", "virtiofs"] = Field(
        "virtiofs", description="virtiofs is faster, and makes the VM's memory shared; 9p works everywhere."
    )
    readonly: bool = Field(False, description="Only with 9p, and with virtiofs from libvirt 11 on.")


class DevicePlan(Spec):
    """A device of the host, as a task carries it."""

    kind: Kind
    address: str
