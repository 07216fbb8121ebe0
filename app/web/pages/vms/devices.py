"""What is changed on a VM's pages: hardware, definition, and its earlier versions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from app.access.context import Ctx
from app.core.errors import InvalidInput
from app.core.tasks.records import TaskRecord
from app.core.vms.create.spec import MIB, DiskSpec, NicSpec
from app.core.vms.devices import DiffRecord, HardwarePatch, Media, NicPatch
from app.core.vms.states import VmState
from app.services.vms import vms
from app.services.vms.create import choices
from app.services.vms.definitions import definitions
from app.services.vms.definitions.version import definition_version
from app.services.vms.hardware import show_hardware
from app.services.vms.reconfigure import devices_request
from app.web.auth import Visitor
from app.web.deps import PageId, Reader, Signed, SignedRouter
from app.web.pages.rendering.amounts import amount_in, shown_in
from app.web.pages.rendering.forms import (
    Form,
    FormInvalid,
    PartForms,
    Posted,
    Shown,
    attempt,
    broken_rules,
    number_in,
    reading,
)
from app.web.pages.rendering.render import go, render
from app.web.pages.vms import create_form
from app.web.pages.vms.task_answers import QUEUED, Work, submitted
from app.web.pages.vms.vm_page import VmPage

router = SignedRouter(include_in_schema=False)
M = TypeVar("M", bound=BaseModel)

# States in which devices are plugged in at once, where there is a free port.
_PLUGGABLE = (VmState.RUNNING, VmState.PAUSED)
_RENAMED = {"memory_bytes": "memory_mib", "memory_max_bytes": "memory_max_mib", "size_bytes": "size_gib"}


@router.get("/vms/{id}/edit")
def ask(request: Request, id: PageId, ctx: Reader) -> Response:
    """Everything of the hardware that can be changed, in one place."""
    return _draw(request, ctx, id, Shown(), part="")


@router.post("/vms/{id}/hardware", name="vm.reconfigure")
def change(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask for other processors, memory, title or boot order."""

    def work(ctx: Ctx) -> TaskRecord:
        boot = form["boot"].replace(",", " ").split()
        found = {
            "vcpus": form["vcpus"] or None,
            "vcpus_max": form["vcpus_max"] or None,
            "memory_bytes": amount_in(form, "memory_mib", MIB),
            "memory_max_bytes": amount_in(form, "memory_max_mib", MIB),
            "title": form["title"] or None,
            "boot": boot or None,
        }
        before = vms.show_vm(ctx, id)
        same = {
            "vcpus": before.vcpus,
            "vcpus_max": before.vcpus_max,
            "memory_bytes": before.memory_bytes,
            "memory_max_bytes": before.memory_max_bytes,
            "title": before.title,
        }
        changed = {
            name: value
            for name, value in found.items()
            if value is not None and str(value) != str(same.get(name))
        }
        return devices_request.change_hardware(ctx, id, spec_of(HardwarePatch, changed), form.version)

    return submitted_on_edit_page(request, visitor, form, id, "hardware", "vm.reconfigure", work)


@router.post("/vms/{id}/disks/add", name="vm.add-disk")
def add_disk(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask for one more disk or drive."""

    def work(ctx: Ctx) -> TaskRecord:
        return devices_request.add_disk(
            ctx, id, spec_of(DiskSpec, create_form.disk_of(form, "disk.")), form.version
        )

    return submitted_on_edit_page(
        request, visitor, form, id, f"disk.{form['disk.kind']}", "vm.add-disk", work
    )


@router.post("/vms/{id}/nics/add", name="vm.add-nic")
def add_nic(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask for one more interface."""

    def work(ctx: Ctx) -> TaskRecord:
        return devices_request.add_nic(
            ctx, id, spec_of(NicSpec, create_form.nic_of(form, "nic.")), form.version
        )

    return submitted_on_edit_page(request, visitor, form, id, "nic", "vm.add-nic", work)


@router.post("/vms/{id}/devices/remove", name="vm.remove-disk")
def remove(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask for the end of a disk or interface; its volume stays."""
    return submitted_on_edit_page(
        request,
        visitor,
        form,
        id,
        "",
        "vm.remove-disk",
        lambda ctx: devices_request.remove_device(ctx, id, form["key"], form.version),
    )


@router.post("/vms/{id}/devices/media", name="vm.change-media")
def media(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask for another medium in a drive, or none."""
    chosen = form["media"]
    key = "image_id" if chosen.startswith("img_") else "volume_id"

    def work(ctx: Ctx) -> TaskRecord:
        return devices_request.change_media(
            ctx, id, form["key"], spec_of(Media, {key: chosen} if chosen else {}), form.version
        )

    return submitted_on_edit_page(request, visitor, form, id, "", "vm.change-media", work)


@router.post("/vms/{id}/devices/link", name="vm.change-nic")
def link(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask for a cable plugged in or out."""

    def work(ctx: Ctx) -> TaskRecord:
        return devices_request.change_nic(
            ctx, id, form["key"], NicPatch(link_up=form["link_up"] == "true"), form.version
        )

    return submitted_on_edit_page(request, visitor, form, id, "", "vm.change-nic", work)


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


def submitted_on_edit_page(
    request: Request, visitor: Visitor, form: Form, id: str, part: str, action: str, work: Work
) -> Response:
    """Ask for the task; what is refused is drawn in its part of the page of changes."""
    return submitted(request, visitor, form, id, action, work, partial(_draw, part=part))


def spec_of(kind: type[M], given: Mapping[str, object]) -> M:
    """The request that the form describes. Raises FormInvalid with the form's names of fields."""
    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        prefix = {DiskSpec: "disk.", NicSpec: "nic."}.get(kind, "")
        raise FormInvalid(
            [
                InvalidInput(
                    f"{prefix}{_RENAMED.get(broken_rule.field, broken_rule.field)}",
                    broken_rule.rule,
                    params=broken_rule.params,
                )
                for broken_rule in broken_rules(error)
            ]
        ) from None


def _draw(request: Request, ctx: Ctx, id: str, form: Shown, *, part: str) -> Response:
    """The page of changes; `form` is what was typed in the part of it that was sent."""
    ctx.require("vm.edit")
    vm = vms.show_vm(ctx, id)
    return render(
        request,
        ctx,
        "vms/edit.html",
        status=form.status,
        vm=vm,
        memory_mib=shown_in(vm.memory_bytes, MIB),
        memory_max_mib=shown_in(vm.memory_max_bytes, MIB),
        version=definition_version(ctx, id),
        lacks_ports=vm.state in _PLUGGABLE and show_hardware(ctx, id).free_ports == 0,
        forms=PartForms(part, form),
        form=form,
        choices=choices.list_choices(ctx, vm.host_id),
        nic_words={"model": create_form.options_of(NicSpec, "model")},
    )


def _draw_xml(request: Request, ctx: Ctx, id: str, form: Shown, diff: DiffRecord | None) -> Response:
    return render(
        request, ctx, "vms/edit_xml.html", status=form.status, vm=vms.show_vm(ctx, id), form=form, diff=diff
    )
