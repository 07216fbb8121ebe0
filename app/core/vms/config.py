"""A VM as it is to be built: every name resolved to what it is on the host. Made by services, built by the hypervisor.

All values are plain, so that it can be stored in a task; it holds no secrets.
"""

from __future__ import annotations

from typing import Literal, Self

from app.core.library.images import ImageFetch
from app.core.specs import Spec


class Limits(Spec):
    """What a disk may do, per second; None: no limit."""

    read_bps: int | None = None
    write_bps: int | None = None
    read_iops: int | None = None
    write_iops: int | None = None


class VolumePlan(Spec):
    """A volume to make. `backing_path` makes it hold differences only; `clone_of` copies another volume first."""

    pool: str
    name: str
    format: Literal["qcow2", "raw"]
    size_bytes: int
    preallocate: bool = False
    backing_path: str | None = None
    backing_format: str | None = None
    clone_of: str | None = None  # path of the volume to copy
    clone_format: str | None = None  # its recorded format


class DiskPlan(Spec):
    """A disk or drive. `new` is made first; else `path` exists already, or the drive is empty.

    `kind` is that of its source: file, block, or volume for what only libvirt can name.
    """

    device: Literal["disk", "cdrom", "floppy", "lun"] = "disk"
    bus: str = "virtio"
    target: str
    new: VolumePlan | None = None
    kind: Literal["file", "block", "volume"] = "file"
    path: str | None = None
    pool: str | None = None
    volume: str | None = None
    format: str | None = None
    cache: str = "default"
    io: str = "default"
    discard: bool = False
    readonly: bool = False
    shareable: bool = False
    serial: str | None = None
    boot_order: int | None = None
    limits: Limits = Limits()
    fetch: ImageFetch | None = None  # the image that it is made from, or holds, when the host has it not yet
    # What it touches in the inventory: the pool of a new volume, an existing volume, an image.
    pool_id: str | None = None
    volume_id: str | None = None
    image_id: str | None = None

    def with_volume(self, kind: str, path: str) -> Self:
        """The disk once its `new` volume is made: of this kind, at this path."""
        assert self.new is not None
        source = {"kind": kind if kind in ("file", "block") else "volume", "path": path}
        return self.model_copy(update={"new": None, **source, "pool": self.new.pool, "volume": self.new.name})


class NicPlan(Spec):
    """A network interface."""

    kind: Literal["network", "bridge", "direct"]
    source: str
    mode: str | None = None
    portgroup: str | None = None
    model: str = "virtio"
    mac: str
    vlan: int | None = None
    filter: str | None = None
    link_up: bool = True
    boot_order: int | None = None
    in_kbps: int | None = None
    out_kbps: int | None = None
    network_id: str | None = None


class CpuPlan(Spec):
    """Processors. `mode` default leaves the model to QEMU."""

    vcpus: int
    vcpus_max: int
    topology: tuple[int, int, int] | None = None  # sockets, cores, threads
    mode: str = "default"
    model: str | None = None


class VmConfig(Spec):
    """Everything that a new VM's XML is made from."""

    uuid: str
    name: str
    title: str | None = None
    os_uri: str | None = None
    hypervisor: Literal["kvm", "qemu", "test"]
    arch: str
    machine: str | None
    cpu: CpuPlan
    memory_bytes: int
    memory_max_bytes: int
    huge_pages: bool = False
    firmware: Literal["bios", "efi", "efi-secure"] = "bios"
    tpm: bool = False
    disks: tuple[DiskPlan, ...] = ()
    nics: tuple[NicPlan, ...] = ()
    boot: tuple[Literal["hd", "cdrom", "network"], ...] = ()
    kernel_path: str | None = None
    initrd_path: str | None = None
    command_line: str = ""
    graphics: Literal["vnc", "spice", "none"] = "vnc"
    video: str | None = None
    serial: bool = True
    guest_agent: bool = True
    rng: bool = True
    watchdog: str = "none"
    sound: bool = False
    usb: bool = True
