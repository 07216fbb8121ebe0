"""Pages of volumes: making one, sending a file, and what is done with one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.responses import Response, StreamingResponse

from app.access.context import Ctx
from app.core.errors import InvalidInput
from app.core.messages import N_
from app.core.storage.volumes import (
    PoolChoice,
    VolumeClone,
    VolumeDetail,
    VolumeMove,
    VolumeResize,
    VolumeSpec,
)
from app.core.tasks.records import TaskRecord
from app.core.tasks.specs import TaskQuery
from app.core.vms.create.spec import GIB
from app.services.storage.pools.pools import show_pool
from app.services.storage.uploads.uploads import list_uploads
from app.services.storage.volumes.clone import clone_volume
from app.services.storage.volumes.create import create_volume
from app.services.storage.volumes.delete import delete_volume
from app.services.storage.volumes.move import move_volume
from app.services.storage.volumes.resize import resize_volume
from app.services.storage.volumes.volumes import backing_options, pools_for, show_volume
from app.services.storage.volumes.wipe import wipe_volume
from app.tasks import tasks
from app.web.api.storage import volumes as api
from app.web.auth import Visitor
from app.web.deps import HostCaller, PageId, Reader, Signed, SignedRouter, Writer
from app.web.pages.rendering.forms import (
    Form,
    FormInvalid,
    PartForms,
    Posted,
    Shown,
    amount_in,
    attempt,
    broken_rules,
    reading,
    shown_in,
)
from app.web.pages.rendering.render import go, render

router = SignedRouter(include_in_schema=False)
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class VolumePage:
    """One volume for one reader; `pools` are those that can take it."""

    volume: VolumeDetail
    can: Callable[[str], bool]
    pools: Sequence[PoolChoice] = ()

    @property
    def is_editable(self) -> bool:
        """The reader may change, copy and move it."""
        return self.can("volume.edit") and self.volume.usable

    @property
    def offers_image(self) -> bool:
        """The reader may make it an image: nothing uses it."""
        return self.can("image.edit") and self.volume.usable and not self.volume.users

    @property
    def is_cloud_init_drive(self) -> bool:
        """It is the CD of a VM's first boot, which nobody else uses."""
        return not self.volume.usable and not self.volume.condition

    @property
    def other_pools(self) -> list[PoolChoice]:
        """Where it can be moved to."""
        return [pool for pool in self.pools if pool.id != self.volume.pool_id]


_RENAMED = {"size_bytes": "size_gib"}
QUEUED = N_("%(task)s: the task is queued.")


@router.get("/storage/{id}/new")
def ask(request: Request, id: PageId, ctx: Reader) -> Response:
    """The form of a new volume."""
    return _draw_new(request, ctx, id, Shown({"size_gib": "20"}))


@router.post("/storage/{id}/new", name="volume.create")
def create(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask for a volume."""

    def work(ctx: Ctx) -> TaskRecord:
        spec = _spec(
            VolumeSpec,
            pool_id=id,
            name=form["name"],
            size_bytes=amount_in(form, "size_gib", GIB),
            format=form["format"] or None,
            preallocate=form["preallocate"] == "true",
            backing_volume_id=form["backing_volume_id"] or None,
        )
        return create_volume(ctx, spec)

    answer = attempt(visitor, form, "volume.create", work, target=id)
    if isinstance(answer, Shown):
        with reading(visitor) as ctx:
            return _draw_new(request, ctx, id, answer)
    return go(request, f"/storage/{id}", toast=("ok", visitor.translate(QUEUED) % {"task": answer.title}))


@router.get("/storage/{id}/upload")
def upload(request: Request, id: PageId, ctx: Reader) -> Response:
    """Where files are chosen and sent; those that stopped on their way can go on."""
    ctx.require("volume.edit")
    pool = show_pool(ctx, id)
    waiting = list_uploads(ctx, id).items
    return render(request, ctx, "storage/upload.html", pool=pool, uploads=waiting)


@router.get("/storage/volumes/{id}")
def show(request: Request, id: PageId, ctx: Reader) -> Response:
    """One volume: what it is, who uses it, and what can be done with it."""
    return _draw(request, ctx, id, "", Shown())


@router.post("/storage/volumes/{id}/resize", name="volume.resize")
def resize(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask for another size."""

    def work(ctx: Ctx) -> TaskRecord:
        if form["size_gib"] and form["size_gib"] == form["size_shown"]:  # whatever size the volume has by now
            raise InvalidInput("size_gib", N_("is the size that it has"))
        spec = _spec(
            VolumeResize, size_bytes=amount_in(form, "size_gib", GIB), shrink=form["shrink"] == "true"
        )
        return resize_volume(ctx, id, spec)

    return _submitted(request, visitor, form, id, "resize", work)


@router.post("/storage/volumes/{id}/clone", name="volume.clone")
def clone(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask for a copy."""

    def work(ctx: Ctx) -> TaskRecord:
        spec = _spec(
            VolumeClone, name=form["name"], pool_id=form["pool_id"] or None, format=form["format"] or None
        )
        return clone_volume(ctx, id, spec)

    return _submitted(request, visitor, form, id, "clone", work)


@router.post("/storage/volumes/{id}/move", name="volume.move")
def move(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask for another pool."""

    def work(ctx: Ctx) -> TaskRecord:
        return move_volume(ctx, id, _spec(VolumeMove, pool_id=form["pool_id"]))

    return _submitted(request, visitor, form, id, "move", work)


@router.post("/storage/volumes/{id}/wipe", name="volume.wipe")
def wipe(request: Request, id: PageId, ctx: Writer) -> Response:
    """Ask for zeros all over it."""
    task = wipe_volume(ctx, id)
    return go(request, f"/storage/volumes/{id}", toast=("ok", ctx.say(QUEUED, {"task": task.title})))


@router.post("/storage/volumes/{id}/delete", name="volume.delete")
def delete(request: Request, id: PageId, ctx: Writer) -> Response:
    """Ask for its end."""
    pool_id = show_volume(ctx, id).pool_id
    task = delete_volume(ctx, id)
    return go(request, f"/storage/{pool_id}", toast=("ok", ctx.say(QUEUED, {"task": task.title})))


@router.get("/storage/volumes/{id}/content")
def download(id: PageId, visitor: HostCaller) -> StreamingResponse:
    """The volume as it is stored, as a file."""
    return api.content(visitor, id)


def _submitted(
    request: Request, visitor: Visitor, form: Form, id: str, part: str, work: Callable[[Ctx], TaskRecord]
) -> Response:
    answer = attempt(visitor, form, f"volume.{part}", work, target=id)
    if isinstance(answer, Shown):
        with reading(visitor) as ctx:
            return _draw(request, ctx, id, part, answer)
    message = visitor.translate(QUEUED) % {"task": answer.title}
    return go(request, f"/storage/volumes/{id}", toast=("ok", message))


def _spec(kind: type[M], **given: object) -> M:
    """The request that the form describes. Raises FormInvalid with the form's names of fields."""
    try:
        return kind.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise FormInvalid(
            [
                InvalidInput(
                    _RENAMED.get(broken_rule.field, broken_rule.field),
                    broken_rule.rule,
                    params=broken_rule.params,
                )
                for broken_rule in broken_rules(error)
            ]
        ) from None


def _draw(request: Request, ctx: Ctx, id: str, part: str, form: Shown) -> Response:
    """The page; `form` is what was typed in the part of it that was sent."""
    volume = show_volume(ctx, id)
    pools = pools_for(ctx, id) if ctx.can("volume.edit") else []
    last = tasks.list_tasks(ctx, TaskQuery(target=id, limit=1)).items
    return render(
        request,
        ctx,
        "storage/volume_show.html",
        status=form.status,
        volume=volume,
        size_gib=shown_in(volume.capacity_bytes, GIB),
        page=VolumePage(volume, ctx.can, pools),
        forms=PartForms(part, form),
        form=form,
        pools=pools,
        last_task=last[0] if last and (not last[0].state.is_final or last[0].error) else None,
    )


def _draw_new(request: Request, ctx: Ctx, id: str, form: Shown) -> Response:
    ctx.require("volume.edit")
    pool = show_pool(ctx, id)
    backing = backing_options(ctx, pool.host_id)
    return render(
        request, ctx, "storage/volume_new.html", status=form.status, pool=pool, form=form, backing=backing
    )
