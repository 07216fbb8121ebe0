"""Where a volume lies, over all hosts: one file may be a volume of several pools."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.casefold import fold
from app.core.vms.config import DiskPlan
from app.db.models import Host, ImageCopy, Pool, Vm, VmDefinition, Volume
from app.hypervisor.xml.domains.files import normal
from app.services.storage.pools.same_storage import (
    LOCATED_BY_PATH,
    different_from,
    directories_of,
    directory_of,
    same_storage,
    unverified,
)
from app.tasks.operation import Locks

Place = tuple[str, str]  # a host's id and a path there


@dataclass(frozen=True, slots=True)
class PossibleUser:
    """A VM, or a volume built on it, that names a path at which a volume may lie on its host: maybe the same file."""

    name: str
    host: str
    path: str


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


def volumes_named(session: Session, host_id: str, sources: Collection[str]) -> list[tuple[Volume, Pool]]:
    """The volumes that a host knows by these paths, or as `pool/volume`, and their pools."""
    query = sa.select(Volume, Pool).join(Pool, Pool.id == Volume.pool_id).where(Pool.host_id == host_id)
    by_name = [
        sa.and_(Pool.name == pool, Volume.name == name)
        for pool, _, name in (source.partition("/") for source in sources)
        if pool and name
    ]
    rows = session.execute(query.where(sa.or_(Volume.path.in_(sources), *by_name)))
    return [(volume, pool) for volume, pool in rows]


def places_of(session: Session, volumes: Collection[Volume]) -> dict[str, set[Place]]:
    """By volume id, the hosts and paths at which it surely is."""
    found: dict[str, set[Place]] = {}
    for pool_id in {item.pool_id for item in volumes}:
        here = [item for item in volumes if item.pool_id == pool_id]
        pool = session.get_one(Pool, pool_id)
        others = [item for item in same_storage(session, pool) if item.id != pool.id]
        listed = _paths(session, others, {item.name for item in here}) if others else {}
        for volume in here:
            places = found[volume.id] = {(pool.host_id, volume.path)}
            for other in others:
                path = listed.get((other.id, volume.name)) or _path_in(other, volume.name)
                if path:
                    places.add((other.host_id, path))
    return found


def _paths(session: Session, pools: Collection[Pool], names: Collection[str]) -> dict[tuple[str, str], str]:
    query = sa.select(Volume.pool_id, Volume.name, Volume.path).where(
        Volume.pool_id.in_([pool.id for pool in pools]), Volume.name.in_(names)
    )
    return {(row[0], row[1]): row[2] for row in session.execute(query)}


def _path_in(pool: Pool, name: str) -> str | None:
    """Where a pool has a volume of this name, if it has one that was not listed yet."""
    if not pool.target_path or pool.kind not in LOCATED_BY_PATH:
        return None
    return f"{directory_of(pool)}/{name}"


def possible_users(session: Session, pool: Pool, volume: Volume) -> list[PossibleUser]:
    """Who names the path of a volume, at this pool or at one that is the same, where nobody knows what lies there.

    It is known of a host only where that has a pool at this very path, which is the same or was found different.
    """
    same, maybe = same_storage(session, pool), unverified(session, pool)
    different = session.scalars(sa.select(Pool).where(Pool.id.in_(different_from(same)))).all()
    known = directories_of([*same, *different])
    found: list[PossibleUser] = []
    for directory in directories_of(same):
        path = volume.path if directory == directory_of(pool) else f"{directory}/{volume.name}"
        names = {f"{item.name}/{volume.name}" for item in maybe if directory_of(item) == directory}
        found += _vms_naming(session, path, names, known[directory])
        found += _built_on(session, path, known[directory])
    return list(dict.fromkeys(found))


def _vms_naming(session: Session, path: str, names: set[str], known: Collection[str]) -> list[PossibleUser]:
    """VMs of other than the known hosts that name this path, or one of these (`pool/volume`)."""
    sources = {path, *names}
    query = sa.select(Vm.name, Host.name, VmDefinition.parsed, VmDefinition.saved_parsed)
    query = query.join(Host, Host.id == Vm.host_id).join(VmDefinition, VmDefinition.vm_id == Vm.id)
    texts = [sa.cast(item, sa.Text) for item in (VmDefinition.parsed, VmDefinition.saved_parsed)]
    mentioned = [text.contains(json.dumps(source), autoescape=True) for source in sources for text in texts]
    query = query.where(Vm.host_id.not_in(known), sa.or_(*mentioned)).order_by(Host.name_key, Vm.name_key)
    return [
        PossibleUser(vm, host, path)
        for vm, host, *definitions in session.execute(query)
        if any(
            use["source"] in sources
            for definition in definitions
            if definition
            for use in definition["files"]
        )
    ]


def _built_on(session: Session, path: str, known: Collection[str]) -> list[PossibleUser]:
    """Volumes of other than the known hosts whose backing file has this path."""
    query = sa.select(Volume.name, Host.name).join(Pool, Pool.id == Volume.pool_id)
    query = query.join(Host, Host.id == Pool.host_id)
    query = query.where(Volume.backing_path == path, Host.id.not_in(known))
    return [PossibleUser(name, host, path) for name, host in session.execute(query)]
