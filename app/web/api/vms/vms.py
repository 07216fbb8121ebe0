"""VMs: look at, annotate, power."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from app.core.errors import NotFound
from app.core.messages import N_
from app.core.records import Page
from app.core.vms.records import VmDetail, VmRecord
from app.core.vms.specs import VmPatch, VmQuery
from app.services.vms import vms
from app.web.api.shapes import (
    Exported,
    IfMatch,
    ObjectPath,
    api_router,
    listed,
    problems,
    tagged,
)
from app.web.deps import Reader, Writer

router = api_router("vms")


class VmList(VmQuery, Exported):
    """Filters of the list."""


@router.get("/vms", name="vm.list", response_model=Page[VmRecord], responses=problems())
def list_vms(request: Request, query: Annotated[VmList, Query()], ctx: Reader) -> Response:
    """VMs as last seen, on all hosts."""
    return listed(request, ctx, query, vms.list_vms, VmRecord)


@router.get("/vms/{id}", name="vm.show", response_model=VmDetail, responses=problems(404))
def show_vm(id: ObjectPath, ctx: Reader) -> Response:
    """One VM with its hardware and what can be done with it now."""
    found = vms.show_vm(ctx, id)
    return tagged(found, found.version)


@router.patch("/vms/{id}", name="vm.update", response_model=VmDetail, responses=problems(404, 409, 412, 413))
def update_vm(id: ObjectPath, patch: VmPatch, ctx: Writer, version: IfMatch) -> Response:
    """Change the tags and notes of a VM; what is left out stays."""
    changed = vms.update_vm(ctx, id, patch, version)
    return tagged(changed, changed.version)


@router.post(
    "/vms/{id}/actions/remove-from-inventory",
    name="vm.remove-from-inventory",
    status_code=204,
    responses=problems(404, 409),
)
def remove_from_inventory(id: ObjectPath, ctx: Writer) -> Response:
    """Forget a VM that its host does not list any more. Nothing on the host is changed."""
    vms.remove_from_inventory(ctx, id)
    return Response(status_code=204)


@router.get(
    "/vms/{id}/xml",
    name="vm.xml",
    response_class=Response,
    responses=problems(404)
    | {
        200: {
            "description": "The definition.",
            "content": {"application/xml": {"schema": {"type": "string"}}},
        }
    },
)
def show_xml(id: ObjectPath, ctx: Reader) -> Response:
    """The VM's definition as its host last gave it."""
    return Response(vms.xml_of(ctx, id), media_type="application/xml")


@router.get(
    "/vms/{id}/screenshot",
    name="vm.screenshot",
    response_class=Response,
    responses=problems(404)
    | {
        200: {
            "description": "The picture.",
            "content": {
                media: {"schema": {"type": "string", "format": "binary"}}
                for media in ("image/png", "image/webp", "image/jpeg")
            },
        }
    },
)
def show_screen(id: ObjectPath, ctx: Reader) -> Response:
    """The last screenshot of a running VM; asking for it makes Vigie take a new one."""
    screenshot = vms.screenshot_of(ctx, id)
    if screenshot is None:
        raise NotFound(
            N_("There is no screenshot of this VM."), hint=N_("It is taken soon after the VM runs.")
        )
    return Response(screenshot.image, media_type=screenshot.media_type)
