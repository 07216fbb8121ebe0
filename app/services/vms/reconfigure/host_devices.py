"""Devices and shared filesystems of hosts, given to VMs by those who may let a guest reach its host."""

from __future__ import annotations

import sqlalchemy as sa
from pydantic import TypeAdapter

from app.access.context import Ctx
from app.access.find import find, unrestricted, visible
from app.core.errors import Conflict, InvalidInput, NotFound
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.notices import DEVICES
from app.core.records import Ref
from app.core.tasks.records import TaskRecord
from app.core.vms.host_devices import (
    DevicePlan,
    FilesystemAdd,
    HostDevice,
    HostDeviceAdd,
    HostDeviceList,
    HostDeviceRecord,
)
from app.core.vms.states import VmState
from app.db.models import Host, HostCapabilities, Vm, VmDefinition
from app.services.vms.create.config_builder import capabilities_of
from app.services.vms.hardware import show_hardware
from app.services.vms.reconfigure.device_changes import (
    AddFilesystem,
    AddHostDevice,
    RemoveFilesystem,
    RemoveHostDevice,
)
from app.services.vms.reconfigure.editable_vm import find_editable
from app.services.vms.reconfigure.operation import submit_changes

STORED = TypeAdapter(list[HostDevice])


def list_devices(ctx: Ctx, host_id: str) -> HostDeviceList:
    """Devices of a host with the VMs that have them. Asking makes the engine read them. Raises NotFound."""
    host = find(ctx, Host, host_id, "host.view")
    ctx.services.hub.publish([DEVICES + host.id])
    row = ctx.session.get(HostCapabilities, host.id)
    if row is None or row.devices is None:
        return HostDeviceList(items=(), read_at=None)
    users = _users(ctx, host, to_show=True)
    return HostDeviceList(
        items=tuple(
            HostDeviceRecord(
                **{name: getattr(item, name) for name in HostDeviceRecord.model_fields if name != "users"},
                users=tuple(users.get(item.address, ())),
            )
            for item in STORED.validate_python(row.devices)
        ),
        read_at=row.devices_read_at,
    )


def add_device(ctx: Ctx, vm_id: str, spec: HostDeviceAdd, version: int | None = None) -> TaskRecord:
    """Ask for a device of the host. Raises InvalidInput (name), Conflict (device_in_use), NotAllowed, Busy."""
    vm, host, definition = find_editable(ctx, vm_id, version, privilege="vm.host-access")
    row = ctx.session.get(HostCapabilities, host.id)
    known = STORED.validate_python(row.devices or []) if row is not None else []
    device = next((item for item in known if item.name == spec.name), None)
    if device is None:
        hint = N_("List the host's devices first; they are read then.")
        raise InvalidInput("name", N_("names no device of this host"), hint=hint)
    users = [item for item in _users(ctx, host).get(device.address, ()) if item.id != vm.id]
    if users:
        raise Conflict(
            N_("Another VM has this device."),
            why=N_("It belongs to %(users)s."),
            hint=N_("Take it from there first."),
            code="device_in_use",
            params={"users": ", ".join(user.name for user in users)},
        )
    if device.kind == "pci" and device.iommu_group is None:
        raise Conflict(
            N_("This device cannot be given to a VM."),
            why=N_("The host has no IOMMU in use, so a guest could reach all of its memory."),
            hint=N_("Turn on VT-d or AMD-Vi in the firmware, and the IOMMU in the kernel."),
            code="no_iommu",
        )
    plan = DevicePlan(kind=device.kind, address=device.address)
    return submit_changes(ctx, vm, definition, version, [AddHostDevice(device=plan)])


def remove_device(ctx: Ctx, vm_id: str, address: str, version: int | None = None) -> TaskRecord:
    """Ask that a device of the host is given back. Raises NotFound, Busy."""
    vm, _host, definition = find_editable(ctx, vm_id, version)
    if all(host_device.address != address for host_device in show_hardware(ctx, vm_id).host_devices):
        raise NotFound(N_("The VM has no such device."))
    return submit_changes(ctx, vm, definition, version, [RemoveHostDevice(target=address)])


def add_filesystem(ctx: Ctx, vm_id: str, spec: FilesystemAdd, version: int | None = None) -> TaskRecord:
    """Ask to share a directory of the host. Raises InvalidInput (path, tag, driver), NotAllowed, Busy."""
    vm, host, definition = find_editable(ctx, vm_id, version, privilege="vm.host-access")
    if any(filesystem.tag == spec.tag for filesystem in show_hardware(ctx, vm_id).filesystems):
        raise InvalidInput("tag", N_("is that of another folder of this VM"))
    offered = capabilities_of(ctx, host).filesystems
    if spec.driver == "virtiofs" and offered and "virtiofs" not in offered:
        raise InvalidInput(
            "driver", N_("the host has no virtiofs"), hint=N_("Install virtiofsd, or take 9p.")
        )
    return submit_changes(ctx, vm, definition, version, [AddFilesystem(filesystem=spec)])


def remove_filesystem(ctx: Ctx, vm_id: str, tag: str, version: int | None = None) -> TaskRecord:
    """Ask that a filesystem is shared no more. Raises NotFound, Busy."""
    vm, _host, definition = find_editable(ctx, vm_id, version)
    if all(filesystem.tag != tag for filesystem in show_hardware(ctx, vm_id).filesystems):
        raise NotFound(N_("The VM has no such folder."))
    return submit_changes(ctx, vm, definition, version, [RemoveFilesystem(target=tag)])


def _users(ctx: Ctx, host: Host, *, to_show: bool = False) -> dict[str, list[Ref]]:
    """The VMs of the host that have devices of it, by address: all, or those that the asker may see."""
    query = sa.select(Vm.id, Vm.name, VmDefinition.parsed["devices"], VmDefinition.saved_parsed["devices"])
    query = query.join(VmDefinition, VmDefinition.vm_id == Vm.id).where(Vm.host_id == host.id)
    found: dict[str, list[Ref]] = {}
    query = query.where(Vm.state != VmState.MISSING.value, Vm.host_access.is_not(None)).order_by(Vm.name_key)
    query = visible(ctx, query, Vm, "vm.view") if to_show else unrestricted(query)
    for vm_id, name, *lists in ctx.session.execute(query):
        addresses = {
            device["summary"].split(" ")[-1]
            for devices in lists
            for device in devices or ()
            if device["kind"] == "hostdev"
        }
        for address in addresses:
            found.setdefault(address, []).append(Ref(kind=ObjectKind.VM, id=vm_id, name=name))
    return found
