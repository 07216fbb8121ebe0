"""Pages of consoles: the tab of a VM, the same without anything around it, and who is connected."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.responses import Response

from app.core.vms.records import VmDetail
from app.services.vms import consoles, vms
from app.web.deps import PageId, Reader, SignedRouter
from app.web.pages.rendering.render import render
from app.web.pages.vms.vm_page import VmPage

router = SignedRouter(include_in_schema=False)


@router.get("/vms/{id}/console")
def vm_console(request: Request, id: PageId, ctx: Reader) -> Response:
    """The VM's screen or serial port, as a tab of its page."""
    vm = vms.show_vm(ctx, id)
    who = consoles.list_consoles(ctx, id)
    return render(
        request,
        ctx,
        "vms/show.html",
        vm=vm,
        page=VmPage(vm, ctx.can),
        tab="console",
        who=who,
        last_task=None,
        **_chosen(request, vm),
    )


@router.get("/vms/{id}/console/full")
def vm_console_full(request: Request, id: PageId, ctx: Reader) -> Response:
    """The console with nothing around it, for a browser tab of its own."""
    vm = vms.show_vm(ctx, id)
    return render(request, ctx, "vms/console_full.html", vm=vm, **_chosen(request, vm))


@router.get("/vms/{id}/console/who")
def vm_console_who(request: Request, id: PageId, ctx: Reader) -> Response:
    """Who is connected."""
    who = consoles.list_consoles(ctx, id)
    return render(request, ctx, "vms/_console_users.html", vm=vms.show_vm(ctx, id), who=who)


def _chosen(request: Request, vm: VmDetail) -> dict[str, Any]:
    """Which console to show: what is asked for, else the screen where there is one."""
    kinds = {graphic.kind for graphic in vm.graphics}
    requested = request.query_params.get("kind")
    kind = requested if requested in ("vnc", "serial") else "vnc" if "vnc" in kinds or not kinds else "serial"
    return {
        "kind": kind,
        "is_screen": kind == "vnc",
        "has_spice": "spice" in kinds,
        "looks_only": not vm.host_mode.is_managed,
    }
