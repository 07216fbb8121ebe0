"""Hardware of VMs: changed at once where the hypervisor can, else in the saved definition.

Every change goes to the saved definition first, in place: what Vigie does not know stays as it is. Then it is tried
on the VM that runs. Each verb returns when it counts.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from functools import partial

import libvirt

from app.core.errors import HypervisorRefused
from app.core.messages import N_
from app.core.vms.compute import QUOTA_PERIOD_US, ComputePatch, DiskPatch, ResourcesPatch
from app.core.vms.config import DiskPlan, NicPlan
from app.core.vms.host_devices import DevicePlan, FilesystemAdd
from app.hypervisor.domains import queries
from app.hypervisor.domains.effects import LATER, NOW, Effect, attempt, changed_meanwhile, held, together
from app.hypervisor.transport.connection import Connection
from app.hypervisor.transport.connections import HostConnections
from app.hypervisor.xml.domains import build
from app.hypervisor.xml.domains.compute_edit import change_compute, change_resources, drop_topology
from app.hypervisor.xml.domains.device_edit import (
    add_filesystem,
    change_disk,
    change_media,
    change_nic,
    device_at,
    holds_file,
    in_boot_order,
    limits_to_set,
)
from app.hypervisor.xml.domains.read import parse_for_edit
from app.hypervisor.xml.node_devices import filesystem, filesystem_at, host_device, host_device_at
from app.hypervisor.xml.write import Element, edited

_CONFIG = libvirt.VIR_DOMAIN_AFFECT_CONFIG
_LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
_SAVED = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
_KIB = 1024
LET_GO_S = 15.0  # how long a guest has to let go of a device
LOOK_EVERY_S = 0.3
Find = Callable[[Element], Element | None]


class Hardware:
    """Verbs on the hardware of a VM, by its UUID. Raise VmGone, HypervisorRefused."""

    def __init__(self, connections: HostConnections, touched: Callable[[], None]) -> None:
        self._connections = connections
        self._touched = touched

    def require_unchanged(self, uuid: str, digest: str) -> None:
        """Raise HypervisorRefused (changed_meanwhile) when the saved definition has another SHA-256. Raises VmGone."""
        with self._connections.work() as work:
            now = str(work.call(queries.find_vm(work, uuid).XMLDesc, libvirt.VIR_DOMAIN_XML_INACTIVE))
            if hashlib.sha256(now.encode(errors="surrogatepass")).hexdigest() != digest:
                raise changed_meanwhile()

    def set_vcpus(self, uuid: str, count: int | None, maximum: int | None) -> Effect:
        """Give it so many vCPUs, and another maximum after its next power-off."""
        with self._connections.work() as work:
            vm = self._vm(work, uuid)
            now = work.call(vm.vcpusFlags, _CONFIG)
            if maximum is not None:
                if maximum < now:
                    work.call(vm.setVcpusFlags, count or maximum, _CONFIG)
                _drop_topology(work, vm, maximum)
                work.call(vm.setVcpusFlags, maximum, _CONFIG | libvirt.VIR_DOMAIN_VCPU_MAXIMUM)
            if count is None:
                return LATER if self._runs(work, vm) else NOW
            work.call(vm.setVcpusFlags, count, _CONFIG)
            return self._now(work, vm, lambda: work.call(vm.setVcpusFlags, count, _LIVE))

    def set_memory(self, uuid: str, size_bytes: int | None, maximum_bytes: int | None) -> Effect:
        """Give it so much memory by its balloon, and another maximum after its next power-off."""
        with self._connections.work() as work:
            vm = self._vm(work, uuid)
            if maximum_bytes is not None:
                maximum = maximum_bytes // _KIB
                work.call(vm.setMemoryFlags, maximum, _CONFIG | libvirt.VIR_DOMAIN_MEM_MAXIMUM)
            if size_bytes is None:
                return LATER if self._runs(work, vm) else NOW
            size = size_bytes // _KIB
            work.call(vm.setMemoryFlags, size, _CONFIG)
            return self._now(work, vm, lambda: work.call(vm.setMemoryFlags, size, _LIVE))

    def set_title(self, uuid: str, title: str) -> Effect:
        """Give it a title."""
        with self._connections.work() as work:
            vm = self._vm(work, uuid)
            kind = libvirt.VIR_DOMAIN_METADATA_TITLE
            work.call(vm.setMetadata, kind, title, None, None, _CONFIG)
            return self._now(work, vm, lambda: work.call(vm.setMetadata, kind, title, None, None, _LIVE))

    def set_boot(self, uuid: str, order: tuple[str, ...]) -> Effect:
        """Boot from these disks (targets) and interfaces (MAC addresses), first to last."""
        with self._connections.work() as work:
            vm = self._vm(work, uuid)
            self._redefine(work, vm, lambda tree: in_boot_order(tree, order))
            return LATER if self._runs(work, vm) else NOW

    def set_compute(self, uuid: str, patch: ComputePatch) -> Effect:
        """Change compute settings; they count after the next power-off."""
        with self._connections.work() as work:
            vm = self._vm(work, uuid)
            self._redefine(work, vm, lambda tree: change_compute(tree, patch))
            return LATER if self._runs(work, vm) else NOW

    def set_resources(self, uuid: str, patch: ResourcesPatch) -> Effect:
        """Change what it gets of the host's processors and memory."""
        with self._connections.work() as work:
            vm = self._vm(work, uuid)
            self._redefine(work, vm, lambda tree: change_resources(tree, patch))
            if not self._runs(work, vm):
                return NOW
            done = [attempt(partial(work.call, *call)) for call in _live_tuning(work, vm, patch)]
            # What the host's own default is, only a start finds out.
            by_default = patch.cpu_shares == 0 or patch.numa_nodes == ""
            return together([*done, LATER if by_default else NOW])

    def change_disk(self, uuid: str, target: str, patch: DiskPatch) -> Effect:
        """Change how a disk is driven and limited."""

        limits: dict[str, int] = {}

        def change(tree: Element) -> None:
            disk = device_at(tree, target)
            if disk is None:
                raise _gone()
            change_disk(disk, patch)
            limits.update(limits_to_set(disk, patch))

        with self._connections.work() as work:
            vm = self._vm(work, uuid)
            self._redefine(work, vm, change)
            if not self._runs(work, vm):
                return NOW
            done = attempt(lambda: work.call(vm.setBlockIoTune, target, limits, _LIVE)) if limits else NOW
            return together([done, LATER if patch.driver else NOW])

    def add_disk(self, uuid: str, plan: DiskPlan) -> Effect:
        """Add a disk or drive; none of this target twice."""
        return self._attach(uuid, build.disk(plan), lambda tree: device_at(tree, plan.target))

    def add_nic(self, uuid: str, plan: NicPlan) -> Effect:
        """Add an interface; none of this address twice."""
        return self._attach(uuid, build.nic(plan), lambda tree: device_at(tree, plan.mac))

    def add_device(self, uuid: str, plan: DevicePlan) -> Effect:
        """Give it a device of the host; none twice."""
        return self._attach(uuid, host_device(plan), lambda tree: host_device_at(tree, plan.address))

    def remove_device(self, uuid: str, address: str) -> Effect:
        """Take a device of the host from it; the guest must let go of it."""
        return self._detach(uuid, lambda tree: host_device_at(tree, address))

    def add_filesystem(self, uuid: str, spec: FilesystemAdd) -> Effect:
        """Share a directory of the host. By virtiofs only after the next power-off: its memory becomes shared."""
        if spec.driver != "virtiofs":
            return self._attach(uuid, filesystem(spec), lambda tree: filesystem_at(tree, spec.tag))

        with self._connections.work() as work:
            vm = self._vm(work, uuid)
            self._redefine(work, vm, lambda tree: add_filesystem(tree, spec))
            return LATER if self._runs(work, vm) else NOW

    def remove_filesystem(self, uuid: str, tag: str) -> Effect:
        """Share it no more."""
        return self._detach(uuid, lambda tree: filesystem_at(tree, tag))

    def remove(self, uuid: str, key: str) -> Effect:
        """Remove the disk of this target or the interface of this address; the guest must let go of it."""
        return self._detach(uuid, lambda tree: device_at(tree, key))

    def change_media(self, uuid: str, target: str, plan: DiskPlan | None) -> Effect:
        """Put a medium into a drive, or take out what is in it, also from a guest that holds it."""
        media = None if plan is None else build.disk(plan)
        change = partial(change_media, media=media)
        return self._update(uuid, target, change, flags=libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE)

    def holds(self, uuid: str, target: str, name: str) -> bool:
        """Whether the volume or file of this name lies in the drive, as it runs or as it is saved. Raises VmGone."""
        with self._connections.work() as work:
            vm = self._vm(work, uuid)
            drives = (device_at(_tree(work, vm, saved=saved), target) for saved in (True, False))
            return any(drive is not None and holds_file(drive, name) for drive in drives)

    def change_nic(
        self,
        uuid: str,
        mac: str,
        *,
        link_up: bool | None = None,
        network: str | None = None,
        filter: str | None = None,
        in_kbps: int | None = None,
        out_kbps: int | None = None,
    ) -> Effect:
        """Plug or unplug the cable, plug it into another network, change its rates (0: none) or filter ("": none)."""
        change = partial(
            change_nic,
            link_up=link_up,
            network=network,
            filter=filter,
            in_kbps=in_kbps,
            out_kbps=out_kbps,
        )
        return self._update(uuid, mac, change)

    def _vm(self, work: Connection, uuid: str) -> libvirt.virDomain:
        self._touched()
        return queries.find_vm(work, uuid)

    def _attach(self, uuid: str, device: Element, find: Find) -> Effect:
        with self._connections.work() as work:
            vm = self._vm(work, uuid)
            xml = edited(device)
            if find(_tree(work, vm, saved=True)) is None:
                work.call(vm.attachDeviceFlags, xml, _CONFIG)
            if not self._runs(work, vm) or find(_tree(work, vm, saved=False)) is not None:
                return NOW
            return attempt(lambda: work.call(vm.attachDeviceFlags, xml, _LIVE))

    def _detach(self, uuid: str, find: Find) -> Effect:
        with self._connections.work() as work:
            vm = self._vm(work, uuid)
            device = find(_tree(work, vm, saved=True))
            if device is not None:
                work.call(vm.detachDeviceFlags, edited(device), _CONFIG)
            if not self._runs(work, vm):
                return NOW
            device = find(_tree(work, vm, saved=False))
            if device is None:
                return NOW
            requested = attempt(lambda: work.call(vm.detachDeviceFlags, edited(device), _LIVE))
            return self._let_go(work, vm, find) if requested.now else requested

    def _update(self, uuid: str, key: str, change: Callable[[Element], None], flags: int = 0) -> Effect:
        with self._connections.work() as work:
            vm = self._vm(work, uuid)
            for saved in (True, False):
                if not saved and not self._runs(work, vm):
                    return NOW
                device = device_at(_tree(work, vm, saved=saved), key)
                if device is None:
                    raise _gone()
                change(device)
                xml = edited(device)
                if saved:
                    work.call(vm.updateDeviceFlags, xml, _CONFIG | flags)
                else:
                    return attempt(partial(work.call, vm.updateDeviceFlags, xml, _LIVE | flags))
            return NOW

    def _redefine(self, work: Connection, vm: libvirt.virDomain, change: Callable[[Element], None]) -> None:
        """Change the saved definition. Raises HypervisorRefused when libvirt does not accept what comes out."""
        tree = _tree(work, vm, saved=True)
        change(tree)
        work.call(work.raw.defineXMLFlags, edited(tree), libvirt.VIR_DOMAIN_DEFINE_VALIDATE)

    def _runs(self, work: Connection, vm: libvirt.virDomain) -> bool:
        return bool(work.call(vm.isActive))

    def _now(self, work: Connection, vm: libvirt.virDomain, live: Callable[[], object]) -> Effect:
        return attempt(live) if self._runs(work, vm) else NOW

    def _let_go(self, work: Connection, vm: libvirt.virDomain, find: Find) -> Effect:
        deadline = time.monotonic() + LET_GO_S
        while find(_tree(work, vm, saved=False)) is not None:
            if time.monotonic() > deadline:
                return held()
            time.sleep(LOOK_EVERY_S)
        return NOW


def _gone() -> HypervisorRefused:
    return HypervisorRefused(
        N_("The VM has no such device any more."),
        hint=N_("Look at its hardware, and try again."),
        code="no_such_device",
    )


def _live_tuning(
    work: Connection, vm: libvirt.virDomain, patch: ResourcesPatch
) -> list[tuple[Callable[..., object], *tuple[object, ...]]]:
    """The calls that do it on the VM that runs."""
    calls: list[tuple[Callable[..., object], *tuple[object, ...]]] = []
    if patch.cpu_shares:
        calls.append((vm.setSchedulerParametersFlags, {"cpu_shares": patch.cpu_shares}, _LIVE))
    if patch.cpu_limit_percent is not None:
        quota = QUOTA_PERIOD_US * patch.cpu_limit_percent // 100 or -1
        limit = {"vcpu_period": QUOTA_PERIOD_US, "vcpu_quota": quota}
        calls.append((vm.setSchedulerParametersFlags, limit, _LIVE))
    if patch.pins is not None or patch.emulator_cpus is not None:
        count = work.call(work.raw.getCPUMap, 0)[0]
        if patch.pins is not None:
            pins = {pin.vcpu: pin.cpus for pin in patch.pins}
            calls += (
                (vm.pinVcpuFlags, vcpu, _cpu_map(pins.get(vcpu, ""), count), _LIVE)
                for vcpu in range(work.call(vm.vcpusFlags, _LIVE))
            )
        if patch.emulator_cpus is not None:
            calls.append((vm.pinEmulator, _cpu_map(patch.emulator_cpus, count), _LIVE))
    if patch.numa_nodes:
        calls.append((vm.setNumaParameters, {"numa_nodeset": patch.numa_nodes}, _LIVE))
    return calls


def _cpu_map(cpus: str, count: int) -> tuple[bool, ...]:
    """A set of CPUs as a flag for each of `count`; all, when it is empty."""
    if not cpus:
        return (True,) * count
    chosen: set[int] = set()
    for part in cpus.split(","):
        first, _, last = part.removeprefix("^").partition("-")
        some = range(int(first), int(last or first) + 1)
        chosen = chosen.difference(some) if part.startswith("^") else chosen.union(some)
    return tuple(number in chosen for number in range(count))


def _tree(work: Connection, vm: libvirt.virDomain, *, saved: bool) -> Element:
    return parse_for_edit(str(work.call(vm.XMLDesc, _SAVED if saved else 0)), "domain")


def _drop_topology(work: Connection, vm: libvirt.virDomain, maximum: int) -> None:
    """A topology that does not make this maximum would be refused: let QEMU choose one."""
    tree = _tree(work, vm, saved=True)
    if drop_topology(tree, maximum):
        work.call(work.raw.defineXMLFlags, edited(tree), 0)
