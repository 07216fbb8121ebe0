"""VMs: look at, annotate, power."""

from __future__ import annotations

from typing import Annotated

from fastapi import Body, Query
from starlette.requests import Request
from starlette.responses import Response

from app.core.errors import NotFound
from app.core.messages import N_
from app.core.records import Page
from app.core.tasks.records import BulkRecord, TaskRecord
from app.core.vms.power import VmVerb
from app.core.vms.records import VmDetail, VmRecord
from app.core.vms.specs import ActionOptions, BulkAction, VmPatch, VmQuery
from app.services.vms import power, vms
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

router = api_router("vms")


class VmList(VmQuery, Exported):
    """Filters of the list."""


@router.get("/vms", name="vm.list", response_model=Page[VmRecord], responses=problems())
def list_vms(request: Request, query: Annotated[VmList, Query()], ctx: Reader) -> Response:
    """VMs as last seen, on all hosts."""
    return listed(request, ctx, query, vms.list_vms, VmRecord)


@router.post(
    "/vms/actions",
    name="vm.act_many",
    status_code=202,
    response_model=BulkRecord,
    responses=problems(404, 409, 413),
)
def act_many(action: BulkAction, ctx: Writer, repeat: Once) -> Response:
    """Do one thing to many VMs: a task for each that allows it, a reason for each other."""

    def act() -> Response:
        done = power.act_many(ctx, action)
        location = f"/api/v1/tasks?batch={done.batch_id}"
        return Response(done.model_dump_json(), 202, {"Location": location}, media_type="application/json")

    return repeat.once(ctx, act)


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


@router.delete("/vms/{id}", name="vm.forget", status_code=204, responses=problems(404, 409))
def forget_vm(id: ObjectPath, ctx: Writer) -> Response:
    """Forget a VM that its host does not list any more. Nothing on the host is changed."""
    vms.forget_vm(ctx, id)
    return Response(status_code=204)


@router.post(
    "/vms/{id}/actions/{verb}",
    name="vm.act",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def act(
    id: ObjectPath,
    verb: VmVerb,
    ctx: Writer,
    repeat: Once,
    options: Annotated[ActionOptions | None, Body()] = None,
) -> Response:
    """Start, shut down, reboot, reset, force off, pause, resume, save, restore, or set starting with the host."""
    return repeat.once(ctx, lambda: accepted(power.act(ctx, id, verb, options or ActionOptions())))


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
    "/vms/{id}/screen",
    name="vm.screen",
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
    screen = vms.screen_of(ctx, id)
    if screen is None:
        raise NotFound(
            N_("There is no screenshot of this VM."), hint=N_("It is taken soon after the VM runs.")
        )
    return Response(screen.image, media_type=screen.media_type)
