"""The page of a VM's compute settings (CPU model, firmware, single devices) and resources (shares, limits, pinning)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from app.access.context import Ctx
from app.core.errors import InvalidInput
from app.core.messages import N_
from app.core.tasks.records import TaskRecord
from app.core.vms.compute import ComputePatch, DiskPatch, HardwareRecord, ResourcesPatch
from app.core.vms.devices import NicPatch
from app.core.vms.host_devices import FilesystemAdd, HostDeviceAdd
from app.services.vms import vms
from app.services.vms.create import choices
from app.services.vms.definitions.version import definition_version
from app.services.vms.hardware import show_hardware
from app.services.vms.reconfigure import compute_request, devices_request, host_devices
from app.web.auth import Visitor
from app.web.deps import PageId, Reader, Signed, SignedRouter
from app.web.pages.rendering.forms import Form, FormInvalid, PartForms, Posted, Shown, broken_rules
from app.web.pages.rendering.render import render
from app.web.pages.vms import create_form
from app.web.pages.vms.task_answers import Work, submitted

router = SignedRouter(include_in_schema=False)
M = TypeVar("M", bound=BaseModel)

NOTHING_NEW = N_("is as it was: change something first")
SWITCHES = ("huge_pages", "memory_locked", "sound", "tpm", "rng", "guest_agent", "serial")
WORDS = ("firmware", "graphics", "video", "watchdog")


@dataclass(frozen=True, slots=True)
class ComputePage:
    """Compute settings in the words of their form."""

    hardware: HardwareRecord

    @property
    def boots_host_kernel(self) -> bool:
        """It boots a kernel of its host, without firmware."""
        return self.hardware.firmware == "direct"

    @property
    def firmware(self) -> str:
        """Its firmware; empty when it has none."""
        return "" if self.boots_host_kernel else self.hardware.firmware

    @property
    def pins(self) -> str:
        """A line for each vCPU that is pinned."""
        return "\n".join(f"{pin.vcpu}: {pin.cpus}" for pin in self.hardware.pins)


@router.get("/vms/{id}/edit/compute")
def ask(request: Request, id: PageId, ctx: Reader) -> Response:
    """The compute settings and resources that can be changed."""
    return _draw(request, ctx, id, Shown(), part="")


@router.post("/vms/{id}/compute", name="vm.change-compute")
def change_compute(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Change the compute settings after the next power-off."""

    def work(ctx: Ctx) -> TaskRecord:
        before = show_hardware(ctx, id)
        found: dict[str, object] = {
            name: form[name]
            for name in WORDS
            if form[name] and form[name] != (getattr(before, name) or "none")
        }
        found |= {
            name: wanted for name in SWITCHES if (wanted := form[name] == "true") != getattr(before, name)
        }
        mode, model = form["cpu_mode"] or before.cpu_mode, form["cpu_model"] or None
        if mode != "custom":
            model = None
        if (mode, model) != (before.cpu_mode, before.cpu_model if mode == "custom" else None):
            found |= {"cpu_mode": mode, "cpu_model": model}
        shape = {name: form[name] for name in ("sockets", "cores", "threads")}
        if any(shape.values()) and shape != {name: str(getattr(before, name) or "") for name in shape}:
            found["topology"] = {name: text or "1" for name, text in shape.items()}
        return compute_request.change_compute(ctx, id, _spec("sockets", ComputePatch, found), form.version)

    return _submitted(request, visitor, form, id, "compute", "vm.change-compute", work)


@router.post("/vms/{id}/resources", name="vm.change-resources")
def change_resources(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Change the resources: shares, limits and pinning."""

    def work(ctx: Ctx) -> TaskRecord:
        before = show_hardware(ctx, id)
        found = _limits(form, before, "cpu_shares", "cpu_limit_percent")
        if form["emulator_cpus"] != (before.emulator_cpus or ""):
            found["emulator_cpus"] = form["emulator_cpus"]
        numa = (form["numa_nodes"], form["numa_mode"] or "strict")
        if numa != (before.numa_nodes or "", before.numa_mode or "strict"):
            found |= {"numa_nodes": numa[0], "numa_mode": numa[1]}
        pins = _pins(form["pins"])
        if pins != [pin.model_dump() for pin in before.pins]:
            found["pins"] = pins
        return compute_request.change_resources(
            ctx, id, _spec("cpu_shares", ResourcesPatch, found), form.version
        )

    return _submitted(request, visitor, form, id, "resources", "vm.change-resources", work)


@router.post("/vms/{id}/disks/change", name="vm.change-disk")
def change_disk(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask for other limits of a disk, or another way to drive it."""
    target = form["key"]

    def work(ctx: Ctx) -> TaskRecord:
        before = next((disk for disk in show_hardware(ctx, id).disks if disk.target == target), None)
        found = _limits(form, before, "read_bps", "write_bps", "read_iops", "write_iops")
        for name in ("cache", "io"):
            if form[name] and form[name] != getattr(before, name, "default"):
                found[name] = form[name]
        if (form["discard"] == "true") != getattr(before, "discard", False):
            found["discard"] = form["discard"] == "true"
        return compute_request.change_disk(ctx, id, target, _spec("read_bps", DiskPatch, found), form.version)

    return _submitted(request, visitor, form, id, target, "vm.change-disk", work)


@router.post("/vms/{id}/nics/change", name="vm.change-nic-resources")
def change_nic(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask for other rates or another filter of an interface."""
    mac = form["key"]

    def work(ctx: Ctx) -> TaskRecord:
        before = next((nic for nic in show_hardware(ctx, id).nics if nic.mac == mac), None)
        found = _limits(form, before, "in_kbps", "out_kbps")
        if form["filter"] != (getattr(before, "filter", None) or ""):
            found["filter"] = form["filter"]
        return devices_request.change_nic(ctx, id, mac, _spec("in_kbps", NicPatch, found), form.version)

    return _submitted(request, visitor, form, id, mac, "vm.change-nic", work)


@router.post("/vms/{id}/host-devices", name="vm.add-host-device")
def add_device(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask for a device of the host."""

    def work(ctx: Ctx) -> TaskRecord:
        return host_devices.add_device(ctx, id, form.read(HostDeviceAdd), form.version)

    return _submitted(request, visitor, form, id, "device", "vm.add-host-device", work)


@router.post("/vms/{id}/host-devices/remove", name="vm.remove-device")
def remove_device(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask that a device of the host is given back."""

    def work(ctx: Ctx) -> TaskRecord:
        return host_devices.remove_device(ctx, id, form["key"], form.version)

    return _submitted(request, visitor, form, id, "", "vm.remove-device", work)


@router.post("/vms/{id}/filesystems", name="vm.add-filesystem")
def add_filesystem(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask for a folder of the host."""

    def work(ctx: Ctx) -> TaskRecord:
        return host_devices.add_filesystem(ctx, id, form.read(FilesystemAdd), form.version)

    return _submitted(request, visitor, form, id, "filesystem", "vm.add-filesystem", work)


@router.post("/vms/{id}/filesystems/remove", name="vm.remove-filesystem")
def remove_filesystem(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask that a folder is shared no more."""

    def work(ctx: Ctx) -> TaskRecord:
        return host_devices.remove_filesystem(ctx, id, form["key"], form.version)

    return _submitted(request, visitor, form, id, "", "vm.remove-filesystem", work)


def _limits(form: Form, before: object, *names: str) -> dict[str, object]:
    """The limits that are others than before; a field that was emptied takes one away."""
    return {name: form[name] or "0" for name in names if form[name] != str(getattr(before, name, None) or "")}


def _pins(text: str) -> list[dict[str, object]]:
    """Pins as people write them: a line for each vCPU, such as “0: 0-3”. Raises InvalidInput (pins)."""
    found: list[dict[str, object]] = []
    for line in filter(None, (part.strip() for part in text.replace("\r", "").split("\n"))):
        vcpu, colon, cpus = line.partition(":")
        if not colon or not (vcpu.strip().isascii() and vcpu.strip().isdecimal()) or len(vcpu) > 6:
            raise InvalidInput("pins", N_("must have lines such as 0: 0-3"))
        found.append({"vcpu": int(vcpu), "cpus": cpus.replace(" ", "")})
    return found


def _spec(first: str, kind: type[M], given: Mapping[str, object]) -> M:
    """The request that the form describes. Raises FormInvalid; `first` is the field that says that nothing is new."""
    if not given:
        raise InvalidInput(first, NOTHING_NEW)
    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        raise FormInvalid(
            [
                InvalidInput(_field(broken_rule.field), broken_rule.rule, params=broken_rule.params)
                for broken_rule in broken_rules(error)
            ]
        ) from None


def _field(name: str) -> str:
    """The form's field for that of the request."""
    head, _, rest = name.partition(".")
    return rest or "sockets" if head == "topology" else head


def _submitted(
    request: Request, visitor: Visitor, form: Form, id: str, part: str, action: str, work: Work
) -> Response:
    def named(ctx: Ctx) -> TaskRecord:
        try:
            return work(ctx)
        except FormInvalid:
            raise
        except InvalidInput as error:
            raise InvalidInput(
                _field(error.field), error.rule, params=error.params, hint=error.hint
            ) from None

    return submitted(request, visitor, form, id, action, named, partial(_draw, part=part))


def _draw(request: Request, ctx: Ctx, id: str, form: Shown, *, part: str) -> Response:
    """The page; `form` is what was typed in the part of it that was sent."""
    ctx.require("vm.edit")
    vm = vms.show_vm(ctx, id)
    found: HardwareRecord = show_hardware(ctx, id)
    return render(
        request,
        ctx,
        "vms/edit_compute.html",
        status=form.status,
        vm=vm,
        hardware=found,
        version=definition_version(ctx, id),
        page=ComputePage(found),
        forms=PartForms(part, form),
        form=form,
        devices=host_devices.list_devices(ctx, vm.host_id) if ctx.can("vm.host-access") else None,
        choices=choices.list_choices(ctx, vm.host_id),
        words={
            "watchdog": create_form.options_of(ComputePatch, "watchdog"),
            "numa_mode": create_form.options_of(ResourcesPatch, "numa_mode"),
            "cache": create_form.options_of(DiskPatch, "cache"),
            "io": create_form.options_of(DiskPatch, "io"),
        },
    )
