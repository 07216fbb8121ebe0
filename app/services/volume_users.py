"""Who uses a volume: VMs whose disks it is, volumes that are built on it, images of the library."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.errors import Conflict
from app.core.messages import N_
from app.core.records import Ref
from app.core.states import ObjectKind
from app.db.models import Image, ImageCopy, Pool, Vm, VmDefinition, Volume
from app.hypervisor.xml.disks import written_alone
from app.hypervisor.xml.read import UnreadableXml
from app.services.context import Ctx
from app.services.volume_places import Place, PossibleUser, places_of, possible_users, same_storage

POSSIBLE_WHY = N_(
    "%(user)s on host %(host)s uses %(path)s. It is not known whether pool %(pool)s is the same storage there."
)
POSSIBLE_HINT = N_("Have it found out which hosts share the pool (in the pool's menu), then try again.")


def users_of(
    ctx: Ctx, volumes: Collection[Volume], *, but: str = "", host_id: str | None = None
) -> dict[str, list[Ref]]:
    """By volume id, who uses it; the VM with the id `but` does not count.

    Storage that hosts share counts on all of them, or on one. Users that the asker may not see count too: what is in
    use stays in use.
    """
    return users_at(ctx.session, volumes, but=but, host_id=host_id)


def users_at(
    session: Session, volumes: Collection[Volume], *, but: str = "", host_id: str | None = None
) -> dict[str, list[Ref]]:
    """As `users_of`, without an asker."""
    places = places_of(session, volumes)
    if host_id is not None:
        places = {key: {place for place in each if place[0] == host_id} for key, each in places.items()}
    found: dict[str, list[Ref]] = {volume.id: [] for volume in volumes}
    hosts = {place[0] for each in places.values() for place in each}
    by_place: dict[Place, list[str]] = {}
    for volume_id, each in places.items():
        for place in each:
            by_place.setdefault(place, []).append(volume_id)
    vms = _vms(session, hosts, but)
    for place, user in [*vms, *_builders(session, by_place), *_images(session, volumes)]:
        for volume_id in by_place.get(place, ()):
            if user not in found[volume_id] and user.id != volume_id:
                found[volume_id].append(user)
    return found


def writers_of(ctx: Ctx, volume: Volume, *, alone: bool = False) -> list[str]:
    """Names of the VMs, of all hosts that surely have the volume, that have it as a disk to write to.

    `alone`: only those that do not declare it to be shared.
    """
    return _writers(ctx.session, volume, "", alone=alone)


def _writers(session: Session, volume: Volume, but: str, *, alone: bool) -> list[str]:
    places = places_of(session, [volume])[volume.id]
    vms = _vms(session, {host for host, _ in places}, but, writing=True)
    found = {user.id: user.name for place, user in vms if place in places}
    if alone:
        pools = same_storage(session, session.get_one(Pool, volume.pool_id))
        sources = {*(path for _, path in places), *(f"{pool.name}/{volume.name}" for pool in pools)}
        found = {key: name for key, name in found.items() if _writes_alone(session, key, sources)}
    return list(dict.fromkeys(found.values()))


def _writes_alone(session: Session, vm_id: str, sources: Collection[str]) -> bool:
    """Whether a VM, as it runs or as it is saved, has a disk with one of these sources and does not share it."""
    definition = session.get_one(VmDefinition, vm_id)
    texts = [text for text in (definition.xml, definition.saved_xml) if text]
    try:
        return any(source in sources for text in texts for source in written_alone(text))
    except UnreadableXml:
        return True


def possible_users_of(ctx: Ctx, volumes: Collection[Volume]) -> dict[str, list[PossibleUser]]:
    """By volume id, who on other hosts uses it if the pools are the same storage, which nobody knows."""
    return {
        volume.id: possible_users(ctx.session, ctx.session.get_one(Pool, volume.pool_id), volume)
        for volume in volumes
    }


@dataclass(frozen=True, slots=True)
class VolumeUse:
    """Names of who uses a volume, as far as the inventory knows, and where it is."""

    users: tuple[str, ...] = ()
    places: frozenset[Place] = frozenset()


def look_again(session: Session, host_id: str, pool_uuid: str, name: str, but_uuid: str) -> VolumeUse:
    """Who uses a volume of a host by now, possible users included; the VM of that UUID does not count."""
    query = sa.select(Volume).join(Pool, Pool.id == Volume.pool_id)
    volume = session.scalar(query.where(Pool.host_id == host_id, Pool.uuid == pool_uuid, Volume.name == name))
    if volume is None:
        return VolumeUse()
    vms = sa.select(Vm.id).where(Vm.uuid == but_uuid).order_by(Vm.host_id != host_id)
    but = session.scalar(vms.limit(1)) or ""
    names = [user.name for user in users_at(session, [volume], but=but)[volume.id]]
    return _use(session, volume, names)


def _use(session: Session, volume: Volume, names: list[str]) -> VolumeUse:
    """Those who surely use a volume, then those who may, and where it is."""
    maybe = possible_users(session, session.get_one(Pool, volume.pool_id), volume)
    names = names + [f"{user.name} ({user.host})" for user in maybe]
    return VolumeUse(tuple(names), frozenset(places_of(session, [volume])[volume.id]))


def vms_at(session: Session, host_id: str, source: str, but_uuid: str, *, alone: bool = False) -> VolumeUse:
    """VMs that have a disk of a host by now, possible ones included; the VM of that UUID does not count.

    `source` is what a definition calls the disk: a path, or pool and volume. A file that is no volume has one place.
    `alone` leaves out those that only read it or declare it to be shared.
    """
    pool, _, name = source.partition("/")
    query = sa.select(Volume).join(Pool, Pool.id == Volume.pool_id).where(Pool.host_id == host_id)
    named = sa.or_(Volume.path == source, sa.and_(Pool.name == pool, Volume.name == name))
    volume = session.scalar(query.where(named).limit(1))
    if volume is None:
        return VolumeUse(places=frozenset({(host_id, source)}))
    but = session.scalar(sa.select(Vm.id).where(Vm.host_id == host_id, Vm.uuid == but_uuid)) or ""
    if alone:
        names = _writers(session, volume, but, alone=True)
    else:
        users = users_at(session, [volume], but=but)[volume.id]
        names = [user.name for user in users if user.kind is ObjectKind.VM]
    return _use(session, volume, names)


def volume_at(session: Session, host_id: str, path: str) -> tuple[str, str] | None:
    """The pool's UUID and the name of the volume that a host has at this path."""
    query = sa.select(Pool.uuid, Volume.name).join(Volume, Volume.pool_id == Pool.id)
    row = session.execute(query.where(Pool.host_id == host_id, Volume.path == path).limit(1)).one_or_none()
    return None if row is None else (row[0], row[1])


def why_possible(ctx: Ctx, volume: Volume, user: PossibleUser) -> str:
    """Why a volume may be in use on another host."""
    pool = ctx.session.get_one(Pool, volume.pool_id)
    return ctx.say(POSSIBLE_WHY, {"user": user.name, "host": user.host, "path": user.path, "pool": pool.name})


def refuse_possibly_used(ctx: Ctx, volume: Volume) -> None:
    """Raise Conflict (volume_may_be_in_use) while something on another host may use it."""
    for user in possible_users_of(ctx, [volume])[volume.id]:
        raise Conflict(
            ctx.translate(N_("The volume may be in use on another host.")),
            why=why_possible(ctx, volume, user),
            hint=ctx.translate(POSSIBLE_HINT),
            code="volume_may_be_in_use",
        )


def _vms(
    session: Session, hosts: Iterable[str], but: str, *, writing: bool = False
) -> Iterator[tuple[Place, Ref]]:
    """Disks of VMs, as they run and as they are saved. `writing`: only those that their VMs may write to."""
    query = sa.select(Vm.id, Vm.name, Vm.host_id, VmDefinition.parsed, VmDefinition.saved_parsed)
    query = query.join(VmDefinition, VmDefinition.vm_id == Vm.id).where(Vm.host_id.in_(hosts), Vm.id != but)
    rows = session.execute(query).all()
    named: dict[Place, str] | None = None
    for vm_id, name, host_id, *definitions in rows:
        user = Ref(kind=ObjectKind.VM, id=vm_id, name=name)
        for source in {source for each in definitions if each for source in _sources(each, writing)}:
            if not source.startswith("/") and named is None:
                named = _named_volumes(session, hosts)
            yield (host_id, (named or {}).get((host_id, source), source)), user


def _sources(parsed: dict[str, Any], writing: bool) -> Iterator[str]:
    for disk in parsed.get("disks", ()):
        if disk["source"] and not (writing and disk["readonly"]):
            yield disk["source"]


def _named_volumes(session: Session, hosts: Iterable[str]) -> dict[Place, str]:
    """Paths of volumes as definitions may name them, `pool/volume`, by host."""
    query = sa.select(Pool.host_id, Pool.name, Volume.name, Volume.path)
    query = query.join(Volume, Volume.pool_id == Pool.id)
    query = query.where(Pool.host_id.in_(hosts))
    return {(row[0], f"{row[1]}/{row[2]}"): row[3] for row in session.execute(query)}


def _builders(session: Session, places: Collection[Place]) -> Iterator[tuple[Place, Ref]]:
    """Volumes whose backing file is one of these."""
    paths = {path for _, path in places}
    query = sa.select(Volume.id, Volume.name, Volume.backing_path, Pool.host_id)
    query = query.join(Pool, Pool.id == Volume.pool_id).where(Volume.backing_path.in_(paths))
    for volume_id, name, backing_path, host_id in session.execute(query):
        yield (host_id, str(backing_path)), Ref(kind=ObjectKind.VOLUME, id=volume_id, name=name)


def _images(session: Session, volumes: Collection[Volume]) -> Iterator[tuple[Place, Ref]]:
    """Images of the library that have their file there."""
    names = {volume.name for volume in volumes}
    query = sa.select(ImageCopy.host_id, ImageCopy.path, Image.id, Image.name)
    query = query.join(Image, Image.id == ImageCopy.image_id).where(ImageCopy.volume_name.in_(names))
    for host_id, path, image_id, name in session.execute(query):
        yield (host_id, path), Ref(kind=ObjectKind.IMAGE, id=image_id, name=name)
