"""Where a volume lies, over all hosts: one file may be a volume of several pools."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db.models import Host, Pool, Vm, VmDefinition, Volume
from app.services.storage.pools.same_storage import (
    LOCATED_BY_PATH,
    different_from,
    directories_of,
    directory_of,
    same_storage,
    unverified,
)

HostPath = tuple[str, str]  # a host's id and a path there


@dataclass(frozen=True, slots=True)
class PossibleUser:
    """A VM, or a volume built on it, that names a path at which a volume may lie on its host: maybe the same file."""

    name: str
    host: str
    path: str


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


def paths_of(session: Session, volumes: Collection[Volume]) -> dict[str, set[HostPath]]:
    """By volume id, the hosts and paths at which it surely is."""
    found: dict[str, set[HostPath]] = {}
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
