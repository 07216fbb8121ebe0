"""A host: the verbs over its libvirt. Thread-safe; each call blocks, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Literal, Self

import libvirt

from app.core.errors import HostNotAnswering, HypervisorRefused, VigieError, VmGone
from app.core.hosts.capabilities import HostCapabilities
from app.core.hosts.observations import FileCheck, HostCounters, HostFacts
from app.core.hosts.states import Transport
from app.core.inventory.reports import Hint
from app.core.inventory.usage import UsageSample
from app.core.networks.observations import NetworkObservation
from app.core.storage.observations import PoolObservation
from app.core.storage.pools import FILE_POOLS
from app.core.vms.host_devices import HostDevice
from app.core.vms.observations import DefinitionObservation, GuestInfo, Picture, VmObservation
from app.hypervisor import errors, sent_commands
from app.hypervisor.consoles.open_consoles import Consoles
from app.hypervisor.domains import guest_agent, queries, screenshot
from app.hypervisor.domains.devices import Hardware
from app.hypervisor.domains.disks import Disks
from app.hypervisor.domains.domains import Domains
from app.hypervisor.host import facts, files
from app.hypervisor.host.node_devices import read_node_devices
from app.hypervisor.networks.networks import Networks
from app.hypervisor.networks.queries import list_networks, network_mark
from app.hypervisor.nwfilters import Nwfilters
from app.hypervisor.storage.queries import list_pools, pool_marks
from app.hypervisor.storage.secrets import PoolSecrets
from app.hypervisor.storage.storage import Storage
from app.hypervisor.transport.connection import NO_DEADLINE
from app.hypervisor.transport.connections import HostConnections, see_identity
from app.hypervisor.transport.targets import Target

StopMethod = Literal["auto", "agent", "acpi"]

# What changes a VM may wait for slow storage, a hook script, or (60 s) for a guest agent. A host that is
# gone or frozen is noticed sooner, and ends these calls.
VERB_DEADLINE_S = 75.0
FLAGS_EVERY = 3

_SHUTDOWN = {
    "auto": 0,
    "agent": libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT,
    "acpi": libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN,
}
_REBOOT = {
    "auto": 0,
    "agent": libvirt.VIR_DOMAIN_REBOOT_GUEST_AGENT,
    "acpi": libvirt.VIR_DOMAIN_REBOOT_ACPI_POWER_BTN,
}


class Host:
    """An open host. Every call raises `core.errors` only: HostNotAnswering past its deadline or when the
    connection is lost, VmGone for a VM that the host does not have, HypervisorRefused for libvirt's errors.
    """

    def __init__(self, connections: HostConnections) -> None:
        self._connections = connections
        self._flags: queries.Flags | None = None  # of the last poll
        self._flags_of = -1  # how much Vigie had touched by then: what it does meanwhile counts as later
        self._touched = 0
        self._polls = 0
        self.domains = Domains(connections, self._touch)
        self.storage = Storage(connections)
        self.pool_secrets = PoolSecrets(connections)
        self.disks = Disks(connections, self._touch)
        self.hardware = Hardware(connections, self._touch)
        self.consoles = Consoles(connections)
        self.networks = Networks(connections)
        self.nwfilters = Nwfilters(connections)

    @classmethod
    def open(
        cls,
        target: Target,
        *,
        connect_deadline_s: float,
        call_deadline_s: float,
        on_hint: Callable[[Hint], None] | None = None,
        on_lost: Callable[[VigieError], None] | None = None,
    ) -> Self:
        """Connect and log in. Raises HostUnreachable, HostNotAnswering, HostIdentityChanged, HostAuthFailed.

        `on_hint` is called for each event; `on_lost` once, when the connection ends by itself or is cut after
        a passed deadline. Both are called from any thread and must only queue.
        """
        connections = HostConnections(
            target, connect_deadline_s=connect_deadline_s, call_deadline_s=call_deadline_s, on_lost=on_lost
        )
        connections.open(on_hint)
        return cls(connections)

    def close(self) -> None:
        """Close at once, whatever the host does. Calls in progress raise HostNotAnswering."""
        self._connections.close()

    @property
    def is_open(self) -> bool:
        """False once closed or lost."""
        return self._connections.is_open

    @property
    def _is_simulated(self) -> bool:
        return self._connections.link.endpoint.transport is Transport.SIMULATED

    def ping(self) -> None:
        """One cheap round trip to the daemon. Raises HostNotAnswering."""
        watch = self._connections.watch
        watch.call(watch.raw.getLibVersion)

    def read_facts(self) -> HostFacts:
        """What the host is: hardware, versions, what it can do. None where it cannot be told."""
        return facts.read_facts(self._connections.watch, self._connections.link)

    def read_domain_capabilities(self) -> HostCapabilities | None:
        """What VMs can have on this host; None where it cannot be told."""
        return facts.read_domain_capabilities(self._connections.watch)

    def read_uuid(self) -> str:
        """The UUID that libvirt gives the machine."""
        return facts.read_uuid(self._connections.watch)

    def read_vms(self) -> tuple[VmObservation, ...]:
        """All VMs with definitions."""
        return queries.read_vms(self._connections.watch)

    def poll(self) -> tuple[tuple[VmObservation, ...], UsageSample]:
        """States of all VMs, without definitions, and counters; four round trips, or seven.

        Whether VMs are persistent, start with the host or are saved is asked when a state changed, after
        anything that Vigie did or read by itself, and every third time.
        Without counters of VMs when these do not come in time, as with a QEMU that began to hang, or cannot
        be read.
        """
        self._polls += 1
        touched = self._touched
        is_known = self._polls % FLAGS_EVERY and self._flags_of == touched
        vms, self._flags = queries.list_vms(self._connections.watch, self._flags if is_known else None)
        self._flags_of = touched
        sample = UsageSample(taken_at_s=time.monotonic(), host=HostCounters(), complete=False)
        try:
            with self._connections.counters() as counters:
                sample = queries.read_counters(counters, asks=not self._is_simulated)
        except HostNotAnswering:
            if not self.is_open:
                raise
        except HypervisorRefused as error:
            if not errors.is_unreadable(error):
                raise
        return vms, sample

    def booted_at(self) -> int | None:
        """About when the host was booted, in seconds since 1970; None where it cannot be told."""
        with self._connections.reads() as reads:
            return facts.read_booted_at(reads)

    def read_vm(self, uuid: str) -> VmObservation:
        """One VM with its definition. Raises VmGone."""
        self._touched += 1
        return queries.read_vm(self._connections.watch, uuid)

    def read_saved(
        self, uuids: Collection[str] | None = None, marks: Mapping[str, int] | None = None
    ) -> tuple[dict[str, DefinitionObservation], dict[str, int]]:
        """What running VMs, all or these, will be after their power-off, by UUID, and the marks of the texts.

        Without those that cannot be read, and without definitions whose marks are still as given.
        """
        return queries.read_saved(self._connections.watch, uuids, marks)

    def read_marks(self) -> dict[str, int]:
        """Marks of the definitions of all VMs that are off, by UUID, as `VmObservation.text_mark` has them."""
        return queries.read_marks(self._connections.watch)

    def read_pools(
        self, *, volumes: bool, only: Collection[str] | None = None
    ) -> tuple[PoolObservation, ...]:
        """Storage pools; with `volumes`, those of running pools too, which takes a round trip each.

        `only`: UUIDs of pools whose volumes are wanted.
        """
        if not volumes:
            return list_pools(self._connections.watch, volumes=False)
        with self._connections.reads() as reads:
            found = list_pools(reads, volumes=True, only=only)
        return tuple(self._with_broken_files(pool) if pool.uuid in (only or ()) else pool for pool in found)

    def _with_broken_files(self, pool: PoolObservation) -> PoolObservation:
        """What may have stopped a pool of files that is off."""
        if pool.state == "running" or pool.kind not in FILE_POOLS or pool.target_path is None:
            return pool
        return replace(pool, broken_files=tuple(self.storage.broken_files(pool.target_path) or ()))

    def check_files(self, paths: Collection[str], directories: Collection[str]) -> FileCheck | None:
        """Which files and directories of the host are gone or read-only; None where it cannot be told now.

        Raises HostNotAnswering when a file system hangs.
        """
        if self._is_simulated:
            return None
        look = self._connections.on_link(self._connections.link.check_files(paths, directories))
        if look is None:
            with self._connections.reads() as reads:
                return files.check_by_libvirt(reads, paths)
        if not look.missing:
            return look
        with self._connections.reads() as reads:
            # The login may see another file system than libvirt does.
            there = {path for path in look.missing if files.has_volume(reads, path)}
        return replace(look, missing=look.missing - there)

    def pool_marks(self) -> tuple[dict[str, int], int]:
        """For each running pool a number that changes with what it holds, and how many round trips that took."""
        with self._connections.reads() as reads:
            return pool_marks(reads)

    def network_mark(self) -> tuple[int, int]:
        """A number that changes when any network does, and how many round trips that took."""
        return network_mark(self._connections.watch)

    def read_devices(self) -> tuple[HostDevice, ...]:
        """Devices that VMs can have; a round trip each."""
        with self._connections.reads() as reads:
            return read_node_devices(reads)

    def read_networks(self) -> tuple[NetworkObservation, ...]:
        """Virtual networks."""
        return list_networks(self._connections.watch)

    def guest_info(self, uuid: str) -> GuestInfo:
        """What the guest says of itself through its agent, or its DHCP leases. Raises VmGone."""
        with self._connections.reads() as reads:
            return guest_agent.read_guest(reads, uuid)

    def screenshot(self, uuid: str, *, max_width: int = 640) -> Picture:
        """The VM's screen now, as PNG, no wider than `max_width` pixels. Raises VmGone, HypervisorRefused."""
        with self._connections.stream() as own:
            return screenshot.take(own, uuid, max_width)

    def start(self, uuid: str) -> None:
        """Start a VM that is off."""
        self._do(uuid, lambda vm: vm.createWithFlags(0))

    def restore(self, uuid: str) -> None:
        """Start a VM with the memory that `save` wrote; takes as long as reading it does."""
        self._do(uuid, lambda vm: vm.createWithFlags(0), NO_DEADLINE)

    def shutdown(self, uuid: str, method: StopMethod = "auto") -> None:
        """Ask the guest to shut down; returns once asked. `auto` asks the agent first, then by ACPI."""
        self._do(uuid, lambda vm: _ask_guest(lambda: vm.shutdownFlags(_SHUTDOWN[method])))

    def reboot(self, uuid: str, method: StopMethod = "auto") -> None:
        """Ask the guest to reboot; returns once asked."""
        self._do(uuid, lambda vm: _ask_guest(lambda: vm.reboot(_REBOOT[method])))

    def reset(self, uuid: str) -> None:
        """Reset the VM as its reset button would; the guest is not asked."""
        self._do(uuid, lambda vm: vm.reset(0))

    def inject_nmi(self, uuid: str) -> None:
        """Send the guest a non-maskable interrupt."""
        self._do(uuid, lambda vm: vm.injectNMI(0))

    def force_off(self, uuid: str) -> None:
        """Switch the VM off; the guest is not asked."""
        self._do(uuid, lambda vm: vm.destroyFlags(0))

    def pause(self, uuid: str) -> None:
        """Stop the VM's CPUs; its memory stays."""
        self._do(uuid, lambda vm: vm.suspend())

    def resume(self, uuid: str) -> None:
        """Let a paused VM go on, or wake a sleeping guest."""

        def wake_or_resume(vm: libvirt.virDomain) -> None:
            if vm.state(0)[0] == libvirt.VIR_DOMAIN_PMSUSPENDED:
                vm.pMWakeup(0)
            else:
                vm.resume()

        self._do(uuid, wake_or_resume)

    def save(self, uuid: str) -> None:
        """Write the VM's memory to the host's disk and stop it.

        Takes as long as it takes; ends with HostNotAnswering when the host is lost. See `job_progress` and
        `abort_job`.
        """
        self._do(uuid, lambda vm: vm.managedSave(0), NO_DEADLINE)

    def set_autostart(self, uuid: str, on: bool) -> None:
        """Have the VM started with its host, or not."""
        self._do(uuid, lambda vm: vm.setAutostart(int(on)))

    def abort_job(self, uuid: str) -> None:
        """Abort what `job_progress` shows. No error when nothing is in progress."""
        try:
            self._do(uuid, lambda vm: vm.abortJob())
        except HypervisorRefused as error:
            if error.code != "wrong_state":
                raise

    def job_progress(self, uuid: str) -> int | None:
        """Percent done of the VM's job, such as a save; None when there is none."""
        with self._connections.reads() as reads:
            stats = reads.call(queries.find_vm(reads, uuid).jobStats)
        if stats.get("type", libvirt.VIR_DOMAIN_JOB_NONE) == libvirt.VIR_DOMAIN_JOB_NONE:
            return None
        total = stats.get("data_total") or stats.get("memory_total") or 0
        left = stats.get("data_remaining", stats.get("memory_remaining", total))
        return max(0, min(99, round(100 * (total - left) / total))) if total else 0

    def _touch(self) -> None:
        self._touched += 1

    def _do(
        self, uuid: str, change: Callable[[libvirt.virDomain], object], deadline_s: float = VERB_DEADLINE_S
    ) -> None:
        # An abort of what takes long must not wait behind it.
        connections = self._connections
        with connections.long() if deadline_s == NO_DEADLINE else connections.work() as work:
            try:
                work.call(change, queries.find_vm(work, uuid), deadline_s=deadline_s)
            except (HypervisorRefused, VmGone):
                sent_commands.refused()
                raise
            finally:
                self._touched += 1


def _ask_guest(send: Callable[[], object]) -> None:
    """Ask a guest to shut down or reboot. One that does may end its agent's command before that has returned."""
    try:
        send()
    except libvirt.libvirtError as error:
        if not errors.is_agent_command_killed(error):
            raise


__all__ = ["Host", "StopMethod", "see_identity"]
