"""Hardware of VMs: processors, memory, disks, interfaces."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from starlette.responses import Response

from app.access.context import Ctx
from app.core.records import Record
from app.core.tasks.records import TaskRecord
from app.core.vms.compute import (
    ComputePatch,
    ComputeRecord,
    DiskPatch,
    HardwareRecord,
    ResourcesPatch,
    ResourcesRecord,
)
from app.core.vms.create.spec import DiskSpec, NicSpec
from app.core.vms.devices import HardwarePatch, Media, NicPatch
from app.core.vms.host_devices import FilesystemAdd, HostDeviceAdd
from app.services.vms import hardware
from app.services.vms.definitions.version import definition_version
from app.services.vms.reconfigure import compute_request, devices_request, host_devices
from app.web.api.shapes import IfMatch, ObjectPath, Once, accepted, api_router, problems, tagged
from app.web.deps import Reader, Writer

router = api_router("vms")
TargetPath = Annotated[str, Path(pattern=r"^[a-z]{2,8}$", examples=["vda"])]
MacPath = Annotated[
    str, Path(pattern=r"^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$", examples=["52:54:00:12:34:56"])
]

AddressPath = Annotated[str, Path(pattern=r"^[0-9A-Fa-fx:.-]{4,64}$", examples=["0000:01:00.0"])]
TagPath = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,35}$", examples=["media"])]


@router.patch(
    "/vms/{id}/hardware",
    name="vm.reconfigure",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 412, 413),
)
def change_hardware(id: ObjectPath, patch: HardwarePatch, ctx: Writer, version: IfMatch) -> Response:
    """Other processors, memory, title or boot order. The task says what counts only after the next power-off."""
    return accepted(devices_request.change_hardware(ctx, id, patch, version))


@router.get(
    "/vms/{id}/hardware", name="vm.hardware", response_model=HardwareRecord, responses=problems(404, 409)
)
def show_hardware(id: ObjectPath, ctx: Reader) -> Response:
    """All hardware as the saved definition has it. The ETag is for changes: of an old one the host is not changed."""
    return tagged(hardware.show_hardware(ctx, id), definition_version(ctx, id))


@router.get(
    "/vms/{id}/compute", name="vm.compute", response_model=ComputeRecord, responses=problems(404, 409)
)
def show_compute(id: ObjectPath, ctx: Reader) -> Response:
    """Processor model, firmware, display and single devices as the saved definition has them."""
    return _part(ctx, id, ComputeRecord)


@router.patch(
    "/vms/{id}/compute",
    name="vm.change-compute",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 412, 413),
)
def change_compute(id: ObjectPath, patch: ComputePatch, ctx: Writer, version: IfMatch) -> Response:
    """Another processor model, firmware, display or single device. All count after the next power-off."""
    return accepted(compute_request.change_compute(ctx, id, patch, version))


@router.get(
    "/vms/{id}/resources", name="vm.resources", response_model=ResourcesRecord, responses=problems(404, 409)
)
def show_resources(id: ObjectPath, ctx: Reader) -> Response:
    """Shares, limits and pinning as the saved definition has them."""
    return _part(ctx, id, ResourcesRecord)


@router.patch(
    "/vms/{id}/resources",
    name="vm.change-resources",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 412, 413),
)
def change_resources(id: ObjectPath, patch: ResourcesPatch, ctx: Writer, version: IfMatch) -> Response:
    """Shares, limits and pinning of processors, and where memory comes from."""
    return accepted(compute_request.change_resources(ctx, id, patch, version))


@router.post(
    "/vms/{id}/disks",
    name="vm.add-disk",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 412, 413),
)
def add_disk(id: ObjectPath, disk: DiskSpec, ctx: Writer, version: IfMatch, repeat: Once) -> Response:
    """One more disk or drive: a new volume, an existing one, or a copy of an image."""
    return repeat.once(ctx, lambda: accepted(devices_request.add_disk(ctx, id, disk, version)))


@router.delete(
    "/vms/{id}/disks/{target}",
    name="vm.remove-disk",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 412),
)
def remove_disk(id: ObjectPath, target: TargetPath, ctx: Writer, version: IfMatch) -> Response:
    """Take a disk or drive from the VM; its volume stays."""
    return accepted(devices_request.remove_device(ctx, id, target, version))


@router.patch(
    "/vms/{id}/disks/{target}",
    name="vm.change-disk",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 412, 413),
)
def change_disk(
    id: ObjectPath, target: TargetPath, patch: DiskPatch, ctx: Writer, version: IfMatch
) -> Response:
    """Other limits of a disk, at once where the hypervisor can; cache, io and discard after the next power-off."""
    return accepted(compute_request.change_disk(ctx, id, target, patch, version))


@router.put(
    "/vms/{id}/disks/{target}/media",
    name="vm.change-media",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 412, 413),
)
def change_media(id: ObjectPath, target: TargetPath, media: Media, ctx: Writer, version: IfMatch) -> Response:
    """Another medium in a CD or floppy drive, or none."""
    return accepted(devices_request.change_media(ctx, id, target, media, version))


@router.post(
    "/vms/{id}/nics",
    name="vm.add-nic",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 412, 413),
)
def add_nic(id: ObjectPath, nic: NicSpec, ctx: Writer, version: IfMatch, repeat: Once) -> Response:
    """One more network interface."""
    return repeat.once(ctx, lambda: accepted(devices_request.add_nic(ctx, id, nic, version)))


@router.patch(
    "/vms/{id}/nics/{mac}",
    name="vm.change-nic",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 412, 413),
)
def change_nic(id: ObjectPath, mac: MacPath, patch: NicPatch, ctx: Writer, version: IfMatch) -> Response:
    """Plug the cable in or out, plug it into another network of the host, change its filter or rates."""
    return accepted(devices_request.change_nic(ctx, id, mac, patch, version))


@router.delete(
    "/vms/{id}/nics/{mac}",
    name="vm.remove-nic",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 412),
)
def remove_nic(id: ObjectPath, mac: MacPath, ctx: Writer, version: IfMatch) -> Response:
    """Take an interface from the VM."""
    return accepted(devices_request.remove_device(ctx, id, mac.lower(), version))


@router.post(
    "/vms/{id}/host-devices",
    name="vm.add-host-device",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 412, 413),
)
def add_device(
    id: ObjectPath, device: HostDeviceAdd, ctx: Writer, version: IfMatch, repeat: Once
) -> Response:
    """Give a device of the host to the VM. Needs vm.host-access."""
    return repeat.once(ctx, lambda: accepted(host_devices.add_device(ctx, id, device, version)))


@router.delete(
    "/vms/{id}/host-devices/{address}",
    name="vm.remove-device",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 412),
)
def remove_device(id: ObjectPath, address: AddressPath, ctx: Writer, version: IfMatch) -> Response:
    """Give a device back to the host."""
    return accepted(host_devices.remove_device(ctx, id, address.lower(), version))


@router.post(
    "/vms/{id}/filesystems",
    name="vm.add-filesystem",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 412, 413),
)
def add_filesystem(
    id: ObjectPath, filesystem: FilesystemAdd, ctx: Writer, version: IfMatch, repeat: Once
) -> Response:
    """Share a folder of the host with the VM. Needs vm.host-access."""
    return repeat.once(ctx, lambda: accepted(host_devices.add_filesystem(ctx, id, filesystem, version)))


@router.delete(
    "/vms/{id}/filesystems/{tag}",
    name="vm.remove-filesystem",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 412),
)
def remove_filesystem(id: ObjectPath, tag: TagPath, ctx: Writer, version: IfMatch) -> Response:
    """Share a folder no more."""
    return accepted(host_devices.remove_filesystem(ctx, id, tag, version))


def _part(ctx: Ctx, id: str, part: type[Record]) -> Response:
    """A part of the hardware, with the ETag of the whole."""
    whole = hardware.show_hardware(ctx, id)
    shown = part.model_validate(whole.model_dump(include=set(part.model_fields)))
    return tagged(shown, definition_version(ctx, id))
