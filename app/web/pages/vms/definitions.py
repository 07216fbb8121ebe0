"""A VM's definition on its pages: its XML edited, its earlier versions, what waits for the power-off."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from app.access.context import Ctx
from app.core.inventory.versions import DiffRecord
from app.core.tasks.records import TaskRecord
from app.services.vms import vms
from app.services.vms.definitions import definitions
from app.web.deps import PageId, Reader, Signed, SignedRouter
from app.web.pages.rendering.forms import Posted, Shown, attempt, number_in, reading
from app.web.pages.rendering.render import go, render
from app.web.pages.vms.devices import submitted_on_edit_page
from app.web.pages.vms.task_answers import QUEUED
from app.web.pages.vms.vm_page import VmPage

router = SignedRouter(include_in_schema=False)


@router.post("/vms/{id}/revert", name="vm.discard-changes")
def discard_changes(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask that what waits for the power-off is dropped."""
    return submitted_on_edit_page(
        request, visitor, form, id, "", "vm.discard-changes", lambda ctx: definitions.discard_changes(ctx, id)
    )


@router.get("/vms/{id}/xml/edit", name="vm.define")
def edit_xml(request: Request, id: PageId, ctx: Reader) -> Response:
    """The saved definition, to edit."""
    ctx.require("vm.edit-xml")
    found = definitions.show_definition(ctx, id)
    return _draw_xml(request, ctx, id, Shown({"xml": found.saved, "version": str(found.version)}), None)


@router.post("/vms/{id}/xml/edit", name="vm.define")
def save_xml(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Show what would be different, then have it defined."""

    def look(ctx: Ctx) -> DiffRecord:
        return definitions.preview(ctx, id, form["xml"])

    if form["step"] != "define":
        answer = attempt(visitor, form, "vm.define", look, target=id)
        with reading(visitor) as ctx:
            if isinstance(answer, Shown):
                return _draw_xml(request, ctx, id, answer, None)
            return _draw_xml(request, ctx, id, Shown(form.values), answer)

    def work(ctx: Ctx) -> TaskRecord:
        return definitions.replace(ctx, id, form["xml"], form.version)

    queued = attempt(visitor, form, "vm.define", work, target=id)
    if isinstance(queued, Shown):
        with reading(visitor) as ctx:
            return _draw_xml(request, ctx, id, queued, None)
    return go(request, f"/vms/{id}/xml", toast=("ok", visitor.translate(QUEUED) % {"task": queued.title}))


@router.get("/vms/{id}/history", name="vm.history")
def history(request: Request, id: PageId, ctx: Reader) -> Response:
    """Versions of the definition, and two of them compared."""
    versions = definitions.list_versions(ctx, id).items
    pair = [number_in(request.query_params.get(name, "")) for name in ("from", "to")]
    diff = None
    if pair[0] is not None:
        diff = definitions.diff_versions(ctx, id, pair[0], pair[1] or 0)
    vm = vms.show_vm(ctx, id)
    return render(
        request,
        ctx,
        "vms/show.html",
        vm=vm,
        page=VmPage(vm, ctx.can),
        tab="history",
        last_task=None,
        versions=versions,
        diff=diff,
        pair=pair,
    )


@router.post("/vms/{id}/history/restore", name="vm.restore-version")
def restore(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask that a version counts again."""
    number = number_in(form["number"]) or -1

    def work(ctx: Ctx) -> TaskRecord:
        return definitions.restore_version(ctx, id, number)

    return submitted_on_edit_page(request, visitor, form, id, "", "vm.restore-version", work)


def _draw_xml(request: Request, ctx: Ctx, id: str, form: Shown, diff: DiffRecord | None) -> Response:
    return render(
        request, ctx, "vms/edit_xml.html", status=form.status, vm=vms.show_vm(ctx, id), form=form, diff=diff
    )
