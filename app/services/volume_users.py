"""Who uses a volume: VMs whose disks it is, volumes that are built on it, images of the library."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import sqlalchemy as sa

from app.core.records import Ref
from app.core.states import ObjectKind
from app.db.models import Image, ImageCopy, Pool, Vm, VmDefinition, Volume
from app.services.context import Ctx


def users_of(ctx: Ctx, volumes: Collection[Volume], *, but: str = "") -> dict[str, list[Ref]]:
    """By volume id, who uses it; the VM with the id `but` does not count.

    A pool that is proven to be shared counts on all hosts that have it. Users that the asker may not see count
    too: what is in use stays in use.
    """
    places = {volume.id: _places(ctx, volume) for volume in volumes}
    found: dict[str, list[Ref]] = {volume.id: [] for volume in volumes}
    hosts = {host_id for each in places.values() for host_id, _ in each}
    by_place: dict[tuple[str, str], list[str]] = {}
    for volume_id, each in places.items():
        for place in each:
            by_place.setdefault(place, []).append(volume_id)
    for place, user in [*_vms(ctx, hosts, but), *_builders(ctx, by_place), *_images(ctx, volumes)]:
        for volume_id in by_place.get(place, ()):
            if user not in found[volume_id] and user.id != volume_id:
                found[volume_id].append(user)
    return found


def _places(ctx: Ctx, volume: Volume) -> set[tuple[str, str]]:
    """Hosts and paths at which this volume is."""
    pool = ctx.session.get_one(Pool, volume.pool_id)
    found = {(pool.host_id, volume.path)}
    if pool.shared_mark:
        query = (
            sa.select(Pool.host_id, Volume.path)
            .join(Volume, Volume.pool_id == Pool.id)
            .where(Pool.shared_mark == pool.shared_mark, Volume.name == volume.name)
        )
        found |= {(row[0], row[1]) for row in ctx.session.execute(query)}
    return found


def _vms(ctx: Ctx, hosts: Iterable[str], but: str) -> Iterator[tuple[tuple[str, str], Ref]]:
    """Disks of VMs, as they run and as they are saved."""
    query = sa.select(Vm.id, Vm.name, Vm.host_id, VmDefinition.parsed, VmDefinition.saved_parsed)
    query = query.join(VmDefinition, VmDefinition.vm_id == Vm.id).where(Vm.host_id.in_(hosts), Vm.id != but)
    named = _named_volumes(ctx, hosts)
    for vm_id, name, host_id, *definitions in ctx.session.execute(query):
        user = Ref(kind=ObjectKind.VM, id=vm_id, name=name)
        for source in {source for each in definitions if each for source in _sources(each)}:
            yield (host_id, named.get((host_id, source), source)), user


def _sources(parsed: dict[str, Any]) -> Iterator[str]:
    for disk in parsed["disks"]:
        if disk["source"]:
            yield disk["source"]


def _named_volumes(ctx: Ctx, hosts: Iterable[str]) -> dict[tuple[str, str], str]:
    """Paths of volumes that definitions may name as `pool/volume`, by host: those that are no files."""
    query = sa.select(Pool.host_id, Pool.name, Volume.name, Volume.path)
    query = query.join(Volume, Volume.pool_id == Pool.id)
    query = query.where(Pool.host_id.in_(hosts), Volume.kind.not_in(("file", "block")))
    return {(row[0], f"{row[1]}/{row[2]}"): row[3] for row in ctx.session.execute(query)}


def _builders(ctx: Ctx, places: Collection[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], Ref]]:
    """Volumes whose backing file is one of these."""
    paths = {path for _, path in places}
    query = sa.select(Volume.id, Volume.name, Volume.backing_path, Pool.host_id)
    query = query.join(Pool, Pool.id == Volume.pool_id).where(Volume.backing_path.in_(paths))
    for volume_id, name, backing_path, host_id in ctx.session.execute(query):
        yield (host_id, str(backing_path)), Ref(kind=ObjectKind.VOLUME, id=volume_id, name=name)


def _images(ctx: Ctx, volumes: Collection[Volume]) -> Iterator[tuple[tuple[str, str], Ref]]:
    """Images of the library that have their file there."""
    names = {volume.name for volume in volumes}
    query = sa.select(ImageCopy.host_id, ImageCopy.path, Image.id, Image.name)
    query = query.join(Image, Image.id == ImageCopy.image_id).where(ImageCopy.volume_name.in_(names))
    for host_id, path, image_id, name in ctx.session.execute(query):
        yield (host_id, path), Ref(kind=ObjectKind.IMAGE, id=image_id, name=name)
