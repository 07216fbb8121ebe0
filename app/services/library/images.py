"""The library of images: what VMs are made from, and on which hosts it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError

from app.access import audit
from app.access.context import Ctx
from app.access.paging import Order, mentions, page
from app.access.unique_names import check_version, save_named
from app.core.errors import Conflict, InvalidInput, NotFound
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.library.images import (
    ImageCopySpec,
    ImageDownload,
    ImageFetch,
    ImageImport,
    ImageLook,
    ImagePatch,
    ImagePlace,
    ImageRecord,
    ImageSpec,
)
from app.core.library.import_sources import Source, SourceRefused, read_source
from app.core.messages import N_
from app.core.records import Page, Ref
from app.core.specs import ListQuery
from app.core.tasks.records import TaskRecord
from app.core.vms.config import VolumePlan
from app.core.vms.create_spec import VolumeName
from app.db.models import Host, Image, ImageCopy, Pool, Task, TaskLock, Volume
from app.hypervisor.osinfo import systems
from app.inventory.staleness import HOST_IN_LISTS
from app.services.hosts.checks import require_workable
from app.services.storage import volumes
from app.services.storage.volume_checks import require_usable
from app.services.storage.volume_locations import locks_of
from app.services.storage.volume_users import refuse_possibly_used, users_of
from app.services.vms.cloud_init_drives import is_seed, refuse_seed
from app.tasks import tasks

ORDER = Order(
    {"name": Image.name_key, "kind": Image.kind, "state": Image.state, "size": Image.size_bytes},
    default="name",
    unique=Image.id,
)
IMPORT, DOWNLOAD, COPY = "image.import", "image.download", "image.copy"
MOST = 500
IMPORTING, READY, FAILED = "importing", "ready", "failed"


def list_images(ctx: Ctx, asked: ListQuery) -> Page[ImageRecord]:
    """The images of the library, each with the hosts that have it."""
    query = ctx.visible(sa.select(Image), "image.view")
    if asked.q:
        query = query.where(mentions((Image.name, Image.source, Image.os_id), asked.q))
    return page(ctx, query, asked, ORDER, lambda rows: _records(ctx, [row[0] for row in rows]))


def find_image(ctx: Ctx, name: str) -> ImageRecord | None:
    """The image of this id or exact name; None when there is none that the asker may see."""
    query = ctx.visible(sa.select(Image), "image.view")
    image = ctx.session.scalar(query.where(sa.or_(Image.id == name, Image.name == name)).limit(1))
    return None if image is None else _records(ctx, [image])[0]


def show_image(ctx: Ctx, image_id: str) -> ImageRecord:
    """One image, with the hosts that have it. Raises NotFound."""
    return _records(ctx, [_get(ctx, image_id, "image.view")])[0]


def add_image(ctx: Ctx, asked: ImageSpec) -> TaskRecord:
    """Have a volume looked at and made an image. From then on it must not change, so nothing may write to it.

    Raises InvalidInput (volume_id, os), Conflict (name_taken, volume_in_use, host_not_connected…), Busy.
    """
    ctx.require("image.edit")
    query = sa.select(Volume, Pool, Host).join(Pool, Pool.id == Volume.pool_id)
    query = query.join(Host, Host.id == Pool.host_id).where(Volume.id == asked.volume_id)
    row = ctx.session.execute(ctx.visible(query, "pool.view")).one_or_none()
    if row is None:
        raise InvalidInput("volume_id", N_("names no volume"))
    volume, pool, host = row
    refuse_seed(ctx, volume)
    require_workable(ctx, host)
    locks = locks_of(ctx.session, pool, volume.name)
    tasks.require_free(ctx, *locks)
    if users := users_of(ctx, [volume])[volume.id]:
        raise Conflict(
            N_("The volume is in use."),
            why=N_("%(volume)s is used by: %(names)s."),
            hint=N_("Clone it, and make the copy an image."),
            code="volume_in_use",
            params={"volume": volume.name, "names": ", ".join(user.name for user in users[:5])},
        )
    refuse_possibly_used(ctx, volume)
    require_usable(ctx, volume, host.id)
    image = _begin(ctx, asked, volume.name, f"{host.name}: {volume.path}")
    image.format, image.virtual_bytes = volume.format, volume.capacity_bytes
    look = ImageLook(image_id=image.id, pool=pool.uuid, name=volume.name, path=volume.path)
    task = tasks.enqueue(
        ctx, IMPORT, target=_ref(image), host=_host_ref(host), params=look.model_dump(), holds=locks
    )
    return tasks.record_of(ctx, task)


def import_image(ctx: Ctx, asked: ImageImport) -> TaskRecord:
    """Have a file fetched from another server into a pool and made an image.

    Raises InvalidInput (url, pool_id, volume_name, os), Conflict (name_taken, volume_exists, host_not_connected…),
    Busy.
    """
    ctx.require("image.edit")
    ctx.require("volume.edit")
    source = _source(ctx, asked)
    pool, host = volumes.running_pool(ctx, asked.pool_id, "pool_id")
    name = asked.volume_name or _volume_name(source)
    volumes.refuse_taken(ctx, pool, name)
    image = _begin(ctx, asked, name, source.shown)
    params = ImageDownload(
        image_id=image.id,
        url=ctx.services.vault.seal({"url": source.url}).decode(),
        pool=pool.uuid,
        name=name,
        sha256=asked.sha256,
    )
    task = tasks.enqueue(
        ctx,
        DOWNLOAD,
        target=_ref(image),
        host=_host_ref(host),
        params=params.model_dump(),
        holds=locks_of(ctx.session, pool, name),
        reads={pool.id},
    )
    return tasks.record_of(ctx, task)


def imports_from(ctx: Ctx) -> list[str]:
    """The servers from which images may be imported, as the settings say."""
    ctx.require("image.edit")
    return sorted(ctx.services.settings.import_servers)


def volume_options(ctx: Ctx) -> list[Ref]:
    """Volumes that could be images: files of running pools."""
    ctx.require("image.edit")
    query = sa.select(Volume.id, Volume.name, Pool.name, Host.name).join(Pool, Pool.id == Volume.pool_id)
    query = query.join(Host, Host.id == Pool.host_id).where(Volume.kind == "file", Pool.state == "running")
    query = query.where(sa.not_(is_seed()))
    rows = ctx.session.execute(ctx.visible(query.order_by(Volume.name).limit(MOST), "pool.view"))
    return [Ref(kind=ObjectKind.VOLUME, id=row[0], name=f"{row[1]} · {row[2]} · {row[3]}") for row in rows]


def pool_options(ctx: Ctx, image_id: str | None = None) -> list[Ref]:
    """Running pools of hosts that can take a file now; with an image, those that have it not yet."""
    ctx.require("image.edit")
    query = sa.select(Pool.id, Pool.name, Host.name).join(Host, Host.id == Pool.host_id)
    query = query.where(Pool.state == "running", Host.state == "connected", Host.mode == "managed")
    if image_id is not None:
        query = query.where(
            Host.id.not_in(sa.select(ImageCopy.host_id).where(ImageCopy.image_id == image_id))
        )
    rows = ctx.session.execute(ctx.visible(query.order_by(Host.name_key, Pool.name).limit(MOST), "pool.view"))
    return [Ref(kind=ObjectKind.POOL, id=row[0], name=f"{row[2]} · {row[1]}") for row in rows]


def update_image(ctx: Ctx, image_id: str, patch: ImagePatch, version: int | None = None) -> ImageRecord:
    """Change name, system or notes. Raises NotFound, InvalidInput, Conflict (name_taken), EditConflict."""
    image = _get(ctx, image_id, "image.edit", lock=True)
    check_version(image, version)
    if "os" in patch.model_fields_set:
        image.os_id = _known_os(patch.os)
    if patch.notes is not None:
        image.notes = patch.notes
    image.version += 1
    save_named(ctx, image, patch.name or image.name)
    audit.record(ctx, "image.update", target=_ref(image))
    return _records(ctx, [image])[0]


def forget_image(ctx: Ctx, image_id: str) -> None:
    """Take an image out of the library. Its files stay, as ordinary volumes of their pools. Raises NotFound, Busy."""
    image = _get(ctx, image_id, "image.edit", lock=True)
    at_work = sa.select(TaskLock.name).join(Task, Task.id == TaskLock.task_id)
    at_work = at_work.where(Task.target_id == image.id, Task.state.in_(tasks.ACTIVE))
    tasks.require_free(ctx, image.id, *ctx.session.scalars(at_work))
    ctx.session.execute(sa.delete(ImageCopy).where(ImageCopy.image_id == image.id))
    ctx.session.delete(image)
    audit.record(ctx, "image.forget", target=_ref(image))


def copy_image(ctx: Ctx, image_id: str, asked: ImageCopySpec) -> TaskRecord:
    """Have an image copied to another host. Raises InvalidInput, Conflict (image_there, image_nowhere…), Busy."""
    image = _get(ctx, image_id, "image.edit")
    pool, host = volumes.running_pool(ctx, asked.pool_id, "pool_id")
    if any(place.host_id == host.id for place in _copies(ctx, image.id)):
        raise Conflict(N_("The host has this image already."), code="image_there")
    fetch = fetch_to(ctx, image, pool)
    task = tasks.enqueue(
        ctx,
        COPY,
        target=_ref(image),
        host=_host_ref(host),
        params=fetch.model_dump(),
        lock=f"{image.id}/{host.id}",
        reads={image.id, pool.id, *locks_of(ctx.session, pool, fetch.name)},
    )
    return tasks.record_of(ctx, task)


def fetch_to(ctx: Ctx, image: Image, pool: Pool) -> ImageFetch:
    """How an image comes into a pool of a host that has it not. Raises Conflict (image_nowhere, pool_full…)."""
    query = (
        sa.select(ImageCopy, Host)
        .join(Host, Host.id == ImageCopy.host_id)
        .where(ImageCopy.image_id == image.id)
    )
    usable = [row for row in ctx.session.execute(query) if _is_usable(row[1])]
    if image.state != READY or not usable or image.size_bytes is None or image.sha256 is None:
        raise Conflict(
            N_("The image cannot be copied now."),
            why=N_("No host that has it is connected."),
            hint=N_("Wait until one of its hosts answers again."),
            code="image_nowhere",
        )
    copy, source = usable[0]
    name = copy.volume_name
    taken = sa.select(Volume.id).where(Volume.pool_id == pool.id, Volume.name == name)
    if ctx.session.scalar(taken) is not None:
        name = f"{image.id}-{name}"[:200]
    volumes.refuse_narrow(ctx, pool, image.size_bytes)
    return ImageFetch(
        image_id=image.id,
        from_host=source.id,
        from_pool=copy.pool_uuid,
        from_name=copy.volume_name,
        pool=pool.uuid,
        name=name,
        size_bytes=image.size_bytes,
        sha256=image.sha256,
        format=image.format or "raw",
    )


def plan_of(fetch: ImageFetch) -> VolumePlan:
    """The empty volume that a copy is written to: as long as the file."""
    return VolumePlan(pool=fetch.pool, name=fetch.name, format="raw", size_bytes=fetch.size_bytes)


def _begin(ctx: Ctx, asked: ImageSpec | ImageImport, file_name: str, source: str) -> Image:
    """An image of which nothing is known yet. Raises InvalidInput (os), Conflict (name_taken)."""
    image = Image(
        id=new_id(ObjectKind.IMAGE),
        kind="iso" if file_name.lower().endswith(".iso") else "disk",
        state=IMPORTING,
        os_id=_known_os(asked.os),
        source=source,
        notes=asked.notes,
        created_at=ctx.now,
        created_by=ctx.actor.name,
        version=1,
    )
    save_named(ctx, image, asked.name)
    return image


def _source(ctx: Ctx, asked: ImageImport) -> Source:
    allowed = ctx.services.settings.import_servers
    if not allowed:
        raise Conflict(
            N_("Nothing may be imported from other servers."),
            why=N_("No server is allowed for it."),
            hint=N_("Upload the file instead, or have VIGIE_IMPORT_FROM name the server."),
            code="imports_off",
        )
    try:
        return read_source(asked.url, allowed, plain=asked.sha256 is not None)
    except SourceRefused as refused:
        hint = ctx.say(N_("Allowed are: %(servers)s."), {"servers": ", ".join(sorted(allowed))})
        raise InvalidInput("url", refused.rule, params=refused.params, hint=hint) from None


def _volume_name(source: Source) -> str:
    try:
        return TypeAdapter[str](VolumeName).validate_python(source.file_name)
    except ValidationError:
        raise InvalidInput(
            "volume_name", N_("must be given: the URL ends with no usable file name")
        ) from None


def _is_usable(host: Host) -> bool:
    return host.state in ("connected", "maintenance")


def _known_os(short_id: str | None) -> str | None:
    if short_id is not None and short_id not in systems():
        raise InvalidInput("os", N_("names no system in osinfo-db"))
    return short_id


def _get(ctx: Ctx, image_id: str, privilege: str, *, lock: bool = False) -> Image:
    ctx.require(privilege)
    query = ctx.visible(sa.select(Image).where(Image.id == image_id), "image.view")
    image: Image | None = ctx.session.scalar(query.with_for_update() if lock else query)
    if image is None:
        raise NotFound(N_("There is no such image."))
    return image


def _copies(ctx: Ctx, image_id: str) -> list[ImageCopy]:
    return list(ctx.session.scalars(sa.select(ImageCopy).where(ImageCopy.image_id == image_id)))


def _records(ctx: Ctx, found: Sequence[Image]) -> list[ImageRecord]:
    """The images with the hosts that have them; one query for all."""
    query = sa.select(ImageCopy, Host).join(Host, Host.id == ImageCopy.host_id).options(HOST_IN_LISTS)
    query = query.where(ImageCopy.image_id.in_([image.id for image in found])).order_by(Host.name_key)
    places: dict[str, list[ImagePlace]] = defaultdict(list)
    for copy, host in ctx.session.execute(ctx.visible(query, "host.view")):
        places[copy.image_id].append(
            ImagePlace(
                host=_host_ref(host),
                path=copy.path,
                volume_name=copy.volume_name,
                checked_at=copy.checked_at,
            )
        )
    return [_record(image, places[image.id]) for image in found]


def _record(image: Image, places: Sequence[ImagePlace]) -> ImageRecord:
    copied = {name: getattr(image, name) for name in ImageRecord.model_fields if hasattr(image, name)}
    return ImageRecord.model_validate(copied | {"os": image.os_id, "places": tuple(places)})


def _ref(image: Image) -> Ref:
    return Ref(kind=ObjectKind.IMAGE, id=image.id, name=image.name)


def _host_ref(host: Host) -> Ref:
    return Ref(kind=ObjectKind.HOST, id=host.id, name=host.name)
