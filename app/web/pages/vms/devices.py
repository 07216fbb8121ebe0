"""Pages that change the hardware of a VM."""

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
from app.core.vms.devices import HardwarePatch, Media, NicPatch
from app.core.vms.states import VmState
from app.services.vms import vms
from app.services.vms.create import choices
from app.services.vms.definitions.version import definition_version
from app.services.vms.hardware import show_hardware
from app.services.vms.reconfigure import devices_request
from app.web.auth import Visitor
from app.web.deps import PageId, Reader, Signed, SignedRouter
from app.web.pages.rendering.forms import (
    Form,
    FormInvalid,
    PartForms,
    Posted,
    Shown,
    amount_in,
    broken_rules,
    shown_in,
)
from app.web.pages.rendering.render import render
from app.web.pages.vms import create_form
from app.web.pages.vms.task_answers import Work, submitted

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
