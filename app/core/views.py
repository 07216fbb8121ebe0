"""What was observed on a host, as plain values: the language between the hypervisor layer and the mirror.

All are immutable and cheap. Sizes are bytes, times are seconds, rates are per second. Text in them comes
from hosts and guests and is never trusted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from app.core.conditions import ObservedCondition
from app.core.offers import Offers
from app.core.states import HostState, VmState


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
    filter: str | None = None  # the traffic filter that it names


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
class VmDefinition:
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
    # What it names of its host: keys of core.dangers, each with the path (core.dangers.PATHS) or a fingerprint.
    reaches: tuple[tuple[str, str], ...] = ()


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
    definition: VmDefinition | None = None
    saved: VmDefinition | None = (
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
    """Monotonic counters of a running VM at one instant; rates come from two of them (core.rates)."""

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
class HostCounters:
    """A host's own counters at one instant. CPU times are nanoseconds summed over all threads."""

    cpu_busy_ns: int | None = None
    cpu_total_ns: int | None = None
    memory_total_bytes: int | None = None
    memory_free_bytes: int | None = None  # free + buffers + cached


@dataclass(frozen=True, slots=True)
class Usage:
    """Rates of a VM or host over the last interval. None where it cannot be known."""

    cpu_percent: float | None = None  # of all its vCPUs or threads, 0..100
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    disk_read_bps: float | None = None
    disk_write_bps: float | None = None
    disk_iops: float | None = None
    net_rx_bps: float | None = None  # bytes per second
    net_tx_bps: float | None = None


@dataclass(frozen=True, slots=True)
class PoolObservation:
    """A storage pool. `volumes` is None when this listing did not read them."""

    uuid: str
    name: str
    kind: str
    state: str  # running, inactive, building, degraded, inaccessible
    autostart: bool
    persistent: bool
    capacity_bytes: int
    allocation_bytes: int
    available_bytes: int
    target_path: str | None
    volumes: tuple[VolumeObservation, ...] | None = None
    xml: str | None = None  # its lasting definition, without what it holds at the moment
    live_xml: str | None = None  # what runs, where that differs
    source: str | None = None  # its target on a storage server, which other hosts may have too
    broken_files: tuple[str, ...] = ()  # of one that is off: by which libvirt fails to read it


@dataclass(frozen=True, slots=True)
class VolumeObservation:
    """A volume of a pool."""

    name: str
    path: str
    kind: str  # file, block, dir, network, ...
    format: str | None
    capacity_bytes: int
    allocation_bytes: int
    backing_path: str | None = None


@dataclass(frozen=True, slots=True)
class NetworkObservation:
    """A virtual network of a host."""

    uuid: str
    name: str
    active: bool
    autostart: bool
    persistent: bool
    bridge: str | None
    forward_mode: str  # nat, route, open, bridge, hostdev, isolated...
    addresses: tuple[str, ...] = ()  # CIDR
    dhcp: bool = False
    xml: str | None = None  # its lasting definition, without who is connected at the moment
    live_xml: str | None = None  # what runs, where that differs
    mtu: int | None = None
    vlan: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """An address that a guest has from a network's DHCP. All its texts come from the guest."""

    address: str
    prefix: int
    mac: str | None = None
    hostname: str | None = None
    expires_at: str | None = None  # ISO, UTC; None: never


@dataclass(frozen=True, slots=True)
class FilterObservation:
    """A traffic filter (nwfilter) of a host."""

    uuid: str
    name: str
    xml: str


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host is: read once per connection. None where this transport cannot tell."""

    libvirt_uuid: str
    hostname: str
    hypervisor: str  # QEMU, TEST
    libvirt_version: str
    hypervisor_version: str
    arch: str
    cpu_vendor: str | None
    cpu_model: str | None
    cpu_name: str | None  # marketing name, when it can be read
    sockets: int
    cores_per_socket: int
    threads_per_core: int
    cpus: int
    memory_bytes: int
    cpu_features: tuple[str, ...] = ()
    numa_nodes: int = 1
    virtualization: str | None = None  # vmx, svm, or None when neither is offered
    slat: bool | None = None
    iommu: bool | None = None
    kvm: bool | None = None  # libvirt offers domains of type kvm
    lock_manager: str | None = None  # lockd, sanlock, none; None: cannot be read
    clock_skew_s: float | None = None
    migration_port_open: bool | None = None
    machine_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """Everything listed on a host in one pass. A field that is None was not read this time.

    `libvirt_uuid` tells whose listings these are. Of `newer_vms` (UUIDs) something newer is known than `vms`, which
    says nothing of them.
    """

    vms: tuple[VmObservation, ...] | None = None
    pools: tuple[PoolObservation, ...] | None = None
    networks: tuple[NetworkObservation, ...] | None = None
    filters: tuple[FilterObservation, ...] | None = None
    leases: dict[str, tuple[Lease, ...]] | None = None  # of running networks, by UUID
    libvirt_uuid: str | None = None
    newer_vms: frozenset[str] = frozenset()
    volumes: dict[str, tuple[VolumeObservation, ...]] | None = None  # by the pool's UUID, without its pool


@dataclass(frozen=True, slots=True)
class UsageSample:
    """Counters of a host and its running VMs, read together. `taken_at_s` is a monotonic clock."""

    taken_at_s: float
    host: HostCounters
    vms: tuple[VmCounters, ...] = ()
    complete: bool = True  # False: those of VMs did not come in time


@dataclass(frozen=True, slots=True)
class HostReport:
    """What a coordinator has to say of its host; the mirror writes it. A field that is None says nothing.

    `snapshot.vms` is a complete listing (a VM that is not in it is missing); `vms` are single re-readings and
    `gone_vms` UUIDs that the host said it does not have. `state_reason` is a message id with `state_params`.
    `began_s` is the time.monotonic() at which the reading began; None for what is no reading.
    """

    host_id: str
    seen_at: datetime | None  # UTC; when the host last answered, None when this report is about silence
    state: HostState | None = None
    state_reason: str | None = None
    state_params: dict[str, str] = field(default_factory=dict)
    fingerprint_seen: str | None = None
    facts: HostFacts | None = None
    checks: tuple[Check, ...] | None = None
    offers: Offers | None = None
    snapshot: HostSnapshot | None = None
    vms: tuple[VmObservation, ...] = ()
    gone_vms: tuple[str, ...] = ()
    saved: dict[str, VmDefinition] = field(default_factory=dict)  # by UUID: what running VMs will be when off
    host_usage: Usage | None = None
    vm_usage: dict[str, Usage] | None = None  # by UUID; a VM without one is not running
    guests: dict[str, GuestInfo] = field(default_factory=dict)  # by UUID
    # By code of core.conditions that was looked for: all that hold on the host.
    conditions: dict[str, tuple[ObservedCondition, ...]] = field(default_factory=dict)
    hints: tuple[Hint, ...] = ()  # events that led to this reading, for the event log (crashed, rebooted…)
    began_s: float | None = None


@dataclass(frozen=True, slots=True)
class FileLook:
    """Of the files and folders of a host that were looked for: which are gone, and which cannot be written."""

    missing: frozenset[str]
    read_only: frozenset[str] | None  # None: folders cannot be looked at


@dataclass(frozen=True, slots=True)
class Picture:
    """A screenshot, PNG."""

    data: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Hint:
    """An event from a host: something about `kind`/`uuid` may have changed. Never believed, always re-read."""

    kind: str  # vm, pool, network, host
    uuid: str | None
    what: str  # started, stopped, crashed, defined, undefined, agent, device, job, rebooted, ...
    detail: str | None = None
    seen_at_s: float = field(default=0.0)  # time.monotonic()


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the compatibility report. Texts are message ids with parameters, so pages can translate."""

    key: str  # virtualization, slat, iommu, kvm, cpu, versions, lock_manager, clock, space, migration, passthrough
    verdict: str  # Verdict
    reason: str  # message id, English, with %(name)s placeholders
    params: dict[str, str | int | float]
    mend: str | None = None  # what to do, message id
