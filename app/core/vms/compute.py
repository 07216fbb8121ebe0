"""Compute settings and resources of a VM: its processor model, firmware, single devices, and its limits.

Names of models and modes are libvirt's: https://libvirt.org/formatdomain.html
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from app.core.messages import N_
from app.core.records import Record
from app.core.specs import Spec
from app.core.vms.create.spec import Word

CpuSet = Annotated[
    str,
    StringConstraints(
        max_length=400, pattern=r"^(\^?[0-9]{1,5}(-[0-9]{1,5})?(,\^?[0-9]{1,5}(-[0-9]{1,5})?)*)?$"
    ),
]
"""Numbers of CPUs or NUMA nodes as libvirt writes them, such as 0-3,8; empty: no restriction."""
Firmware = Literal["bios", "efi", "efi-secure"]
CpuMode = Literal["default", "host-model", "host-passthrough", "maximum", "custom"]
WatchdogAction = Literal["none", "reset", "poweroff", "pause", "shutdown", "inject-nmi"]
NumaMode = Literal["strict", "preferred", "interleave", "restrictive"]
QUOTA_PERIOD_US = 100_000


class Topology(Spec):
    """How the vCPUs look to the guest; their product is the VM's maximum of vCPUs."""

    sockets: int = Field(1, ge=1, le=1024)
    cores: int = Field(1, ge=1, le=1024)
    threads: int = Field(1, ge=1, le=16)


class ComputePatch(Spec):
    """Compute settings; what is left out stays. All count after the next power-off."""

    cpu_mode: CpuMode | None = None
    cpu_model: Word | None = Field(None, description="For mode custom.")
    topology: Topology | None = None
    firmware: Firmware | None = None
    huge_pages: bool | None = None
    memory_locked: bool | None = Field(
        None, description="Keep its memory in the host's: it is never swapped out."
    )
    graphics: Literal["vnc", "spice", "none"] | None = None
    video: Word | None = None
    watchdog: WatchdogAction | None = None
    sound: bool | None = None
    tpm: bool | None = Field(None, description="An emulated TPM 2.0.")
    rng: bool | None = None
    guest_agent: bool | None = Field(None, description="The channel for qemu-guest-agent.")
    serial: bool | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(N_("change at least one thing"))
        if (self.cpu_mode == "custom") != (self.cpu_model is not None):
            raise ValueError(N_("a model goes with mode custom, and that needs one"))
        return self


class Pin(Spec):
    """The host's CPUs that one vCPU may run on."""

    vcpu: int = Field(ge=0, le=1023)
    cpus: CpuSet


class ResourcesPatch(Spec):
    """What a VM gets of its host's processors and memory; what is left out stays. Counts at once where it can."""

    cpu_shares: int | None = Field(
        None, ge=0, le=262_144, description="Weight against other VMs, usually 1024; 0: the host's default."
    )
    cpu_limit_percent: int | None = Field(
        None, ge=0, le=100, description="Of one CPU, for each vCPU; 0: no limit."
    )
    pins: list[Pin] | None = Field(None, max_length=1024, description="All pins; empty: none.")
    emulator_cpus: CpuSet | None = Field(None, description="For what QEMU itself does.")
    numa_nodes: CpuSet | None = Field(None, description="Where its memory comes from; empty: anywhere.")
    numa_mode: NumaMode = "strict"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(N_("change at least one thing"))
        if self.cpu_shares == 1:
            raise ValueError(N_("cpu_shares must be 0, or at least 2"))
        pins = self.pins or []
        if len({pin.vcpu for pin in pins}) != len(pins):
            raise ValueError(N_("each vCPU is pinned once"))
        return self


class DiskPatch(Spec):
    """Changes of a disk; what is left out stays. Limits count at once where the hypervisor can; 0 takes one away."""

    read_bps: int | None = Field(None, ge=0, le=2**40)
    write_bps: int | None = Field(None, ge=0, le=2**40)
    read_iops: int | None = Field(None, ge=0, le=2**40)
    write_iops: int | None = Field(None, ge=0, le=2**40)
    cache: Literal["default", "none", "writeback", "writethrough", "directsync", "unsafe"] | None = None
    io: Literal["default", "native", "threads", "io_uring"] | None = None
    discard: bool | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(N_("change at least one thing"))
        return self

    @property
    def limits(self) -> dict[str, int]:
        """The limits that are given, by their names."""
        names = ("read_bps", "write_bps", "read_iops", "write_iops")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    @property
    def driver(self) -> dict[str, str | bool]:
        """What is given of how the disk is driven; it counts after the next power-off."""
        return {
            name: value for name in ("cache", "io", "discard") if (value := getattr(self, name)) is not None
        }


class PinRecord(Record):
    """A vCPU and the host's CPUs that it may run on."""

    vcpu: int
    cpus: str


class DiskResources(Record):
    """How a disk is driven and limited; null: no limit."""

    target: str
    cache: str = "default"
    io: str = "default"
    discard: bool = False
    read_bps: int | None = None
    write_bps: int | None = None
    read_iops: int | None = None
    write_iops: int | None = None


class NicResources(Record):
    """Rates and filter of an interface; null: none."""

    mac: str
    in_kbps: int | None = None
    out_kbps: int | None = None
    filter: str | None = None
    link_up: bool = True


class HostDeviceUse(Record):
    """A device of the host that the VM has."""

    kind: str
    address: str


class FilesystemRecord(Record):
    """A directory of the host that the guest shares."""

    tag: str
    path: str
    driver: str
    readonly: bool = False


class ComputeRecord(Record):
    """The processor model, firmware and single devices of a VM, as its saved definition has them."""

    cpu_mode: str = "default"
    cpu_model: str | None = None
    sockets: int | None = None
    cores: int | None = None
    threads: int | None = None
    firmware: str = "bios"
    huge_pages: bool = False
    memory_locked: bool = False
    graphics: str = "none"
    video: str | None = None
    watchdog: str = "none"
    sound: bool = False
    tpm: bool = False
    rng: bool = False
    guest_agent: bool = False
    serial: bool = False


class ResourcesRecord(Record):
    """What a VM gets of its host's processors and memory, as its saved definition has it."""

    cpu_shares: int | None = None
    cpu_limit_percent: int | None = None
    pins: tuple[PinRecord, ...] = ()
    emulator_cpus: str | None = None
    numa_nodes: str | None = None
    numa_mode: str | None = None


class HardwareRecord(ComputeRecord, ResourcesRecord):
    """All hardware of a VM as its saved definition has it."""

    title: str | None = None
    vcpus: int | None = None
    vcpus_max: int | None = None
    memory_bytes: int | None = None
    memory_max_bytes: int | None = None
    disks: tuple[DiskResources, ...] = ()
    nics: tuple[NicResources, ...] = ()
    host_devices: tuple[HostDeviceUse, ...] = ()
    filesystems: tuple[FilesystemRecord, ...] = ()
    free_ports: int | None = Field(
        None,
        description="PCIe ports for devices that are plugged in while it runs; null: it has no such ports.",
    )
    boot: tuple[str, ...] = Field(
        (), description="Disks by target and interfaces by MAC address, first to last."
    )
