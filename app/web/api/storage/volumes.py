"""Volumes: listed, made, resized, copied, moved, wiped, deleted, and their content."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.core.records import Page
from app.core.storage.records import VolumeRecord
from app.core.storage.specs import VolumeQuery
from app.core.storage.volumes import VolumeClone, VolumeDetail, VolumeMove, VolumeResize, VolumeSpec
from app.core.tasks.records import TaskRecord
from app.services.storage.volumes import clone, create, delete, move, resize, volumes, wipe
from app.services.storage.volumes.download import open_content
from app.web.api.shapes import Exported, ObjectPath, Once, accepted, api_router, listed, problems
from app.web.auth import Visitor
from app.web.deps import HostCaller, Reader, Writer

router = api_router("storage")
CONTENT = "application/octet-stream"


class VolumeList(VolumeQuery, Exported):
    """Filters of the list."""


@router.get("/volumes", name="volume.list", response_model=Page[VolumeRecord], responses=problems())
def list_volumes(request: Request, query: Annotated[VolumeList, Query()], ctx: Reader) -> Response:
    """Volumes as last seen, in all pools."""
    return listed(request, ctx, query, volumes.list_volumes, VolumeRecord)


@router.post(
    "/volumes",
    name="volume.create",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def create_volume(spec: VolumeSpec, ctx: Writer, repeat: Once) -> Response:
    """Make an empty volume, or one that holds what differs from another."""
    return repeat.once(ctx, lambda: accepted(create.create_volume(ctx, spec)))


@router.get("/volumes/{id}", name="volume.show", responses=problems(404))
def show_volume(id: ObjectPath, ctx: Reader) -> VolumeDetail:
    """One volume, with who uses it, what it is built on, and what its deletion would free."""
    return volumes.show_volume(ctx, id)


@router.post(
    "/volumes/{id}/actions/resize",
    name="volume.resize",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def resize_volume(id: ObjectPath, spec: VolumeResize, ctx: Writer, repeat: Once) -> Response:
    """Another size. A running VM that has it sees a larger disk at once."""
    return repeat.once(ctx, lambda: accepted(resize.resize_volume(ctx, id, spec)))


@router.post(
    "/volumes/{id}/actions/clone",
    name="volume.clone",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def clone_volume(id: ObjectPath, spec: VolumeClone, ctx: Writer, repeat: Once) -> Response:
    """A copy under another name, in the same or another pool of the host."""
    return repeat.once(ctx, lambda: accepted(clone.clone_volume(ctx, id, spec)))


@router.post(
    "/volumes/{id}/actions/move",
    name="volume.move",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def move_volume(id: ObjectPath, spec: VolumeMove, ctx: Writer, repeat: Once) -> Response:
    """Another pool of the host; the VM that has it follows, also while it runs."""
    return repeat.once(ctx, lambda: accepted(move.move_volume(ctx, id, spec)))


@router.post(
    "/volumes/{id}/actions/wipe",
    name="volume.wipe",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def wipe_volume(id: ObjectPath, ctx: Writer, repeat: Once) -> Response:
    """Overwrite it with zeros. Refused while anything uses it."""
    return repeat.once(ctx, lambda: accepted(wipe.wipe_volume(ctx, id)))


@router.post(
    "/volumes/{id}/actions/delete",
    name="volume.delete",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def delete_volume(id: ObjectPath, ctx: Writer, repeat: Once) -> Response:
    """Delete it for good. Refused while anything uses it, naming the users."""
    return repeat.once(ctx, lambda: accepted(delete.delete_volume(ctx, id)))


@router.get(
    "/volumes/{id}/content",
    name="volume.content",
    response_class=Response,
    responses=problems(404, 409)
    | {200: {"description": "Its bytes.", "content": {CONTENT: {"schema": {"type": "string", "format": "binary"}}}}},
)  # fmt: skip
def download(id: ObjectPath, visitor: HostCaller) -> Response:
    """The volume as it is stored. While a VM writes to it that is no consistent picture, so it is refused."""
    return content(visitor, id)


def content(visitor: Visitor, id: str) -> StreamingResponse:
    """The bytes of a volume, as an attachment."""
    found = open_content(visitor.services, visitor.actor, visitor.translate, id)
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.name)}",
        "Content-Length": str(found.size_bytes),
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(found.chunks, headers=headers, media_type=CONTENT)
