"""Hardware of VMs: processors, memory, disks, interfaces, names."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from app.core.hardware import HardwarePatch, Medium, NicPatch, RenameSpec
from app.core.records import TaskRecord
from app.core.vmspec import DiskSpec, NicSpec
from app.services import hardware
from app.web.api.shapes import ObjectPath, Once, accepted, api_router, problems
from app.web.deps import Writer

router = api_router("vms")
TargetPath = Annotated[str, Path(pattern=r"^[a-z]{2,8}$", examples=["vda"])]
MacPath = Annotated[
    str, Path(pattern=r"^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$", examples=["52:54:00:12:34:56"])
]


@router.patch(
    "/vms/{id}/hardware",
    name="vm.change",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def change_hardware(id: ObjectPath, patch: HardwarePatch, ctx: Writer) -> Response:
    """Other processors, memory, title or boot order. The task says what counts only after the next power-off."""
    return accepted(hardware.change_hardware(ctx, id, patch))


@router.post(
    "/vms/{id}/disks",
    name="vm.add_disk",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def add_disk(id: ObjectPath, disk: DiskSpec, ctx: Writer, repeat: Once) -> Response:
    """One more disk or drive: a new volume, an existing one, or a copy of an image."""
    return repeat.once(ctx, lambda: accepted(hardware.add_disk(ctx, id, disk)))


@router.delete(
    "/vms/{id}/disks/{target}",
    name="vm.remove_disk",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409),
)
def remove_disk(id: ObjectPath, target: TargetPath, ctx: Writer) -> Response:
    """Take a disk or drive from the VM; its volume stays."""
    return accepted(hardware.remove_device(ctx, id, target))


@router.put(
    "/vms/{id}/disks/{target}/medium",
    name="vm.medium",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def change_medium(id: ObjectPath, target: TargetPath, medium: Medium, ctx: Writer) -> Response:
    """Another medium in a CD or floppy drive, or none."""
    return accepted(hardware.change_medium(ctx, id, target, medium))


@router.post(
    "/vms/{id}/nics",
    name="vm.add_nic",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def add_nic(id: ObjectPath, nic: NicSpec, ctx: Writer, repeat: Once) -> Response:
    """One more network interface."""
    return repeat.once(ctx, lambda: accepted(hardware.add_nic(ctx, id, nic)))


@router.patch(
    "/vms/{id}/nics/{mac}",
    name="vm.change_nic",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def change_nic(id: ObjectPath, mac: MacPath, patch: NicPatch, ctx: Writer) -> Response:
    """Plug the cable in or out, or plug it into another network of the host."""
    return accepted(hardware.change_nic(ctx, id, mac, patch))


@router.delete(
    "/vms/{id}/nics/{mac}",
    name="vm.remove_nic",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409),
)
def remove_nic(id: ObjectPath, mac: MacPath, ctx: Writer) -> Response:
    """Take an interface from the VM."""
    return accepted(hardware.remove_device(ctx, id, mac.lower()))


@router.post(
    "/vms/{id}/rename",
    name="vm.rename",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def rename(id: ObjectPath, asked: RenameSpec, ctx: Writer, repeat: Once) -> Response:
    """Another name; the VM must be off."""
    return repeat.once(ctx, lambda: accepted(hardware.rename_vm(ctx, id, asked)))
