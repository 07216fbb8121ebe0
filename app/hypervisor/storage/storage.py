"""Storage of a host: what is done with pools and volumes. Pools are named by UUID or name, volumes by pool and name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import libvirt

from app.core.errors import HypervisorRefused, PoolBusy
from app.core.messages import N_
from app.core.storage.observations import VolumeObservation
from app.core.storage.pools import FILE_POOLS, PoolSpec
from app.core.vms.config import VolumePlan
from app.hypervisor import sent_commands
from app.hypervisor.storage.queries import saved_pool
from app.hypervisor.transport.connection import NO_DEADLINE, Connection
from app.hypervisor.transport.connections import HostConnections
from app.hypervisor.transport.transport_loop import link_loop
from app.hypervisor.xml.domains import read
from app.hypervisor.xml.pools import pool_xml
from app.hypervisor.xml.volumes import volume_xml

CHUNK = 256 * 1024
READ_DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class VolumeHead:
    """A volume with how many bytes its file has, and the first of them."""

    volume: VolumeObservation
    stored_bytes: int
    head: bytes


class Storage:
    """Verbs on pools and volumes. Raises `core.errors`: HypervisorRefused with no_such_pool, no_such_volume."""

    def __init__(self, connections: HostConnections) -> None:
        self._connections = connections
        self.changes = 0  # how often something was changed: a listing that was begun before is old news

    def has_pool(self, uuid: str) -> bool:
        """Whether the host has a pool of this UUID."""
        with self._connections.looks() as work:
            try:
                _pool(work, uuid)
            except HypervisorRefused as error:
                if error.code != "no_such_pool":
                    raise
                return False
            return True

    def is_pool_active(self, uuid: str) -> bool:
        """Whether a pool runs. Raises HypervisorRefused (no_such_pool)."""
        with self._connections.work() as work:
            return bool(work.call(_pool(work, uuid).isActive))

    def define_pool(self, spec: PoolSpec, uuid: str) -> None:
        """Define a pool. Raises HypervisorRefused."""
        self.changes += 1
        with self._connections.work() as work:
            work.call(work.raw.storagePoolDefineXML, pool_xml(spec, uuid), 0)

    def definition_of(self, uuid: str) -> str:
        """The lasting definition of a pool, as the mirror keeps it. Raises HypervisorRefused (no_such_pool)."""
        with self._connections.looks() as work:
            return read.read_pool(saved_pool(work, _pool(work, uuid)))[2]

    def redefine_pool(self, xml: str) -> None:
        """Have this text, of a pool that there is and that is off, as its definition. Raises HypervisorRefused."""
        self.changes += 1
        with self._connections.work() as work:
            work.call(work.raw.storagePoolDefineXML, xml, 0)

    def start_pool(self, uuid: str, *, build: bool) -> None:
        """Start a pool that is off. `build` makes its directory or mount point first; it never formats anything."""
        self.changes += 1
        with self._connections.long() as work:
            pool = _pool(work, uuid)
            if work.call(pool.isActive):
                return
            kind = read.read_pool(work.call(pool.XMLDesc, 0))[0]
            if build and kind in ("dir", "netfs", "fs"):
                flags = libvirt.VIR_STORAGE_POOL_BUILD_NEW
                work.call(pool.build, flags, deadline_s=NO_DEADLINE)
            work.call(pool.create, 0, deadline_s=NO_DEADLINE)

    def stop_pool(self, uuid: str) -> None:
        """Stop a pool; nothing it holds is touched. Raises HypervisorRefused, PoolBusy."""
        self.changes += 1
        with self._connections.long() as work:
            pool = _pool(work, uuid)
            if work.call(pool.isActive):
                with _telling_busy(work, pool):
                    work.call(pool.destroy, deadline_s=NO_DEADLINE)

    def set_autostart(self, uuid: str, on: bool) -> None:
        """Have it started with its host, or not."""
        self.changes += 1
        with self._connections.work() as work:
            work.call(_pool(work, uuid).setAutostart, int(on))

    def remove_pool(self, uuid: str) -> None:
        """Stop a pool and remove its definition; no error when there is none."""
        if not self.has_pool(uuid):
            return
        self.stop_pool(uuid)
        self.changes += 1
        with self._connections.work() as work:
            work.call(_pool(work, uuid).undefine)

    def find_volume(self, pool: str, name: str) -> VolumeObservation | None:
        """One volume; None when the pool has none of that name. Raises HypervisorRefused (no_such_pool)."""
        with self._connections.reads() as reads:
            found = _pool(reads, pool)
            try:
                volume = reads.call(found.storageVolLookupByName, name)
            except HypervisorRefused as error:
                if error.code != "no_such_volume":
                    raise
                return None
            return read.read_volume(reads.call(volume.XMLDesc, 0))

    def find_path(self, path: str) -> VolumeObservation | None:
        """The volume at this path; None when no pool has it. Raises HypervisorRefused."""
        with self._connections.reads() as reads:
            try:
                volume = reads.call(reads.raw.storageVolLookupByPath, path)
            except HypervisorRefused as error:
                if error.code != "no_such_volume":
                    raise
                return None
            return read.read_volume(reads.call(volume.XMLDesc, 0))

    def locate(self, path: str) -> tuple[str, VolumeObservation]:
        """The UUID of the pool in which this path is a volume, and the volume. Raises HypervisorRefused."""
        with self._connections.reads() as reads:
            volume = reads.call(reads.raw.storageVolLookupByPath, path)
            pool = reads.call(volume.storagePoolLookupByVolume)
            return pool.UUIDString(), read.read_volume(reads.call(volume.XMLDesc, 0))

    def read_head(self, pool: str, name: str, length: int) -> VolumeHead | None:
        """A volume with its first bytes, as they are now; None when there is none of that name.

        A volume that its storage shows to nobody (Ceph) has no bytes here. Raises HypervisorRefused.
        """
        with self._connections.stream() as own:
            try:
                volume = own.call(_pool(own, pool).storageVolLookupByName, name)
            except HypervisorRefused as error:
                if error.code != "no_such_volume":
                    raise
                return None
            xml = own.call(volume.XMLDesc, 0)
            seen = read.read_volume(xml)
            stored = read.physical_bytes(xml)
            stored = seen.capacity_bytes if stored is None else stored
            is_read = seen.kind in ("file", "block")
            head = b"".join(_chunks(own, volume, min(length, stored))) if is_read else b""
            return VolumeHead(seen, stored, head)

    def is_link(self, path: str) -> bool | None:
        """Whether the file of a volume is a symbolic link; None where the host's files cannot be looked at."""
        try:
            return link_loop().run(self._connections.link.is_symlink(path), READ_DEADLINE_S)
        except TimeoutError:
            return None

    def broken_files(self, directory: str) -> list[str] | None:
        """Names of a directory's files by which libvirt fails to read it; None where they cannot be looked at."""
        try:
            return link_loop().run(self._connections.link.broken_images(directory), READ_DEADLINE_S)
        except TimeoutError:
            return None

    def directory_of(self, uuid: str) -> str | None:
        """The directory of a pool of files, also when it is off. Raises HypervisorRefused (no_such_pool)."""
        with self._connections.reads() as reads:
            kind, path, _ = read.read_pool(reads.call(_pool(reads, uuid).XMLDesc, 0))
            return path if kind in FILE_POOLS else None

    def is_being_created(self, pool: str, name: str) -> bool:
        """Whether the host still works on creating the volume, such as on a copy that a lost connection asked for."""
        try:
            for _ in self.read_volume(pool, name, 1):
                return False
        except HypervisorRefused as error:
            if error.code not in ("wrong_state", "no_such_volume"):
                raise
            return error.code == "wrong_state"
        return False

    def create_volume(self, plan: VolumePlan) -> VolumeObservation:
        """Make a volume, a copy as large as its original; takes as long as it takes when it is cloned or preallocated.

        Raises HypervisorRefused, also with volume_exists.
        """
        self.changes += 1
        flags = 0
        if plan.preallocate and plan.format == "qcow2":
            flags = libvirt.VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA
        self._refuse_link(plan)
        with self._connections.long() as work:
            pool = _pool(work, plan.pool)
            if plan.clone_of:
                origin = work.call(work.raw.storageVolLookupByPath, plan.clone_of)
                volume = work.call(
                    pool.createXMLFrom, volume_xml(plan), origin, flags, deadline_s=NO_DEADLINE
                )
            else:
                volume = work.call(pool.createXML, volume_xml(plan), flags, deadline_s=NO_DEADLINE)
            return read.read_volume(work.call(volume.XMLDesc, 0))

    def delete_volume(self, pool: str, name: str) -> None:
        """Delete a volume; no error when there is none of that name."""
        self._on_volume(pool, name, lambda volume: volume.delete(0))

    def resize_volume(self, pool: str, name: str, size_bytes: int, *, shrink: bool) -> None:
        """Give a volume that nothing runs on another size. Raises HypervisorRefused."""
        self.changes += 1
        flags = libvirt.VIR_STORAGE_VOL_RESIZE_SHRINK if shrink else 0
        with self._connections.long() as work:
            volume = work.call(_pool(work, pool).storageVolLookupByName, name)
            work.call(volume.resize, size_bytes, flags, deadline_s=NO_DEADLINE)

    def wipe_volume(self, pool: str, name: str) -> None:
        """Overwrite a volume with zeros. Raises HypervisorRefused."""
        self.changes += 1
        with self._connections.long() as work:
            volume = work.call(_pool(work, pool).storageVolLookupByName, name)
            work.call(volume.wipe, 0, deadline_s=NO_DEADLINE)

    def refresh(self, pool: str) -> None:
        """Have the host read the pool anew, so that it knows sizes and formats of its files.

        Raises HypervisorRefused, PoolBusy.
        """
        self.changes += 1
        with self._connections.long() as work:
            found = _pool(work, pool)
            with _telling_busy(work, found):
                work.call(found.refresh, 0, deadline_s=NO_DEADLINE)

    def write_volume(self, pool: str, name: str, data: bytes, offset: int = 0) -> None:
        """Write a part of a volume. Raises HypervisorRefused."""
        sent_commands.sending()
        with self._connections.stream() as own:
            volume = own.call(_pool(own, pool).storageVolLookupByName, name)
            stream = own.raw.newStream(0)
            own.call(volume.upload, stream, offset, len(data), 0)
            try:
                for start in range(0, len(data), CHUNK):
                    part = data[start : start + CHUNK]
                    while part:
                        part = part[own.call(stream.send, part) :]
                own.call(stream.finish)
            except BaseException:
                with suppress(Exception):
                    own.call(stream.abort)
                raise

    def stored_bytes(self, pool: str, name: str) -> int | None:
        """Length of the file or device, which of a sparse format is less than the disk in it; None when not known.

        Raises HypervisorRefused.
        """
        with self._connections.reads() as reads:
            volume = reads.call(_pool(reads, pool).storageVolLookupByName, name)
            xml = reads.call(volume.XMLDesc, 0)
            physical = read.physical_bytes(xml)
            return physical if physical is not None else read.read_volume(xml).capacity_bytes

    def read_volume(self, pool: str, name: str, length: int, offset: int = 0) -> Iterator[bytes]:
        """A part of a volume, in chunks; less when it ends before. Raises HypervisorRefused."""
        with self._connections.stream() as own:
            volume = own.call(_pool(own, pool).storageVolLookupByName, name)
            yield from _chunks(own, volume, length, offset)

    def read_tail(self, pool: str, name: str, length: int, size_bytes: int) -> bytes:
        """The last bytes of a volume that has so many. Raises HypervisorRefused."""
        length = min(length, size_bytes)
        return b"".join(self.read_volume(pool, name, length, size_bytes - length))

    def _refuse_link(self, plan: VolumePlan) -> None:
        """A link that leads nowhere is no volume to libvirt, and what is made by its name would lie elsewhere."""
        directory = self.directory_of(plan.pool)
        if directory is not None and self.is_link(f"{directory}/{plan.name}"):
            raise HypervisorRefused(
                N_("The pool has a symbolic link of this name."),
                hint=N_("Remove the link on the host, or choose another name for the volume."),
                code="volume_is_link",
            )

    def _on_volume(self, pool: str, name: str, act: Callable[[libvirt.virStorageVol], object]) -> None:
        self.changes += 1
        with self._connections.long() as work:
            try:
                volume = work.call(_pool(work, pool).storageVolLookupByName, name)
                work.call(act, volume, deadline_s=NO_DEADLINE)
            except HypervisorRefused as error:
                if error.code != "no_such_volume":
                    raise


def _pool(connection: Connection, name: str) -> libvirt.virStoragePool:
    """The pool of that UUID, else of that name. Raises HypervisorRefused (no_such_pool)."""
    try:
        found: libvirt.virStoragePool = connection.call(connection.raw.storagePoolLookupByUUIDString, name)
    except HypervisorRefused as error:
        if error.code not in ("no_such_pool", "invalid_argument"):
            raise
        found = connection.call(connection.raw.storagePoolLookupByName, name)
    return found


@contextmanager
def _telling_busy(connection: Connection, pool: libvirt.virStoragePool) -> Iterator[None]:
    """Raise PoolBusy for libvirt's refusal to read or stop a pool in which it makes a volume.

    That refusal has no code of its own and its text may be in any language; but only after it does the pool still run.
    """
    try:
        yield
    except HypervisorRefused as error:
        if error.code != HypervisorRefused.code or not connection.call(pool.isActive):
            raise
        raise PoolBusy(
            N_("The storage pool is busy: the host is making a volume in it."),
            hint=N_("Try again when that has ended."),
            detail=error.detail,
        ) from error


def _chunks(
    connection: Connection, volume: libvirt.virStorageVol, length: int, offset: int = 0
) -> Iterator[bytes]:
    """A part of a volume, as it comes; less when it ends before."""
    stream = connection.raw.newStream(0)
    connection.call(volume.download, stream, offset, length, 0)
    try:
        while chunk := connection.call(stream.recv, CHUNK):
            yield chunk
        connection.call(stream.finish)
    except BaseException:
        with suppress(Exception):
            connection.call(stream.abort)
        raise
