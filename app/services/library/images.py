"""The library of images: what VMs are made from, and on which hosts it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa

from app.access import audit
from app.access.context import Ctx
from app.access.find import find, ref, unrestricted, visible
from app.access.names.unique_names import save_named
from app.access.paging import Order, mentions, page
from app.access.row_versions import check_version
from app.core.errors import InvalidInput
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.library.images import (
    ImageImport,
    ImagePatch,
    ImagePlace,
    ImageRecord,
    ImageSpec,
)
from app.core.messages import N_
from app.core.records import Page, Ref
from app.core.specs import ListQuery
from app.db.models import Host, Image, ImageCopy, Pool, Task, TaskLock, Volume
from app.hypervisor.osinfo import os_variants
from app.inventory.staleness import HOST_IN_LISTS
from app.services.vms.cloud_init.known_drives import is_cloud_init_drive
from app.tasks import tasks
from app.tasks.locks import require_unlocked

SORT_KEYS = Order(
    {"name": Image.name_key, "kind": Image.kind, "state": Image.state, "size": Image.size_bytes},
    default="name",
    unique=Image.id,
)
MAX_CHOICES = 500
IMPORTING, READY, FAILED = "importing", "ready", "failed"


def list_images(ctx: Ctx, params: ListQuery) -> Page[ImageRecord]:
    """The images of the library, each with the hosts that have it."""
    query = visible(ctx, sa.select(Image), Image, "image.view")
    if params.q:
        query = query.where(mentions((Image.name, Image.source, Image.os_id), params.q))
    return page(ctx, query, params, SORT_KEYS, lambda rows: _records(ctx, [row[0] for row in rows]))


def find_image(ctx: Ctx, name: str) -> ImageRecord | None:
    """The image of this id or exact name; None when there is none that the asker may see."""
    query = visible(ctx, sa.select(Image), Image, "image.view")
    image = ctx.session.scalar(query.where(sa.or_(Image.id == name, Image.name == name)).limit(1))
    return None if image is None else _records(ctx, [image])[0]


def show_image(ctx: Ctx, image_id: str) -> ImageRecord:
    """One image, with the hosts that have it. Raises NotFound."""
    return _records(ctx, [find(ctx, Image, image_id, "image.view")])[0]


def volume_options(ctx: Ctx) -> list[Ref]:
    """Volumes that could be images: files of running pools."""
    ctx.require("image.edit")
    query = sa.select(Volume.id, Volume.name, Pool.name, Host.name).join(Pool, Pool.id == Volume.pool_id)
    query = query.join(Host, Host.id == Pool.host_id).where(Volume.kind == "file", Pool.state == "running")
    query = query.where(sa.not_(is_cloud_init_drive()))
    rows = ctx.session.execute(
        visible(ctx, query.order_by(Volume.name).limit(MAX_CHOICES), Volume, "pool.view")
    )
    return [Ref(kind=ObjectKind.VOLUME, id=row[0], name=f"{row[1]} · {row[2]} · {row[3]}") for row in rows]


def pool_options(ctx: Ctx, image_id: str | None = None) -> list[Ref]:
    """Running pools of hosts that can take a file now; with an image, those that have it not yet."""
    ctx.require("image.edit")
    query = sa.select(Pool.id, Pool.name, Host.name).join(Host, Host.id == Pool.host_id)
    query = query.where(Pool.state == "running", Host.connection == "connected", Host.mode == "managed")
    query = query.where(Host.admin_state == "enabled")
    if image_id is not None:
        query = query.where(
            Host.id.not_in(sa.select(ImageCopy.host_id).where(ImageCopy.image_id == image_id))
        )
    rows = ctx.session.execute(
        visible(ctx, query.order_by(Host.name_key, Pool.name).limit(MAX_CHOICES), Pool, "pool.view")
    )
    return [Ref(kind=ObjectKind.POOL, id=row[0], name=f"{row[2]} · {row[1]}") for row in rows]


def update_image(ctx: Ctx, image_id: str, patch: ImagePatch, version: int | None = None) -> ImageRecord:
    """Change name, system or notes. Raises NotFound, InvalidInput, Conflict (name_taken), EditConflict."""
    image = find(ctx, Image, image_id, "image.edit", lock=True)
    check_version(image, version)
    if "os" in patch.model_fields_set:
        image.os_id = known_os(patch.os)
    if patch.notes is not None:
        image.notes = patch.notes
    image.version += 1
    save_named(ctx, image, patch.name or image.name)
    audit.record(ctx, "image.update", target=ref(image))
    return _records(ctx, [image])[0]


def remove_image(ctx: Ctx, image_id: str) -> None:
    """Take an image out of the library. Its files stay, as ordinary volumes of their pools. Raises NotFound, Busy."""
    image = find(ctx, Image, image_id, "image.edit", lock=True)
    at_work = sa.select(TaskLock.name).join(Task, Task.id == TaskLock.task_id)
    at_work = at_work.where(Task.target_id == image.id, Task.state.in_(tasks.ACTIVE))
    require_unlocked(ctx, image.id, *ctx.session.scalars(unrestricted(at_work)))
    ctx.session.execute(sa.delete(ImageCopy).where(ImageCopy.image_id == image.id))
    ctx.session.delete(image)
    audit.record(ctx, "image.remove", target=ref(image))


def begin_image(ctx: Ctx, spec: ImageSpec | ImageImport, file_name: str, source: str) -> Image:
    """An image of which nothing is known yet. Raises InvalidInput (os), Conflict (name_taken)."""
    image = Image(
        id=new_id(ObjectKind.IMAGE),
        kind="iso" if file_name.lower().endswith(".iso") else "disk",
        state=IMPORTING,
        os_id=known_os(spec.os),
        source=source,
        notes=spec.notes,
        created_at=ctx.now,
        created_by=ctx.actor.name,
        version=1,
    )
    save_named(ctx, image, spec.name)
    return image


def known_os(short_id: str | None) -> str | None:
    """The short id of a system. Raises InvalidInput (os) for one that osinfo-db does not know."""
    if short_id is not None and short_id not in os_variants():
        raise InvalidInput("os", N_("names no system in osinfo-db"))
    return short_id


def _records(ctx: Ctx, found: Sequence[Image]) -> list[ImageRecord]:
    """The images with the hosts that have them; one query for all."""
    query = sa.select(ImageCopy, Host).join(Host, Host.id == ImageCopy.host_id).options(HOST_IN_LISTS)
    query = query.where(ImageCopy.image_id.in_([image.id for image in found])).order_by(Host.name_key)
    places: dict[str, list[ImagePlace]] = defaultdict(list)
    for copy, host in ctx.session.execute(visible(ctx, query, Host, "host.view")):
        places[copy.image_id].append(
            ImagePlace(
                host=ref(host),
                path=copy.path,
                volume_name=copy.volume_name,
                checked_at=copy.checked_at,
            )
        )
    abandoned = _abandoned(ctx, found)
    return [_record(image, places[image.id], image.id in abandoned) for image in found]


def _abandoned(ctx: Ctx, found: Sequence[Image]) -> set[str]:
    """Those that wait for a task which ended before it began to look at them."""
    waiting = {image.id for image in found if image.state == IMPORTING}
    if not waiting:
        return waiting
    query = sa.select(Task.target_id).where(Task.target_id.in_(waiting), Task.state.in_(tasks.ACTIVE))
    return waiting - set(ctx.session.scalars(unrestricted(query)))


def _record(image: Image, places: Sequence[ImagePlace], abandoned: bool) -> ImageRecord:
    copied = {name: getattr(image, name) for name in ImageRecord.model_fields if hasattr(image, name)}
    copied |= {"os": image.os_id, "places": tuple(places)} | ({"state": FAILED} if abandoned else {})
    return ImageRecord.model_validate(copied)
