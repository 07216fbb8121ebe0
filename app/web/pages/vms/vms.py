"""Pages of VMs: the list with bulk actions, one VM with its tabs, its actions, notes, tags and screen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from fastapi import Request
from starlette.responses import Response

from app.access.context import Ctx
from app.core.errors import InvalidInput
from app.core.inventory.specs import EventQuery
from app.core.messages import N_
from app.core.tasks.specs import TaskQuery
from app.core.vms.power import VmVerb
from app.core.vms.records import VmDetail
from app.core.vms.specs import ActionOptions, BulkAction, VmPatch, VmQuery
from app.services.inventory import events
from app.services.vms import power, vms
from app.services.vms.definitions import definitions
from app.tasks import tasks
from app.web.deps import PageId, Reader, SignedRouter, Writer
from app.web.pages.rendering import list_view
from app.web.pages.rendering.forms import Posted
from app.web.pages.rendering.render import done, go, is_htmx, render, with_toast
from app.web.pages.rendering.tables import VMS
from app.web.pages.vms.vm_page import VmPage
from app.web.pages.vms.xml_view import pieces

router = SignedRouter(include_in_schema=False)

Tab = Literal["summary", "hardware", "tasks", "xml"]
RECENT = 15  # tasks and events shown on a VM's page
NO_SCREEN = 404


@router.get("/vms")
def vm_list(request: Request, ctx: Reader) -> Response:
    """The list of VMs."""
    query = list_view.query_of(request, VmQuery)
    view = list_view.view(request, VMS, vms.list_vms(ctx, query), query)
    return list_view.show(request, ctx, "vms/list.html", view)


@router.get("/vms.csv")
def vm_csv(request: Request, ctx: Reader) -> Response:
    """The list of VMs for spreadsheets."""
    return list_view.as_csv(ctx, VMS, list_view.query_of(request, VmQuery), vms.list_vms)


@router.get("/vms/rows")
def vm_rows(request: Request, ctx: Reader) -> Response:
    """Rows that changed."""
    ids = list_view.ids_of(request)
    return list_view.rows(request, ctx, VMS, vms.vms_by_id(ctx, ids), ids)


@router.post("/vms/actions/{verb}", name="vm.act-many")
def act_many(request: Request, verb: VmVerb, form: Posted, ctx: Writer) -> Response:
    """One verb on the VMs that were chosen in the list: says how many started and why others did not."""
    ids = list(dict.fromkeys(form.lists.get("ids", [])))
    if not ids:
        raise InvalidInput("ids", N_("Choose at least one VM first."))
    answer = power.act_many(ctx, form.read(BulkAction, ids=ids, verb=verb))
    template = "vms/_bulk_result.html" if is_htmx(request) else "vms/bulk.html"
    return render(request, ctx, template, result=answer, action=power.VERBS[verb])


@router.post("/vms/{id}/actions/{verb}", name="vm.action")
def act(request: Request, id: PageId, verb: VmVerb, form: Posted, ctx: Writer) -> Response:
    """Ask for a verb; the page shows the task as soon as it is queued."""
    task = power.act(ctx, id, verb, form.read(ActionOptions))
    name = task.target.name if task.target else ""
    message = ctx.say(N_("%(task)s: the task is queued."), {"task": task.title})
    if is_htmx(request):
        return with_toast(done(), "ok", message, name)
    return go(request, f"/vms/{id}", toast=("ok", message, name))


@router.get("/vms/{id}")
def vm_summary(request: Request, id: PageId, ctx: Reader) -> Response:
    """What the VM is, how it is, and its screen."""
    return _page(request, ctx, id, "summary")


@router.get("/vms/{id}/hardware")
def vm_hardware(request: Request, id: PageId, ctx: Reader) -> Response:
    """The VM's devices."""
    return _page(request, ctx, id, "hardware")


@router.get("/vms/{id}/tasks")
def vm_tasks(request: Request, id: PageId, ctx: Reader) -> Response:
    """What was done to the VM and what happened to it."""
    return _page(
        request,
        ctx,
        id,
        "tasks",
        tasks=tasks.list_tasks(ctx, TaskQuery(target=id, limit=RECENT)),
        events=events.list_events(ctx, EventQuery(target=id, limit=2 * RECENT)),
    )


@router.get("/vms/{id}/xml", name="vm.xml")
def vm_xml(request: Request, id: PageId, ctx: Reader) -> Response:
    """The VM's definition as its host has it."""
    xml = vms.xml_of(ctx, id)
    diff = definitions.diff_pending(ctx, id)
    return _page(request, ctx, id, "xml", xml=xml, pieces=list(pieces(xml)), diff=diff)


def _page(request: Request, ctx: Ctx, id: str, tab: Tab, **context: Any) -> Response:
    """A tab of the VM's page; only its live part when a change of the VM asks for it."""
    vm = vms.show_vm(ctx, id)
    page = VmPage(vm, ctx.can)
    target = request.headers.get("hx-target", "")
    alone = is_htmx(request) and target.endswith(f"#vm-{tab}")
    template = f"vms/_{tab}.html" if alone else "vms/show.html"
    return render(request, ctx, template, vm=vm, page=page, tab=tab, last_task=_last_task(ctx, vm), **context)


@router.get("/vms/{id}/header")
def vm_header(request: Request, id: PageId, ctx: Reader) -> Response:
    """Name, state, tags and actions."""
    vm = vms.show_vm(ctx, id)
    tab = request.query_params.get("tab", "summary")
    return render(request, ctx, "vms/_header.html", vm=vm, page=VmPage(vm, ctx.can), tab=tab)


def _last_task(ctx: Ctx, vm: VmDetail) -> object:
    """The task to show above the tabs: the one under way, or the last one when it failed in the last minutes."""
    found = tasks.list_tasks(ctx, TaskQuery(target=vm.id, limit=1)).items
    if not found:
        return None
    task = found[0]
    if not task.state.is_final:
        return task
    recent = task.finished_at is not None and (datetime.now(UTC) - task.finished_at).total_seconds() < 900
    return task if task.error is not None and recent else None


@router.get("/vms/{id}/screenshot", name="vm.screenshot")
def vm_screenshot(request: Request, id: PageId, ctx: Reader) -> Response:
    """The thumbnail with its age. Asking for it makes the engine take a new picture."""
    vms.screenshot_of(ctx, id)
    vm = vms.show_vm(ctx, id)
    return render(request, ctx, "vms/_screenshot.html", vm=vm, page=VmPage(vm, ctx.can))


@router.get("/vms/{id}/screenshot.png", name="vm.screenshot")
def vm_picture(id: PageId, ctx: Reader) -> Response:
    """The last screenshot. The address names its time, so a browser may keep it."""
    screenshot = vms.screenshot_of(ctx, id)
    if screenshot is None:
        return Response(status_code=NO_SCREEN)
    return Response(
        screenshot.image,
        media_type="image/png",
        headers={"Cache-Control": "private, max-age=60", "X-Content-Type-Options": "nosniff"},
    )


@router.get("/vms/{id}/notes")
def edit_notes(request: Request, id: PageId, ctx: Reader) -> Response:
    """Tags and notes, as a form when `edit` is asked for."""
    editing = "edit" in request.query_params
    return render(request, ctx, "vms/_notes.html", vm=vms.show_vm(ctx, id), editing=editing, problem=None)


@router.post("/vms/{id}/notes", name="vm.update")
def save_notes(request: Request, id: PageId, form: Posted, ctx: Writer) -> Response:
    """Keep tags and notes, unless somebody else changed them since they were read."""
    patch = form.read(VmPatch, tags=form.tags, notes=form["notes"])
    vm = vms.update_vm(ctx, id, patch, form.version)
    if is_htmx(request):
        shown = render(request, ctx, "vms/_notes.html", vm=vm, editing=False, problem=None)
        return with_toast(shown, "ok", ctx.translate(N_("Saved.")))
    return go(request, f"/vms/{id}", toast=("ok", ctx.translate(N_("Saved."))))


@router.post("/vms/{id}/remove-from-inventory", name="vm.remove-from-inventory")
def forget(request: Request, id: PageId, ctx: Writer) -> Response:
    """Take a missing VM off the list."""
    vms.remove_from_inventory(ctx, id)
    return go(request, "/vms", toast=("ok", ctx.translate(N_("The VM was removed from the inventory."))))
