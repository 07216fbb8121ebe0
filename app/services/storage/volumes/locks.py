"""What tasks lock of volumes: each by its name, through every pool that is or may be the same storage."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.casefold import fold
from app.core.vms.config import DiskPlan
from app.db.models import ImageCopy, Pool
from app.hypervisor.xml.domains.files import normal
from app.services.storage.pools.same_storage import directory_of, same_storage, unverified
from app.services.storage.volumes.locations import volumes_named
from app.tasks.operation import Locks


def name_lock(pool: Pool, name: str) -> str:
    """The name by which tasks hold a volume of this pool, whether it exists or is to be made."""
    return f"{pool.id}/volume/{fold(name)}"


def locks_of(session: Session, pool: Pool, name: str) -> set[str]:
    """What a task holds that names this volume: it, through every pool that is or may be the same storage."""
    locks = {name_lock(item, name) for item in same_storage(session, pool)}
    return locks | {f"{directory_of(item)}/volume/{fold(name)}" for item in unverified(session, pool)}


def disk_locks(session: Session, host_id: str, disks: Iterable[DiskPlan]) -> Locks:
    """What a task holds that gives a VM these disks. Images, and what is only read, are shared."""
    locks = Locks()
    for disk in disks:
        if disk.new is not None:
            locks.holds |= _locks_in(session, host_id, disk.new.pool, disk.new.name, locks)
            locks.reads |= path_locks(
                session, host_id, {disk.new.clone_of or "", disk.new.backing_path or ""}
            )
        if disk.fetch is not None:
            locks.reads |= {disk.fetch.image_id}
            locks.reads |= _locks_in(session, host_id, disk.fetch.pool, disk.fetch.name, locks)
        source = disk.path or (f"{disk.pool}/{disk.volume}" if disk.pool and disk.volume else "")
        found = path_locks(session, host_id, {source})
        if disk.readonly or disk.device == "cdrom":
            locks.reads |= found
        elif disk.shareable:
            locks.reads |= found | _started(found)
            locks.apart |= _copied(found)
        else:
            locks.holds |= found
    return locks


def _locks_in(session: Session, host_id: str, pool_uuid: str, name: str, locks: Locks) -> set[str]:
    pool = session.scalars(sa.select(Pool).where(Pool.host_id == host_id, Pool.uuid == pool_uuid)).one()
    locks.reads.add(pool.id)
    return locks_of(session, pool, name)


def path_locks(session: Session, host_id: str, sources: Collection[str]) -> set[str]:
    """Locks of the volumes that a host knows by these paths, or as `pool/volume`, and of images that lie there."""
    wanted = {normal(source) for source in sources if source}
    if not wanted:
        return set()
    locks: set[str] = set()
    for volume, pool in volumes_named(session, host_id, wanted):
        locks |= locks_of(session, pool, volume.name)
    images = sa.select(ImageCopy.image_id).where(ImageCopy.host_id == host_id, ImageCopy.path.in_(wanted))
    return locks | set(session.scalars(images))


def copy_locks(session: Session, host_id: str, paths: Collection[str]) -> Locks:
    """What a task holds that copies these volumes, or builds on them: others may do so too, but no VM starts on them."""
    read = path_locks(session, host_id, paths)
    return Locks(reads=read | _copied(read), apart=_started(read))


def start_locks(session: Session, host_id: str, alone: Collection[str], together: Collection[str]) -> Locks:
    """What a task holds that starts a VM which writes to these disks.

    Nobody copies them meanwhile. VMs that share a disk start at the same time.
    """
    held, shared = path_locks(session, host_id, alone), path_locks(session, host_id, together)
    return Locks(holds=held, reads=shared | _started(shared), apart=_copied(shared))


def _copied(locks: Collection[str]) -> set[str]:
    return {f"{lock}/copied" for lock in locks}


def _started(locks: Collection[str]) -> set[str]:
    return {f"{lock}/started" for lock in locks}
