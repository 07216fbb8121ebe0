"""The disks of a new VM: names, buses, volumes to make, and where existing ones are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import known, look_up, unrestricted, visible
from app.core.errors import Conflict, InvalidInput
from app.core.hosts.capabilities import HostCapabilities
from app.core.library.images import ImageFetch
from app.core.library.os_variants import OsVariant
from app.core.messages import N_
from app.core.storage.pools import FILE_POOLS
from app.core.vms import vm_defaults
from app.core.vms.config import DiskPlan, Limits, VolumePlan
from app.core.vms.create.spec import DiskSpec
from app.db.models import Host, Image, ImageCopy, Pool, Volume
from app.services.library.image_copy import fetch_to
from app.services.storage.volumes.checks.content_checks import require_usable
from app.services.storage.volumes.locks import locks_of
from app.services.storage.volumes.names import free_name, is_there
from app.services.storage.volumes.users import in_the_way_of_writing, refuse_possibly_used
from app.services.vms.cloud_init.known_drives import refuse_cloud_init_drive
from app.tasks.locks import require_unlocked

RAW = "raw"
# What QEMU reads; libvirt knows more kinds of files, such as iso, that are raw to it.
DISK_FORMATS = frozenset({RAW, "qcow2", "qed", "vmdk", "vdi", "vpc", "vhdx"})


@dataclass(frozen=True, slots=True)
class Source:
    """A volume that is to be made, and the image that it is made from."""

    plan: VolumePlan
    pool_id: str
    image: Image | None = None
    fetch: ImageFetch | None = None  # how the image comes to the host first


@dataclass(frozen=True, slots=True)
class _Origin:
    """An image's file on the host."""

    image: Image
    path: str
    format: str
    size_bytes: int
    fetch: ImageFetch | None = None


def plan_disks(
    ctx: Ctx,
    disks: Sequence[DiskSpec],
    host: Host,
    vm_name: str,
    *,
    machine: str | None,
    os_variant: OsVariant | None,
    capabilities: HostCapabilities,
    taken: Collection[str] = (),
) -> tuple[list[DiskPlan], list[Source]]:
    """All disks and drives, with the volumes to make for them; `taken` are targets that the VM has already.

    Raises InvalidInput (disks.N.…), Conflict.
    """
    buses = [disk.bus or vm_defaults.disk_bus_for(os_variant, disk.device, machine) for disk in disks]
    _check_buses(disks, buses, capabilities)
    targets = vm_defaults.disk_names(buses, taken)
    plans: list[DiskPlan] = []
    sources: list[Source] = []
    for number, (requested, bus, target) in enumerate(zip(disks, buses, targets, strict=True)):
        where = f"disks.{number}"
        common = _common(requested, bus, target)
        if requested.volume_id is not None:
            plans.append(DiskPlan(**common, **_existing(ctx, host, where, requested)))
        elif requested.device != "disk":
            plans.append(DiskPlan(**common, **_medium(ctx, host, where, requested)))
        else:
            given = [disk.volume_name for disk in disks if disk.volume_name]
            given += [item.plan.name for item in sources]
            source = _new(ctx, host, where, requested, f"{vm_name}-{target}", given)
            sources.append(source)
            plans.append(
                DiskPlan(
                    **common,
                    new=source.plan,
                    format=source.plan.format,
                    fetch=source.fetch,
                    pool_id=source.pool_id,
                    image_id=source.image.id if source.image else None,
                )
            )
    _check_volumes(disks, plans)
    _check_names(sources)
    _check_room(ctx, host, sources)
    return plans, sources


def _common(spec: DiskSpec, bus: str, target: str) -> dict[str, object]:
    """What a disk or drive has whatever lies in it."""
    return {
        "device": spec.device,
        "bus": bus,
        "target": target,
        "cache": spec.cache,
        "io": spec.io,
        "discard": spec.discard,
        # One floppy may be in the drives of many VMs, so none of them writes to it.
        "readonly": spec.readonly or spec.device == "floppy",
        "shareable": spec.shareable,
        "serial": spec.serial,
        "boot_order": spec.boot_order,
        "limits": Limits(
            read_bps=spec.read_bps,
            write_bps=spec.write_bps,
            read_iops=spec.read_iops,
            write_iops=spec.write_iops,
        ),
    }


def volume_on(ctx: Ctx, host: Host, field: str, volume_id: str) -> Volume:
    """A volume of this host. Raises InvalidInput."""
    query = (
        sa.select(Volume, Pool.host_id).join(Pool, Pool.id == Volume.pool_id).where(Volume.id == volume_id)
    )
    row = ctx.session.execute(visible(ctx, query, Volume, "pool.view")).one_or_none()
    if row is None:
        raise InvalidInput(field, N_("names no volume"))
    if row[1] != host.id:
        raise InvalidInput(field, N_("is a volume of another host"))
    found: Volume = row[0]
    refuse_cloud_init_drive(ctx, found)
    return found


def pool_on(ctx: Ctx, host: Host, field: str, *, pool_id: str | None, name: str | None) -> Pool:
    """A running pool of this host, by id or name. Raises InvalidInput."""
    query = sa.select(Pool).where(
        Pool.id == pool_id if pool_id else sa.and_(Pool.name == name, Pool.host_id == host.id)
    )
    pool = ctx.session.scalar(visible(ctx, query, Pool, "pool.view"))
    if pool is None:
        raise InvalidInput(field, N_("names no storage pool of this host"))
    if pool.host_id != host.id:
        raise InvalidInput(field, N_("is a storage pool of another host"))
    if pool.state != "running":
        raise InvalidInput(field, N_("the storage pool does not run"), hint=N_("Start the pool first."))
    return pool


def _check_buses(disks: Sequence[DiskSpec], buses: list[str], capabilities: HostCapabilities) -> None:
    for number, (disk, bus) in enumerate(zip(disks, buses, strict=True)):
        if disk.bus and bus not in capabilities.disk_buses:
            raise InvalidInput(
                f"disks.{number}.bus",
                N_("is not offered by this host; it has: %(offered)s"),
                params={"offered": ", ".join(capabilities.disk_buses) or "–"},
            )
        if (disk.device == "floppy") != (bus == "fdc"):
            raise InvalidInput(f"disks.{number}.bus", N_("a floppy drive and the bus fdc go together"))
        if disk.device == "cdrom" and bus == "virtio":
            raise InvalidInput(
                f"disks.{number}.bus", N_("a CD drive cannot be on virtio; sata, scsi, ide and usb can")
            )
    for bus, count in Counter(buses).items():
        if count > vm_defaults.BUS_LIMITS.get(bus, count):
            last = max(number for number, item in enumerate(buses) if item == bus)
            raise InvalidInput(
                f"disks.{last}.bus",
                N_("the bus %(bus)s takes %(most)d devices"),
                params={"bus": bus, "most": vm_defaults.BUS_LIMITS[bus]},
            )


def _existing(ctx: Ctx, host: Host, where: str, spec: DiskSpec) -> dict[str, object]:
    volume = volume_on(ctx, host, f"{where}.volume_id", spec.volume_id or "")
    writes = spec.device == "disk" and not spec.readonly
    locks = locks_of(ctx.session, known(ctx, Pool, volume.pool_id), volume.name)
    alone = writes and not spec.shareable
    require_unlocked(ctx, *(locks if alone else ()), reads=() if alone else locks)
    if writes:  # what all its writers share may be shared with one more
        if users := in_the_way_of_writing(ctx, volume, shared=spec.shareable):
            raise Conflict(
                N_("The volume is in use."),
                why=N_("%(volume)s is used by: %(names)s."),
                hint=N_("Choose another volume, or clone it first."),
                code="volume_in_use",
                params={"volume": volume.name, "names": ", ".join(users)},
            )
        refuse_possibly_used(ctx, volume)
    recorded = require_usable(ctx, volume, host.id)
    kind = recorded if recorded in DISK_FORMATS else RAW
    if spec.format and spec.format != kind:
        raise InvalidInput(
            f"{where}.format",
            N_("is not the recorded format of the volume (%(format)s)"),
            params={"format": kind},
        )
    return _place(ctx, volume) | {"format": kind, "volume_id": volume.id}


def _place(ctx: Ctx, volume: Volume) -> dict[str, object]:
    """How a definition names a volume: by path, or by pool for what is neither file nor device."""
    if volume.kind in ("file", "block"):
        return {"kind": volume.kind, "path": volume.path}
    pool = known(ctx, Pool, volume.pool_id)
    return {"kind": "volume", "pool": pool.name, "volume": volume.name}


def _medium(ctx: Ctx, host: Host, where: str, spec: DiskSpec) -> dict[str, object]:
    """A drive: with an image of the library in it, or empty."""
    if spec.image_id is None:
        return {}
    origin = _origin(ctx, host, f"{where}.image_id", spec.image_id, None)
    return {
        "kind": "file",
        "path": origin.path,
        "format": "raw",
        "fetch": origin.fetch,
        "image_id": origin.image.id,
    }


def _new(ctx: Ctx, host: Host, where: str, spec: DiskSpec, stem: str, given: Collection[str]) -> Source:
    field = f"{where}.pool_id" if spec.pool_id else f"{where}.pool"
    pool = pool_on(ctx, host, field, pool_id=spec.pool_id, name=spec.pool)
    kind = spec.format or ("raw" if pool.kind in ("logical", "disk", "rbd", "iscsi", "zfs") else "qcow2")
    name = spec.volume_name or free_name(ctx, pool, stem, "qcow2" if kind == "qcow2" else "img", given)
    if is_there(ctx, pool, name):
        raise InvalidInput(
            f"{where}.volume_name", N_("the pool has a volume “%(name)s” already"), params={"name": name}
        )
    if spec.image_id is None:
        plan = VolumePlan(
            pool=pool.uuid,
            name=name,
            format=kind,
            size_bytes=spec.size_bytes or 0,
            preallocate=spec.preallocate,
        )
        return Source(plan, pool.id)
    return _from_image(ctx, host, where, spec, pool, name, kind)


def _from_image(ctx: Ctx, host: Host, where: str, spec: DiskSpec, pool: Pool, name: str, kind: str) -> Source:
    origin = _origin(ctx, host, f"{where}.image_id", spec.image_id or "", pool)
    size = spec.size_bytes or origin.size_bytes
    if size < origin.size_bytes:
        raise InvalidInput(
            f"{where}.size_bytes",
            N_("must be at least the image's own %(size)d bytes"),
            params={"size": origin.size_bytes},
        )
    if spec.linked and kind != "qcow2":
        raise InvalidInput(f"{where}.linked", N_("only a qcow2 volume can be linked to an image"))
    backing = {"backing_path": origin.path, "backing_format": origin.format} if spec.linked else {}
    plan = VolumePlan(
        pool=pool.uuid,
        name=name,
        format=kind,
        size_bytes=size,
        preallocate=spec.preallocate and not spec.linked,
        clone_of=None if spec.linked else origin.path,
        clone_format=None if spec.linked else origin.format,
        **backing,
    )
    return Source(plan, pool.id, origin.image, origin.fetch)


def _origin(ctx: Ctx, host: Host, field: str, image_id: str, pool: Pool | None) -> _Origin:
    """The image's file on the host; where it is not there yet, where it will be: in this pool, or one with room."""
    image = look_up(ctx, Image, image_id)
    if image is None:
        raise InvalidInput(field, N_("names no image"))
    if image.state != "ready":
        raise InvalidInput(field, N_("the image is not ready"))
    copy = ctx.session.scalar(
        sa.select(ImageCopy).where(ImageCopy.image_id == image.id, ImageCopy.host_id == host.id).limit(1)
    )
    size = image.virtual_bytes or image.size_bytes or 0
    if copy is not None:
        return _Origin(image, copy.path, image.format or RAW, size)
    into = _file_pool(ctx, host, field, pool, image.size_bytes or 0)
    fetch = fetch_to(ctx, image, into)
    path = f"{(into.target_path or '').rstrip('/')}/{fetch.name}"
    return _Origin(image, path, image.format or RAW, size, fetch)


def _file_pool(ctx: Ctx, host: Host, field: str, wanted: Pool | None, size: int) -> Pool:
    """Where an image is copied to: a running pool of files with room, this one if it is such."""
    query = sa.select(Pool).where(
        Pool.host_id == host.id,
        Pool.state == "running",
        Pool.kind.in_(FILE_POOLS),
        Pool.target_path.is_not(None),
        Pool.available_bytes > size,
    )
    found = list(
        ctx.session.scalars(visible(ctx, query.order_by(Pool.available_bytes.desc()), Pool, "pool.view"))
    )
    for pool in found:
        if wanted is None or pool.id == wanted.id:
            return pool
    if not found:
        raise InvalidInput(
            field,
            N_("the image is not on this host, and no pool of files there has room for it"),
            hint=N_("Free some space, or choose another host."),
        )
    return found[0]


def _check_volumes(disks: Sequence[DiskSpec], plans: Sequence[DiskPlan]) -> None:
    """What one disk writes to is in no other disk or drive of the VM, by whatever pool it is named."""
    seen: dict[str, bool] = {}  # by source: whether it is written to
    for number, (requested, plan) in enumerate(zip(disks, plans, strict=True)):
        source = plan.path or (f"{plan.pool}/{plan.volume}" if plan.volume else None)
        if source is None:
            continue
        writes = plan.device != "cdrom" and not plan.readonly
        if source in seen and (writes or seen[source]):
            field = "volume_id" if requested.volume_id is not None else "image_id"
            raise InvalidInput(
                f"disks.{number}.{field}",
                N_(
                    "is in another disk or drive of the VM already, and only what none of them writes to may be"
                ),
                hint=N_("Choose another volume, or clone it first."),
            )
        seen[source] = writes or seen.get(source, False)


def _check_names(sources: list[Source]) -> None:
    seen: set[tuple[str, str]] = set()
    for number, source in enumerate(sources):
        key = (source.plan.pool, source.plan.name)
        if key in seen:
            raise InvalidInput(f"disks.{number}.volume_name", N_("each new volume needs a name of its own"))
        seen.add(key)


def _check_room(ctx: Ctx, host: Host, sources: list[Source]) -> None:
    """What is reserved at once must be there now."""
    needed: Counter[str] = Counter()
    for source in sources:
        if source.plan.preallocate:
            needed[source.plan.pool] += source.plan.size_bytes
    for uuid, size in needed.items():
        query = sa.select(Pool).where(Pool.host_id == host.id, Pool.uuid == uuid)
        pool = ctx.session.scalars(unrestricted(query)).one()
        if size > pool.available_bytes:
            raise Conflict(
                N_("The storage pool has too little room."),
                why=N_("%(pool)s has %(free)d MiB free; %(needed)d MiB would be reserved."),
                hint=N_("Choose another pool, a smaller disk, or one that grows as it is used."),
                code="pool_too_small",
                params={
                    "pool": pool.name,
                    "free": pool.available_bytes // 1024**2,
                    "needed": size // 1024**2,
                },
            )
