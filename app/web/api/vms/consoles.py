"""Consoles of VMs: tickets for the WebSocket, and who is connected."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from app.core.vms.consoles import ConsoleList, ConsoleSpec, ConsoleTicket
from app.services.vms import consoles
from app.web.api.shapes import ObjectPath, api_router, created, problems
from app.web.auth import page_origin, services_of
from app.web.consoles.door import PATH
from app.web.deps import Reader, Writer

router = api_router("vms")
VIEWER_FILE = "application/x-virt-viewer"


@router.post(
    "/vms/{id}/consoles",
    name="vm.console",
    status_code=201,
    response_model=ConsoleTicket,
    responses=problems(404, 409, 413),
)
def open_console(request: Request, id: ObjectPath, spec: ConsoleSpec, ctx: Writer) -> Response:
    """A ticket for a console of a running VM: good for one WebSocket, within 30 seconds, for whoever asked."""
    ticket = consoles.open_console(ctx, id, spec, page_origin(request), _address(request))
    return created(ticket, f"/vms/{id}/consoles")


@router.get(
    "/vms/{id}/spice.vv",
    name="vm.spice",
    response_class=Response,
    responses=problems(404, 409)
    | {200: {"description": "The file.", "content": {VIEWER_FILE: {"schema": {"type": "string"}}}}},
)
def spice_file(id: ObjectPath, ctx: Reader) -> Response:
    """A file for remote-viewer, for a SPICE display that your computer reaches by itself. It holds no password."""
    headers = {"Content-Disposition": 'attachment; filename="console.vv"'}
    return Response(consoles.spice_file(ctx, id), headers=headers, media_type=VIEWER_FILE)


@router.get("/vms/{id}/consoles", name="vm.consoles", response_model=ConsoleList, responses=problems(404))
def list_consoles(id: ObjectPath, ctx: Reader) -> ConsoleList:
    """Who has a console of the VM open."""
    return consoles.list_consoles(ctx, id)


def _address(request: Request) -> str:
    """Where the WebSocket is, as the caller reaches Vigie."""
    public = services_of(request).settings.public_url
    base = urlsplit(public or f"{request.url.scheme}://{request.headers.get('host', '')}")
    return f"{'wss' if base.scheme == 'https' else 'ws'}://{base.netloc}{PATH}"
