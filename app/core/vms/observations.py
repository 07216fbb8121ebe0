"""What is read of a VM."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict, final

from app.core.vms.states import VmState


@dataclass(frozen=True, slots=True)
class DiskView:
    """One disk of a VM as its definition says. `source` is a path, volume or URL; None for an empty drive."""

    target: str
    device: str  # disk, cdrom, floppy, lun
    bus: str
    source: str | None = None
    format: str | None = None
    readonly: bool = False
    capacity_bytes: int | None = None
    allocation_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class FileUse:
    """A file, block device or volume that a VM's definition names: a path as hosts list it, or `pool/volume`.

    `shared`: it declares that others may write to it at the same time.
    """

    source: str
    writes: bool = False
    shared: bool = False


@dataclass(frozen=True, slots=True)
class NicView:
    """One network interface of a VM. `source` is the network, bridge or device that it is plugged into."""

    mac: str
    kind: str  # network, bridge, direct, user, ...
    source: str | None = None
    model: str | None = None
    target: str | None = None  # the host's tap device while running
    filter: str | None = None  # the network filter that it names


@dataclass(frozen=True, slots=True)
class GraphicsView:
    """A display of a VM."""

    kind: str  # vnc, spice, ...
    listen: str | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class DeviceView:
    """Any other device, kept for the read-only hardware list: what it is and one line about it."""

    kind: str  # video, tpm, watchdog, rng, hostdev, filesystem, channel, serial, sound, input, controller...
    summary: str


@dataclass(frozen=True, slots=True)
class DefinitionObservation:
    """What a VM's XML says, with the XML itself. `digest` changes when the XML does."""

    xml: str
    digest: str
    os_type: str
    arch: str
    machine: str
    firmware: str  # bios, efi, direct
    hypervisor: str  # kvm, qemu, test
    vcpus: int
    vcpus_max: int
    cpu_mode: str  # host-passthrough, host-model, custom, maximum or "default"
    cpu_model: str | None
    memory_bytes: int
    memory_max_bytes: int
    title: str | None = None
    description: str | None = None
    os_id: str | None = None  # libosinfo URI from the metadata
    has_agent_channel: bool = False
    disks: tuple[DiskView, ...] = ()
    nics: tuple[NicView, ...] = ()
    graphics: tuple[GraphicsView, ...] = ()
    devices: tuple[DeviceView, ...] = ()
    files: tuple[FileUse, ...] = ()
    # What it names of its host: keys of core.vms.host_access, each with the path (core.vms.host_access.PATHS) or a fingerprint.
    reaches: tuple[tuple[str, str], ...] = ()


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
    """A DefinitionObservation as the mirror keeps it, as JSON without `xml`. Empty while none was read; all fields may lack."""

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


@dataclass(frozen=True, slots=True)
class VmObservation:
    """One VM as seen in one listing. `definition` is None when the listing did not read the XML."""

    uuid: str
    name: str
    state: VmState
    state_reason: str | None
    domain_id: int | None  # changes at each start; None when not active
    persistent: bool
    autostart: bool
    has_managed_save: bool
    is_migration_target: bool = False  # an incoming copy that does not run yet
    definition: DefinitionObservation | None = None
    saved: DefinitionObservation | None = (
        None  # of a running VM that was read by itself: what counts after its power-off
    )
    # Of the host's text of a VM that is off; only equal to others of the same process. None: it runs, or was not read.
    text_mark: int | None = field(default=None, compare=False)
    # time.monotonic() when the reading of this VM by itself began; 0.0: it came with a listing.
    read_from_s: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class GuestInfo:
    """What the guest says of itself through its agent or its DHCP lease. Hostile until proven otherwise."""

    agent_connected: bool = False
    hostname: str | None = None
    os_name: str | None = None
    addresses: tuple[tuple[str, str], ...] = ()  # (MAC or "", IP address)


@dataclass(frozen=True, slots=True)
class VmCounters:
    """Monotonic counters of a running VM at one instant; rates come from two of them (core.inventory.rates)."""

    uuid: str
    domain_id: int | None
    cpu_time_ns: int | None = None
    vcpus: int | None = None
    memory_bytes: int | None = None  # balloon: what the guest has now
    memory_unused_bytes: int | None = None  # what the guest says is free
    memory_rss_bytes: int | None = None
    disk_read_bytes: int | None = None
    disk_write_bytes: int | None = None
    disk_read_requests: int | None = None
    disk_write_requests: int | None = None
    disk_capacity_bytes: int | None = None  # of all its disks together: a resize sends no event
    # By target, the path of each disk's uppermost layer: an external snapshot changes it and sends no event.
    disk_paths: tuple[tuple[str, str | None], ...] = ()
    net_rx_bytes: int | None = None
    net_tx_bytes: int | None = None
    answers: bool = True  # whether its hypervisor process gave statistics


@dataclass(frozen=True, slots=True)
class Picture:
    """A screenshot, PNG."""

    data: bytes
    width: int
    height: int
