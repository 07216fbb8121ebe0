"""Files on their way into volumes."""

from __future__ import annotations

from typing import Annotated

from fastapi import Body, Query
from starlette.responses import Response

from app.core.storage.uploads import UploadList, UploadRecord, UploadSpec
from app.core.vms.create.spec import MAX_DISK
from app.services.storage.uploads import abandoned, parts, uploads
from app.web.api.shapes import ObjectPath, api_router, created, problems
from app.web.deps import HostCaller, Reader, Writer

router = api_router("storage")


@router.post(
    "/pools/{id}/uploads",
    name="volume.upload",
    status_code=201,
    response_model=UploadRecord,
    responses=problems(404, 409, 413),
)
def begin_upload(id: ObjectPath, spec: UploadSpec, ctx: Writer) -> Response:
    """Begin to send a file, which becomes a volume of the pool. A task shows how it goes."""
    created_object = uploads.begin_upload(ctx, id, spec)
    return created(created_object, f"/uploads/{created_object.id}")


@router.get("/pools/{id}/uploads", name="volume.uploads", responses=problems(404))
def list_uploads(id: ObjectPath, ctx: Reader) -> UploadList:
    """Files that are on their way into the pool."""
    return uploads.list_uploads(ctx, id)


@router.get("/uploads/{id}", name="upload.show", responses=problems(404))
def show_upload(id: ObjectPath, ctx: Reader) -> UploadRecord:
    """How far a file has come: the next part begins at its offset."""
    return uploads.show_upload(ctx, id)


@router.put("/uploads/{id}", name="upload.part", responses=problems(404, 409, 413))
def receive(
    id: ObjectPath,
    visitor: HostCaller,
    offset: Annotated[int, Query(ge=0, le=MAX_DISK)],
    part: Annotated[bytes, Body(media_type="application/octet-stream")] = b"",
) -> UploadRecord:
    """The next part, of at most 16 MiB. A part that was not answered may be sent again; so may the last one."""
    return parts.receive(visitor.services, visitor.actor, visitor.translate, id, offset, part)


@router.delete("/uploads/{id}", name="upload.cancel", status_code=204, responses=problems(404))
def give_up(id: ObjectPath, ctx: Writer) -> Response:
    """Give an upload up; what came of it is removed from the host."""
    abandoned.give_up(ctx, id)
    return Response(status_code=204)
