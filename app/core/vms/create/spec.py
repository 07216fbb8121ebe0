"""What a VM shall be: the request to create one. Rules that need only the values are here, the rest in services.

Sizes are bytes. Names of models, buses and modes are libvirt's; what a host offers of them is in `core.hosts.capabilities`.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from app.core.messages import N_
from app.core.specs import Name, Notes, ObjectId, Plain, Spec, TagName

MIB = 1024**2
GIB = 1024**3
MAX_DISK = 2**63 - 1


def _no_path(value: str) -> str:
    if value in (".", "..") or "/" in value or value.startswith("-"):
        raise ValueError(N_("must be a plain name: no slash, no leading hyphen"))
    return value


def _unicast(value: str) -> str:
    value = value.lower()
    if int(value[:2], 16) & 1:
        raise ValueError(N_("must be the address of one machine: its first byte must be even"))
    if value == "00:00:00:00:00:00":
        raise ValueError(N_("must not be zero"))
    return value


VmName = Annotated[Name, AfterValidator(_no_path)]
"""libvirt takes a slash or a hyphen in front too, but files and tools are named after VMs."""
VolumeName = Annotated[
    str,
    Plain,
    StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f/]+$"),
    AfterValidator(_no_path),
]
Mac = Annotated[
    str, StringConstraints(pattern=r"^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$"), AfterValidator(_unicast)
]
HostName = Annotated[
    str,
    StringConstraints(
        max_length=253,
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$",
    ),
]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}$")]
"""A name of libvirt's or QEMU's: machine type, CPU model, bridge."""
ResourceLimit = Annotated[int, Field(ge=0, le=2**40)]


class DiskSpec(Spec):
    """A disk or drive: a new volume, an existing one, or a copy of an image from the library.

    With `image_id`, `linked` makes a volume that holds only what differs from the image.
    """

    device: Literal["disk", "cdrom", "floppy"] = "disk"
    pool_id: ObjectId | None = Field(None, description="Where a new volume is made.")
    pool: Name | None = Field(None, description="The same by name, on whatever host is chosen.")
    size_bytes: int | None = Field(None, ge=MIB, le=MAX_DISK, description="Of a new volume.")
    volume_id: ObjectId | None = Field(None, description="An existing volume.")
    image_id: ObjectId | None = Field(None, description="An image of the library.")
    linked: bool = Field(True, description="For an image: store only what differs from it.")
    volume_name: VolumeName | None = Field(None, description="Of a new volume; unset: after the VM.")
    format: Literal["qcow2", "raw"] | None = None
    preallocate: bool = Field(False, description="Reserve all space at once.")
    bus: Literal["virtio", "scsi", "sata", "usb", "ide", "fdc"] | None = None
    cache: Literal["default", "none", "writeback", "writethrough", "directsync", "unsafe"] = "default"
    io: Literal["default", "native", "threads", "io_uring"] = "default"
    discard: bool = Field(True, description="Give space back that the guest frees.")
    readonly: bool = Field(False, description="CDs and floppies always are.")
    shareable: bool = False
    serial: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.+-]{1,36}$")] | None = None
    boot_order: int | None = Field(None, ge=1, le=99)
    read_bps: ResourceLimit | None = None
    write_bps: ResourceLimit | None = None
    read_iops: ResourceLimit | None = None
    write_iops: ResourceLimit | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = [
            name for name in ("size_bytes", "volume_id", "image_id") if getattr(self, name) is not None
        ]
        if self.device == "disk" and not sources:
            raise ValueError(N_("a disk needs size_bytes, volume_id or image_id"))
        if self.volume_id is not None and len(sources) > 1:
            raise ValueError(N_("an existing volume has neither size_bytes nor image_id"))
        if self.device != "disk" and self.size_bytes is not None:
            raise ValueError(N_("a drive has no size_bytes"))
        pools = [name for name in ("pool_id", "pool") if getattr(self, name) is not None]
        if self.device == "disk" and self.volume_id is None and len(pools) != 1:
            raise ValueError(N_("a new volume needs pool_id or pool"))
        if self.io == "native" and self.cache not in ("none", "directsync"):
            raise ValueError(N_("io native needs cache none or directsync"))
        return self


class NicSpec(Spec):
    """A network interface: plugged into a network of the host, a bridge, or a host's interface (macvtap)."""

    network_id: ObjectId | None = None
    network: Name | None = Field(None, description="The same by name, on whatever host is chosen.")
    bridge: Word | None = None
    direct: Word | None = Field(None, description="A host's interface, for macvtap.")
    direct_mode: Literal["bridge", "vepa", "private", "passthrough"] = "bridge"
    portgroup: Name | None = None
    model: Literal["virtio", "e1000e", "e1000", "rtl8139", "igb", "vmxnet3", "ne2k_pci"] | None = None
    mac: Mac | None = None
    vlan: int | None = Field(None, ge=1, le=4094)
    filter: Name | None = Field(None, description="A network filter of the host.")
    link_up: bool = True
    boot_order: int | None = Field(None, ge=1, le=99)
    in_kbps: ResourceLimit | None = Field(None, description="Average limit, kilobytes per second.")
    out_kbps: ResourceLimit | None = None

    @model_validator(mode="after")
    def _one_plug(self) -> Self:
        plugs = ("network_id", "network", "bridge", "direct")
        if sum(getattr(self, name) is not None for name in plugs) != 1:
            raise ValueError(N_("an interface needs exactly one of network_id, network, bridge and direct"))
        return self


class CpuSpec(Spec):
    """The processors of a VM. Without a topology each vCPU is a socket of its own, as QEMU's default is."""

    vcpus: int = Field(1, ge=1, le=1024)
    vcpus_max: int | None = Field(
        None, ge=1, le=1024, description="To which vCPUs can be added while it runs."
    )
    sockets: int | None = Field(None, ge=1, le=1024)
    cores: int | None = Field(None, ge=1, le=1024)
    threads: int | None = Field(None, ge=1, le=16)
    mode: Literal["default", "host-model", "host-passthrough", "maximum", "custom"] | None = None
    model: Word | None = Field(None, description="For mode custom.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        maximum = self.vcpus_max or self.vcpus
        if self.vcpus > maximum:
            raise ValueError(N_("vcpus_max must not be less than vcpus"))
        parts = (self.sockets, self.cores, self.threads)
        if any(parts):
            if not all(parts):
                raise ValueError(N_("a topology needs sockets, cores and threads"))
            if (self.sockets or 1) * (self.cores or 1) * (self.threads or 1) != maximum:
                raise ValueError(N_("sockets x cores x threads must be vcpus_max, or vcpus without it"))
        if (self.mode == "custom") != (self.model is not None):
            raise ValueError(N_("a model goes with mode custom, and that needs one"))
        return self


class CloudInit(Spec):
    """What cloud-init in the guest is told at its first boot, by a NoCloud seed on a CD.

    https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html
    """

    hostname: HostName | None = Field(None, description="Unset: after the VM.")
    user: Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")] | None = None
    password: SecretStr | None = Field(None, min_length=1, max_length=200)
    ssh_keys: list[Annotated[str, StringConstraints(max_length=4000)]] = Field([], max_length=50)
    network: Literal["dhcp", "static"] = "dhcp"
    address: str | None = Field(None, max_length=60, description="With prefix, such as 192.0.2.10/24.")
    gateway: str | None = Field(None, max_length=45)
    nameservers: list[Annotated[str, StringConstraints(max_length=45)]] = Field([], max_length=8)
    user_data: str | None = Field(
        None, max_length=60_000, description="cloud-config YAML, added to the rest."
    )
    user_data_from: ObjectId | None = Field(
        None, description="A VM preset whose user_data, which is never shown, is taken."
    )

    keep_drive: bool = Field(
        False,
        description="Leave the CD in its drive after the first boot, with the hashes of passwords on it.",
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        for key in self.ssh_keys:
            if not re.match(r"^(ssh-|ecdsa-|sk-)[a-z0-9@.-]+ [A-Za-z0-9+/=]+( [^\n]*)?$", key.strip()):
                raise ValueError(N_("an SSH key must be a public key on one line, as in id_ed25519.pub"))
        if self.user_data and self.user_data_from:
            raise ValueError(N_("give user_data or user_data_from, not both"))
        if (self.network == "static") != (self.address is not None):
            raise ValueError(N_("an address goes with network static, and that needs one"))
        return self


class KernelSpec(Spec):
    """Boot a kernel from volumes, without a boot loader."""

    kernel_volume_id: ObjectId
    initrd_volume_id: ObjectId | None = None
    command_line: Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00-\x1f]*$")] = ""


class VmSpec(Spec):
    """A VM to create."""

    name: VmName
    host_id: ObjectId | None = Field(None, description="Unset: the best host; the task says why it was that.")
    datacenter_id: ObjectId | None = Field(None, description="Where to look for the best host.")
    title: Name | None = None
    os: Word | None = Field(
        None, description="Short id of the guest's system in osinfo-db, such as debian11."
    )
    acceleration: Literal["auto", "kvm", "tcg"] = "auto"
    machine: Word | None = Field(None, description="Unset: q35 where the host has it.")
    cpu: CpuSpec = CpuSpec()
    memory_bytes: int | None = Field(None, ge=MIB, le=2**50, description="Unset: as the system needs.")
    memory_max_bytes: int | None = Field(None, ge=MIB, le=2**50, description="Limit of the balloon.")
    huge_pages: bool = False
    firmware: Literal["bios", "efi", "efi-secure"] | None = None
    tpm: bool = False
    disks: list[DiskSpec] = Field([], max_length=32)
    nics: list[NicSpec] = Field([], max_length=16)
    boot_from_network: bool = Field(False, description="PXE first.")
    kernel: KernelSpec | None = None
    cloud_init: CloudInit | None = None
    graphics: Literal["vnc", "spice", "none"] = "vnc"
    video: Word | None = None
    serial: bool = True
    guest_agent: bool = Field(True, description="A channel for qemu-guest-agent.")
    rng: bool = True
    watchdog: Literal["none", "reset", "poweroff", "pause", "shutdown", "inject-nmi"] = "none"
    sound: bool = False
    autostart: bool = False
    start: bool = Field(True, description="Start it when it is made.")
    tags: list[TagName] = Field([], max_length=50)
    notes: Notes = ""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.memory_max_bytes or 2**63) < (self.memory_bytes or 0):
            raise ValueError(N_("memory_max_bytes must not be less than memory_bytes"))
        orders = [disk.boot_order for disk in self.disks] + [nic.boot_order for nic in self.nics]
        given = [order for order in orders if order is not None]
        if len(given) != len(set(given)):
            raise ValueError(N_("each boot_order may be given once"))
        macs = [nic.mac for nic in self.nics if nic.mac is not None]
        if len(macs) != len(set(macs)):
            raise ValueError(N_("each MAC address may be given once"))
        return self


class VmBatch(Spec):
    """Many VMs from one specification: `name` of the specification holds one run of # for the number."""

    spec: VmSpec
    count: int = Field(ge=1, le=200)
    first: int = Field(1, ge=0, le=99_999)

    @model_validator(mode="after")
    def _numbered(self) -> Self:
        if self.count > 1 and len(re.findall(r"#+", self.spec.name)) != 1:
            raise ValueError(N_("the name needs one run of # in the place of the number, such as web-##"))
        if self.count > 1 and any(nic.mac for nic in self.spec.nics):
            raise ValueError(N_("many VMs cannot share a MAC address"))
        if self.count > 1 and any(
            d.volume_id and d.device == "disk" and not d.readonly for d in self.spec.disks
        ):
            raise ValueError(N_("many VMs cannot share a disk that they write to"))
        return self

    def names(self) -> list[str]:
        """The names, in their order."""
        run = re.search(r"#+", self.spec.name)
        if run is None:
            return [self.spec.name]
        before, after = self.spec.name[: run.start()], self.spec.name[run.end() :]
        numbers = range(self.first, self.first + self.count)
        return [f"{before}{str(number).zfill(len(run[0]))}{after}" for number in numbers]
