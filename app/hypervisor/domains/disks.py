"""Disks of VMs: grown, and moved to other volumes, also while their VMs run."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import suppress

import libvirt

from app.core.errors import HypervisorRefused, VmGone
from app.core.messages import N_
from app.hypervisor.domains import queries
from app.hypervisor.transport.connection import NO_DEADLINE, Connection
from app.hypervisor.transport.connections import HostConnections
from app.hypervisor.xml.domains.disks import names_any
from app.hypervisor.xml.domains.files import normal
from app.hypervisor.xml.domains.read import parse
from app.hypervisor.xml.domains.repointing import copy_target, disk_at, repointed

_COPY = libvirt.VIR_DOMAIN_BLOCK_COPY_REUSE_EXT | libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB
_SAVED = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
LOOK_EVERY_S = 0.3


class Disks:
    """Verbs on disks, which are named by VM (UUID) and path; definitions may name them by pool and volume.

    `touched` is called when something may have changed.
    """

    def __init__(self, connections: HostConnections, touched: Callable[[], None]) -> None:
        self._connections = connections
        self._touched = touched

    def grow(self, uuid: str, path: str, size_bytes: int) -> None:
        """Make a disk of a running VM larger; the guest sees it at once. Raises VmGone, HypervisorRefused."""
        with self._connections.work() as work:
            vm = queries.find_vm(work, uuid)
            target = _target(work, vm, path)
            work.call(vm.blockResize, target, size_bytes, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
            self._touched()

    def capacity(self, uuid: str, path: str) -> int:
        """Bytes that the guest sees of a disk. Raises VmGone, HypervisorRefused."""
        with self._connections.reads() as reads:
            vm = queries.find_vm(reads, uuid)
            return int(reads.call(vm.blockInfo, _target(reads, vm, path), 0)[0])

    def repoint(self, uuid: str, path: str, to: str, format: str) -> None:
        """Have the lasting definition name another path for a disk; nothing when it names that already.

        Raises VmGone, HypervisorRefused (not_repointed) when the VM, as the host has it afterwards, does not name it,
        or still names the old one.
        """
        with self._connections.work() as work:
            vm = queries.find_vm(work, uuid)
            old, new = _sources(work, path), _sources(work, to)
            before = str(work.call(vm.XMLDesc, _SAVED))
            after = repointed(before, old, to, format)
            if after != before:
                work.call(work.raw.defineXMLFlags, after, 0)
            self._touched()
            if _has_disk(work, vm, old) or not _has_disk(work, vm, new):
                raise HypervisorRefused(
                    N_("The definition of the VM does not name the new volume."),
                    why=N_(
                        "It has another disk in this place, or names this one in a way that Vigie cannot change."
                    ),
                    hint=N_(
                        "Look at the XML of the VM. Both volumes can be there now: delete what it does not name."
                    ),
                    code="not_repointed",
                )

    def is_at(self, uuid: str, path: str) -> bool:
        """Whether the VM, as it runs, has a disk at this path. Raises VmGone."""
        with self._connections.looks() as work:
            xml = str(work.call(queries.find_vm(work, uuid).XMLDesc, 0))
            return disk_at(parse(xml, "domain"), _sources(work, path)) is not None

    def has(self, uuid: str, path: str) -> bool:
        """Whether the VM has a disk at this path, as it runs or as it is saved. Raises VmGone."""
        with self._connections.reads() as reads:
            return _has_disk(reads, queries.find_vm(reads, uuid), _sources(reads, path))

    def vms_with(self, source: str, *, but: str = "", alone: bool = False) -> list[str]:
        """Names of the host's VMs that use a file or volume, as they run or as they are saved, now.

        `source` is its path, or `pool/volume`; definitions may name it either way. `alone`: without those that declare
        it to be shared.
        """
        with self._connections.reads() as reads:
            sources, found = _sources(reads, source), []
            for vm in reads.call(reads.raw.listAllDomains, 0):
                with suppress(VmGone):
                    if vm.UUIDString() != but and _has(reads, vm, sources, alone=alone):
                        found.append(str(vm.name()))
            return sorted(found)

    def stop_copy(self, uuid: str, path: str) -> None:
        """End a copy of a disk that is under way, if there is one: the VM stays where it is. Raises VmGone."""
        with self._connections.work() as work:
            vm = queries.find_vm(work, uuid)
            tree = parse(str(work.call(vm.XMLDesc, 0)), "domain")
            if disk_at(tree, _sources(work, path)) is not None:
                target = _target(work, vm, path)
                if work.call(vm.blockJobInfo, target, 0):
                    work.call(vm.blockJobAbort, target, 0, deadline_s=NO_DEADLINE)

    def copy(self, uuid: str, path: str, to: str, format: str, on_progress: Callable[[int], None]) -> None:
        """Copy a disk of a running VM to a volume that is there, and have the VM go on with the copy.

        `on_progress` gets percent and may raise, which ends the copy and leaves the VM where it was. A copy that
        an earlier try left is ended first. Raises VmGone, HypervisorRefused.
        https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainBlockCopy
        """
        with self._connections.long() as work:
            vm = queries.find_vm(work, uuid)
            target = _target(work, vm, path)
            if work.call(vm.blockJobInfo, target, 0):
                work.call(vm.blockJobAbort, target, 0, deadline_s=NO_DEADLINE)
            work.call(vm.blockCopy, target, copy_target(to, format), {}, _COPY, deadline_s=NO_DEADLINE)
            try:
                while not _is_ready(work, vm, target, on_progress):
                    time.sleep(LOOK_EVERY_S)
                pivot = libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT
                work.call(vm.blockJobAbort, target, pivot, deadline_s=NO_DEADLINE)
            except BaseException:
                with suppress(Exception):
                    work.call(vm.blockJobAbort, target, 0)
                raise
            finally:
                self._touched()


def _sources(reads: Connection, source: str) -> set[str]:
    """What definitions may call this file: its path, or its pool and volume."""
    sources = {normal(source)}
    with suppress(HypervisorRefused):  # it lies in no pool that is on
        if source.startswith("/"):
            volume = reads.call(reads.raw.storageVolLookupByPath, source)
            pool = reads.call(volume.storagePoolLookupByVolume)
        else:
            pool_name, _, name = source.partition("/")
            pool = reads.call(reads.raw.storagePoolLookupByName, pool_name)
            volume = reads.call(pool.storageVolLookupByName, name)
        sources |= {str(reads.call(volume.path)), f"{pool.name()}/{volume.name()}"}
    return sources


def _has_disk(reads: Connection, vm: libvirt.virDomain, sources: Collection[str]) -> bool:
    """Whether a disk of the VM is there, as it runs or as it is saved; what a disk is being copied to does not count."""
    texts = [str(reads.call(vm.XMLDesc, 0)), str(reads.call(vm.XMLDesc, libvirt.VIR_DOMAIN_XML_INACTIVE))]
    return any(disk_at(parse(text, "domain"), sources) is not None for text in texts)


def _has(reads: Connection, vm: libvirt.virDomain, sources: Collection[str], *, alone: bool = False) -> bool:
    texts = [str(reads.call(vm.XMLDesc, 0)), str(reads.call(vm.XMLDesc, libvirt.VIR_DOMAIN_XML_INACTIVE))]
    return any(names_any(text, sources, sharing=not alone) for text in texts)


def _target(work: Connection, vm: libvirt.virDomain, path: str) -> str:
    """The name of the VM's disk at this path, such as vda. Raises HypervisorRefused (no_such_disk)."""
    disk = disk_at(parse(str(work.call(vm.XMLDesc, 0)), "domain"), _sources(work, path))
    target = None if disk is None else disk.find("target")
    if target is None:
        raise HypervisorRefused(
            N_("The VM has no such disk any more."),
            hint=N_("Look at its hardware, and try again."),
            code="no_such_disk",
        )
    return str(target.get("dev"))


def _is_ready(
    work: Connection, vm: libvirt.virDomain, target: str, on_progress: Callable[[int], None]
) -> bool:
    """Whether the copy has caught up. Raises HypervisorRefused (copy_failed) when it ended by itself."""
    info = work.call(vm.blockJobInfo, target, 0)
    if not info:
        raise HypervisorRefused(
            N_("The copy of the disk ended before it was whole."),
            hint=N_("Look at the VM's log on the host: the pool may be full."),
            code="copy_failed",
        )
    done, whole = info["cur"], info["end"]
    on_progress(min(99, 100 * done // whole) if whole else 0)
    if not whole or done < whole:
        return False
    tree = parse(str(work.call(vm.XMLDesc, 0)), "domain")
    return bool(tree.xpath("boolean(devices/disk[target/@dev = $dev]/mirror[@ready = 'yes'])", dev=target))
