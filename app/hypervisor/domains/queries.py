"""Reading what a host has: VMs and counters. Bulk calls, at most one more per object."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import libvirt

from app.core.errors import VmGone
from app.core.hosts.observations import HostCounters
from app.core.inventory.usage import UsageSample
from app.core.vms.observations import DefinitionObservation, VmCounters, VmObservation
from app.core.vms.states import VmState
from app.hypervisor.transport.connection import Connection
from app.hypervisor.xml.domains import read
from app.hypervisor.xml.domains.files import normal

# What getAllDomainStats answers of one VM: libvirt's typed parameters by name.
Stats = dict[str, int | str | bool]
Listed = list[tuple[libvirt.virDomain, Stats]]

_NOWAIT = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
_COUNTERS = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)
_KIB = 1024
_STATES = {
    libvirt.VIR_DOMAIN_RUNNING: VmState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: VmState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: VmState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: VmState.RUNNING,
    libvirt.VIR_DOMAIN_SHUTOFF: VmState.SHUTOFF,
    libvirt.VIR_DOMAIN_CRASHED: VmState.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: VmState.SUSPENDED,
}
# Names of the reasons, by libvirt's numbers; 0 is always "unknown".
_REASONS: dict[int, tuple[str, ...]] = {
    libvirt.VIR_DOMAIN_RUNNING: (
        "unknown", "booted", "migrated", "restored", "from_snapshot", "unpaused", "migration_canceled",
        "save_canceled", "wakeup", "crashed", "postcopy", "postcopy_failed",
    ),
    libvirt.VIR_DOMAIN_PAUSED: (
        "unknown", "user", "migration", "save", "dump", "io_error", "watchdog", "from_snapshot",
        "shutting_down", "snapshot", "crashed", "starting_up", "postcopy", "postcopy_failed",
    ),
    libvirt.VIR_DOMAIN_SHUTDOWN: ("shutting_down", "shutting_down"),
    libvirt.VIR_DOMAIN_SHUTOFF: (
        "unknown", "shutdown", "destroyed", "crashed", "migrated", "saved", "failed", "from_snapshot", "daemon",
    ),
    libvirt.VIR_DOMAIN_CRASHED: ("unknown", "panicked"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Flags:
    """What a listing does not say of each VM and must be asked by a listing of its own, by UUID."""

    states: dict[str, object]
    transient: frozenset[str]
    autostart: frozenset[str]
    saved: frozenset[str]
    vms: tuple[VmObservation, ...] = ()  # what all this makes of them


def read_vms(connection: Connection) -> tuple[VmObservation, ...]:
    """All VMs with their definitions, where these can be read. One that goes away meanwhile is left out."""
    listed = _list(connection)
    return _observe(listed, _read_flags(connection, listed), _texts(connection, [vm for vm, _ in listed]))


def list_vms(connection: Connection, known: Flags | None = None) -> tuple[tuple[VmObservation, ...], Flags]:
    """All VMs without definitions, and their flags: those that are known while all states are as they were then."""
    listed = _list(connection)
    if known and known.states == _states_of(listed):
        return known.vms, known
    flags = _read_flags(connection, listed)
    vms = _observe(listed, flags)
    return vms, replace(flags, vms=vms)


def read_counters(connection: Connection, *, asks: bool) -> UsageSample:
    """Counters of the host and of the VMs that run. `asks`: whether this hypervisor asks a process for them.

    Of a VM whose QEMU hangs there are none, but the first reading after it began to hang does not return.
    """
    taken_at = time.monotonic()
    listed = _all_stats(connection, _COUNTERS, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE)
    return UsageSample(
        taken_at_s=taken_at,
        host=_host_counters(connection),
        vms=tuple(_vm_counters(vm, stats, asks) for vm, stats in listed),
    )


def find_vm(connection: Connection, uuid: str) -> libvirt.virDomain:
    """libvirt's handle of a VM. Raises VmGone."""
    found: libvirt.virDomain = connection.call(connection.raw.lookupByUUIDString, uuid)
    return found


def read_vm(connection: Connection, uuid: str) -> VmObservation:
    """One VM with its definition. Raises VmGone."""
    began = time.monotonic()
    vm = find_vm(connection, uuid)
    state, reason = connection.call(vm.state, 0)
    persistent = bool(connection.call(vm.isPersistent))
    saved = bool(connection.optional("managed save", vm.hasManagedSaveImage, 0)) if persistent else False
    autostart = bool(connection.optional("autostart", vm.autostart)) if persistent else False
    text = connection.readable(vm.XMLDesc, 0)
    seen = _observation(vm, state, reason, persistent, autostart, saved, text)
    seen = replace(seen, read_from_s=began)
    if seen.domain_id is None or not persistent:
        return seen
    lasting = connection.readable(vm.XMLDesc, libvirt.VIR_DOMAIN_XML_INACTIVE)
    return replace(seen, saved=_definition(lasting))


def read_saved(
    connection: Connection, uuids: Collection[str] | None = None, marks: Mapping[str, int] | None = None
) -> tuple[dict[str, DefinitionObservation], dict[str, int]]:
    """What VMs will be after their power-off: all that run, are persistent and can be read, or those of `uuids`.

    With them the marks of their texts, by UUID; definitions whose marks are as given are left out.
    """
    running = libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE | libvirt.VIR_CONNECT_LIST_DOMAINS_PERSISTENT
    vms: list[libvirt.virDomain] = connection.call(connection.raw.listAllDomains, running)
    wanted = vms if uuids is None else [vm for vm in vms if vm.UUIDString() in uuids]
    texts = _texts(connection, wanted, libvirt.VIR_DOMAIN_XML_INACTIVE)
    found = {uuid: hash(text) for uuid, text in texts.items()}
    known = marks or {}
    definitions = {uuid: _definition(text) for uuid, text in texts.items() if known.get(uuid) != found[uuid]}
    return {uuid: item for uuid, item in definitions.items() if item is not None}, found


def read_marks(connection: Connection) -> dict[str, int]:
    """Marks of the definitions of all VMs that are off, by UUID, as `VmObservation.text_mark` has them."""
    off: list[libvirt.virDomain] = connection.call(
        connection.raw.listAllDomains, libvirt.VIR_CONNECT_LIST_DOMAINS_INACTIVE
    )
    return {uuid: hash(text) for uuid, text in _texts(connection, off).items() if text is not None}


def _all_stats(connection: Connection, groups: int, flags: int = 0) -> Listed:
    """Statistics of all VMs; of one whose QEMU hangs, only what needs no QEMU."""
    raw = connection.raw
    found: Listed | None = connection.optional(
        "stats without waiting", raw.getAllDomainStats, groups, flags | _NOWAIT
    )
    if found is None:
        found = connection.call(raw.getAllDomainStats, groups, flags)
    return found


def _list(connection: Connection) -> Listed:
    return _all_stats(connection, libvirt.VIR_DOMAIN_STATS_STATE)


def _states_of(listed: Listed) -> dict[str, object]:
    return {
        vm.UUIDString(): (vm.ID(), _name(vm), stats.get("state.state"), stats.get("state.reason"))
        for vm, stats in listed
    }


def _read_flags(connection: Connection, listed: Listed) -> Flags:
    def uuids(flag: int) -> frozenset[str]:
        return uuids_of(connection.optional(f"list {flag}", connection.raw.listAllDomains, flag) or [])

    return Flags(
        _states_of(listed),
        transient=uuids(libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT),
        autostart=uuids(libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART),
        saved=uuids(libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE),
    )


def _observe(
    listed: Listed, flags: Flags, texts: dict[str, str | None] | None = None
) -> tuple[VmObservation, ...]:
    seen = []
    for vm, stats in listed:
        uuid = vm.UUIDString()
        if texts is not None and uuid not in texts:
            continue
        seen.append(
            _observation(
                vm,
                int(stats.get("state.state", libvirt.VIR_DOMAIN_NOSTATE)),
                int(stats.get("state.reason", 0)),
                uuid not in flags.transient,
                uuid in flags.autostart,
                uuid in flags.saved,
                None if texts is None else texts[uuid],
            )
        )
    return tuple(seen)


def _texts(connection: Connection, vms: Iterable[libvirt.virDomain], flags: int = 0) -> dict[str, str | None]:
    """XML of each VM, by UUID, without those that are gone; None where it cannot be read.

    To ask first and parse later is a third faster.
    """
    texts: dict[str, str | None] = {}
    for vm in vms:
        try:
            texts[vm.UUIDString()] = connection.readable(vm.XMLDesc, flags)
        except VmGone:
            continue
    return texts


def _name(vm: libvirt.virDomain) -> str:
    """The VM's name; its UUID in place of one that is no text."""
    try:
        return str(vm.name())
    except UnicodeDecodeError:
        return str(vm.UUIDString())


def _definition(xml: str | None) -> DefinitionObservation | None:
    """What the XML says; None when it cannot be read, so that one strange VM does not hide all others."""
    if xml is None:
        return None
    try:
        return read.read_vm(xml)
    except read.UnreadableXml:
        return None


def _observation(
    vm: libvirt.virDomain,
    state: int,
    reason: int,
    persistent: bool,
    autostart: bool,
    saved: bool,
    text: str | None,
) -> VmObservation:
    names = _REASONS.get(state, ())
    why = names[reason] if 0 <= reason < len(names) else "unknown"
    ours = _STATES.get(state, VmState.UNKNOWN)
    if ours is VmState.SHUTOFF:
        if saved:
            ours = VmState.SAVED
        elif why == "crashed":  # "failed" is a start that did not succeed
            ours = VmState.CRASHED
    elif ours is VmState.PAUSED and why == "starting_up":
        # Every start passes through this for a moment; nobody paused the VM.
        ours, why = VmState.RUNNING, "booted"
    number = vm.ID()
    return VmObservation(
        uuid=vm.UUIDString(),
        name=_name(vm),
        state=ours,
        state_reason=None if why == "unknown" else why,
        domain_id=None if number == -1 else number,
        persistent=persistent,
        autostart=autostart,
        has_managed_save=saved,
        # A VM that comes in is transient until it has arrived; the one that leaves is paused for a moment too.
        is_migration_target=ours is VmState.PAUSED and why == "migration" and not persistent,
        definition=_definition(text),
        text_mark=hash(text) if number == -1 and text is not None else None,
    )


def _vm_counters(vm: libvirt.virDomain, stats: Stats, asks: bool) -> VmCounters:
    def number(name: str, unit: int = 1) -> int | None:
        value = stats.get(name)
        return None if value is None else int(value) * unit

    def total(group: str, name: str) -> int | None:
        count = stats.get(f"{group}.count")
        if count is None:
            return None
        values = [stats.get(f"{group}.{index}.{name}") for index in range(int(count))]
        known = [int(value) for value in values if value is not None]
        return sum(known) if known or not values else None

    return VmCounters(
        uuid=vm.UUIDString(),
        domain_id=vm.ID(),
        cpu_time_ns=number("cpu.time"),
        vcpus=number("vcpu.current"),
        memory_bytes=number("balloon.current", _KIB),
        memory_unused_bytes=number("balloon.unused", _KIB),
        memory_rss_bytes=number("balloon.rss", _KIB),
        disk_read_bytes=total("block", "rd.bytes"),
        disk_write_bytes=total("block", "wr.bytes"),
        disk_read_requests=total("block", "rd.reqs"),
        disk_write_requests=total("block", "wr.reqs"),
        disk_capacity_bytes=total("block", "capacity"),
        disk_paths=_disk_paths(stats),
        net_rx_bytes=total("net", "rx.bytes"),
        net_tx_bytes=total("net", "tx.bytes"),
        # libvirt reads this once it may ask the process; a job that holds a hung one keeps it from asking.
        answers=not asks or "balloon.rss" in stats,
    )


def _disk_paths(stats: Stats) -> tuple[tuple[str, str | None], ...]:
    """Target and path of each disk; None for an empty drive and for what is no file or device of the host."""
    found = []
    for index in range(int(stats.get("block.count", 0))):
        path = stats.get(f"block.{index}.path")
        found.append((str(stats.get(f"block.{index}.name", "")), None if path is None else normal(str(path))))
    return tuple(found)


def _host_counters(connection: Connection) -> HostCounters:
    raw = connection.raw
    cpu = connection.optional("host cpu", raw.getCPUStats, libvirt.VIR_NODE_CPU_STATS_ALL_CPUS, 0)
    memory = connection.optional(
        "host memory", raw.getMemoryStats, libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS, 0
    )
    busy = total = None
    if cpu:
        busy = sum(cpu.get(name, 0) for name in ("kernel", "user", "intr"))
        total = busy + sum(cpu.get(name, 0) for name in ("idle", "iowait"))
    free = None
    if memory:
        free = sum(memory.get(name, 0) for name in ("free", "buffers", "cached")) * _KIB
    return HostCounters(busy, total, memory["total"] * _KIB if memory and "total" in memory else None, free)


def uuids_of(
    things: list[libvirt.virDomain] | list[libvirt.virStoragePool] | list[libvirt.virNetwork],
) -> frozenset[str]:
    return frozenset(thing.UUIDString() for thing in things)
