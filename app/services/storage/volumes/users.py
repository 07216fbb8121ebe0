"""Who uses a volume: VMs whose disks it is, volumes that are built on it, images of the library."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.access.context import Ctx
from app.access.find import known
from app.core.errors import Conflict
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.records import Ref
from app.db.models import Image, ImageCopy, Pool, Vm, VmDefinition, Volume
from app.services.storage.volumes.locations import (
    HostPath,
    PossibleUser,
    paths_of,
    possible_users,
    volumes_named,
)

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
    session: Session,
    volumes: Collection[Volume],
    *,
    but: str = "",
    host_id: str | None = None,
    sharing: bool = True,
) -> dict[str, list[Ref]]:
    """As `users_of`, without an asker. `sharing`: VMs count, too, that declare the volume to be shared."""
    places = paths_of(session, volumes)
    if host_id is not None:
        places = {key: {place for place in item if place[0] == host_id} for key, item in places.items()}
    found: dict[str, list[Ref]] = {volume.id: [] for volume in volumes}
    hosts = {place[0] for item in places.values() for place in item}
    by_place: dict[HostPath, list[str]] = {}
    for volume_id, item in places.items():
        for place in item:
            by_place.setdefault(place, []).append(volume_id)
    vms = _vms(session, hosts, but, sharing=sharing)
    for place, user in [*vms, *dependents_of(session, by_place, volumes)]:
        for volume_id in by_place.get(place, ()):
            if user not in found[volume_id] and user.id != volume_id:
                found[volume_id].append(user)
    return found


def in_the_way_of_writing(ctx: Ctx, volume: Volume, *, shared: bool) -> list[str]:
    """Names of those because of whom one more VM may not write to a volume, on all hosts that surely have it.

    `shared`: others that declare it to be shared do not count.
    """
    return [user.name for user in users_at(ctx.session, [volume], sharing=not shared)[volume.id]]


def possible_users_of(ctx: Ctx, volumes: Collection[Volume]) -> dict[str, list[PossibleUser]]:
    """By volume id, who on other hosts uses it if the pools are the same storage, which nobody knows."""
    return {
        volume.id: possible_users(ctx.session, known(ctx, Pool, volume.pool_id), volume) for volume in volumes
    }


@dataclass(frozen=True, slots=True)
class VolumeUse:
    """Names of who uses a volume, as far as the inventory knows, and where it is."""

    users: tuple[str, ...] = ()
    places: frozenset[HostPath] = frozenset()


def check_again(session: Session, host_id: str, pool_uuid: str, name: str, but_uuid: str) -> VolumeUse:
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
    return VolumeUse(tuple(names), frozenset(paths_of(session, [volume])[volume.id]))


def use_at(session: Session, host_id: str, source: str, but_uuid: str, *, alone: bool = False) -> VolumeUse:
    """Who uses what a definition calls so, a path, or pool and volume; the VM of that UUID does not count.

    Possible users are included. A file that is no volume has one place. `alone` leaves out VMs that declare it to be
    shared.
    """
    pool, _, name = source.partition("/")
    query = sa.select(Volume).join(Pool, Pool.id == Volume.pool_id).where(Pool.host_id == host_id)
    named = sa.or_(Volume.path == source, sa.and_(Pool.name == pool, Volume.name == name))
    volume = session.scalar(query.where(named).limit(1))
    if volume is None:
        return VolumeUse(places=frozenset({(host_id, source)}))
    but = session.scalar(sa.select(Vm.id).where(Vm.host_id == host_id, Vm.uuid == but_uuid)) or ""
    names = [user.name for user in users_at(session, [volume], but=but, sharing=not alone)[volume.id]]
    return _use(session, volume, names)


def volume_at(session: Session, host_id: str, path: str) -> tuple[str, str] | None:
    """The pool's UUID and the name of the volume that a host has at this path."""
    query = sa.select(Pool.uuid, Volume.name).join(Volume, Volume.pool_id == Pool.id)
    row = session.execute(query.where(Pool.host_id == host_id, Volume.path == path).limit(1)).one_or_none()
    return None if row is None else (row[0], row[1])


def why_possible(ctx: Ctx, volume: Volume, user: PossibleUser) -> str:
    """Why a volume may be in use on another host."""
    pool = known(ctx, Pool, volume.pool_id)
    return ctx.say(POSSIBLE_WHY, {"user": user.name, "host": user.host, "path": user.path, "pool": pool.name})


def refuse_possibly_used(ctx: Ctx, volume: Volume) -> None:
    """Raise Conflict (volume_may_be_in_use) while something on another host may use it."""
    for user in possible_users_of(ctx, [volume])[volume.id]:
        raise Conflict(
            N_("The volume may be in use on another host."),
            why=why_possible(ctx, volume, user),
            hint=POSSIBLE_HINT,
            code="volume_may_be_in_use",
        )


def _vms(
    session: Session, hosts: Iterable[str], but: str, *, sharing: bool
) -> Iterator[tuple[HostPath, Ref]]:
    """What VMs name, as they run and as they are saved. `sharing`: also what they declare to be shared."""
    query = sa.select(Vm.id, Vm.name, Vm.host_id, VmDefinition.parsed, VmDefinition.saved_parsed)
    query = query.join(VmDefinition, VmDefinition.vm_id == Vm.id).where(Vm.host_id.in_(hosts), Vm.id != but)
    rows = session.execute(query).all()
    named: dict[HostPath, str] | None = None
    for vm_id, name, host_id, *definitions in rows:
        user = Ref(kind=ObjectKind.VM, id=vm_id, name=name)
        uses = (use for definition in definitions if definition for use in definition["files"])
        for source in {use["source"] for use in uses if sharing or not use["shared"]}:
            if not source.startswith("/") and named is None:
                named = _named_volumes(session, hosts)
            yield (host_id, (named or {}).get((host_id, source), source)), user


def _named_volumes(session: Session, hosts: Iterable[str]) -> dict[HostPath, str]:
    """Paths of volumes as definitions may name them, `pool/volume`, by host."""
    query = sa.select(Pool.host_id, Pool.name, Volume.name, Volume.path)
    query = query.join(Volume, Volume.pool_id == Pool.id)
    query = query.where(Pool.host_id.in_(hosts))
    return {(row[0], f"{row[1]}/{row[2]}"): row[3] for row in session.execute(query)}


def dependents_of(
    session: Session, places: Collection[HostPath], volumes: Collection[Volume]
) -> Iterator[tuple[HostPath, Ref]]:
    """Volumes that are built on these, which lie at `places`, and images that are these; and at which place."""
    yield from _builders(session, places)
    yield from _images(session, volumes)


def dependents(session: Session, host_id: str, sources: Collection[str]) -> dict[str, list[str]]:
    """Who would be harmed if a VM wrote to these: the volumes that are built on them, and images of the library.

    By name, those of a host's volumes with these paths, or called `pool/volume`, that must not change, with the names
    of what depends on them on any host that surely has the same storage.
    """
    found: dict[str, list[str]] = {}
    for volume, _ in volumes_named(session, host_id, sources):
        places = paths_of(session, [volume])[volume.id]
        users = {user.name for place, user in dependents_of(session, places, [volume]) if place in places}
        if users:
            found[volume.name] = sorted(users)
    return found


def _builders(session: Session, places: Collection[HostPath]) -> Iterator[tuple[HostPath, Ref]]:
    """Volumes whose backing file is one of these."""
    paths = {path for _, path in places}
    query = sa.select(Volume.id, Volume.name, Volume.backing_path, Pool.host_id)
    query = query.join(Pool, Pool.id == Volume.pool_id).where(Volume.backing_path.in_(paths))
    for volume_id, name, backing_path, host_id in session.execute(query):
        yield (host_id, str(backing_path)), Ref(kind=ObjectKind.VOLUME, id=volume_id, name=name)


def _images(session: Session, volumes: Collection[Volume]) -> Iterator[tuple[HostPath, Ref]]:
    """Images of the library that have their file there."""
    names = {volume.name for volume in volumes}
    query = sa.select(ImageCopy.host_id, ImageCopy.path, Image.id, Image.name)
    query = query.join(Image, Image.id == ImageCopy.image_id).where(ImageCopy.volume_name.in_(names))
    for host_id, path, image_id, name in session.execute(query):
        yield (host_id, path), Ref(kind=ObjectKind.IMAGE, id=image_id, name=name)
