"""The library of images."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from app.core.library.images import ImageCopySpec, ImageImport, ImagePatch, ImageRecord, ImageSpec
from app.core.records import Page
from app.core.specs import ListQuery
from app.core.tasks.records import TaskRecord
from app.services.library import image_copy, image_import, image_register, images
from app.web.api.shapes import (
    Exported,
    IfMatch,
    ObjectPath,
    Once,
    accepted,
    api_router,
    listed,
    problems,
    tagged,
)
from app.web.deps import Reader, Writer

router = api_router("storage")


class ImageListQuery(ListQuery, Exported):
    """Filters of the list."""


@router.get("/images", name="image.list", response_model=Page[ImageRecord], responses=problems())
def list_images(request: Request, query: Annotated[ImageListQuery, Query()], ctx: Reader) -> Response:
    """Images that VMs can be made from, with the hosts that have them."""
    return listed(request, ctx, query, images.list_images, ImageRecord)


@router.post(
    "/images",
    name="image.register",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def register_image(spec: ImageSpec, ctx: Writer, repeat: Once) -> Response:
    """Make a volume an image: it is looked at before anything opens it, and its sum is taken."""
    return repeat.once(ctx, lambda: accepted(image_register.register_image(ctx, spec)))


@router.post(
    "/images/imports",
    name="image.import",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def import_image(spec: ImageImport, ctx: Writer, repeat: Once) -> Response:
    """Fetch a file from another server into a pool and make it an image. The settings say from which servers."""
    return repeat.once(ctx, lambda: accepted(image_import.import_image(ctx, spec)))


@router.get("/images/{id}", name="image.show", response_model=ImageRecord, responses=problems(404))
def show_image(id: ObjectPath, ctx: Reader) -> Response:
    """One image."""
    found = images.show_image(ctx, id)
    return tagged(found, found.version)


@router.patch(
    "/images/{id}", name="image.update", response_model=ImageRecord, responses=problems(404, 409, 412, 413)
)
def update_image(id: ObjectPath, patch: ImagePatch, ctx: Writer, version: IfMatch) -> Response:
    """Change name, system or notes."""
    changed = images.update_image(ctx, id, patch, version)
    return tagged(changed, changed.version)


@router.delete("/images/{id}", name="image.remove", status_code=204, responses=problems(404, 409))
def remove_image(id: ObjectPath, ctx: Writer) -> Response:
    """Take an image out of the library; its files stay as ordinary volumes."""
    images.remove_image(ctx, id)
    return Response(status_code=204)


@router.post(
    "/images/{id}/copies",
    name="image.copy",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def copy_image(id: ObjectPath, spec: ImageCopySpec, ctx: Writer, repeat: Once) -> Response:
    """Copy an image to another host. Making a VM there does so by itself."""
    return repeat.once(ctx, lambda: accepted(image_copy.copy_image(ctx, id, spec)))
