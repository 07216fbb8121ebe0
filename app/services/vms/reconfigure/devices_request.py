"""Changes of a VM's hardware: each is a task, done at once where the hypervisor can, else after the power-off."""

from __future__ import annotations

import re
from typing import TypeVar

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import visible
from app.core.errors import InvalidInput
from app.core.messages import N_
from app.core.networks.attachments import Attachment
from app.core.tasks.records import TaskRecord
from app.core.vms.config import DiskPlan
from app.core.vms.create.spec import DiskSpec, NicSpec, VmSpec
from app.core.vms.devices import HardwarePatch, Media, NicPatch
from app.core.vms.observations import StoredDefinition
from app.db.models import Host, Network, Nwfilter
from app.services.vms.create.config_builder import capabilities_of
from app.services.vms.create.disk_planner import plan_disks
from app.services.vms.create.nic_planner import plan_nics
from app.services.vms.definitions.stored_definition import device_of, saved_of, targets_of
from app.services.vms.host_access import require_attachments
from app.services.vms.reconfigure.any_change import AnyChange
from app.services.vms.reconfigure.compute_changes import SetBootOrder, SetMemory, SetTitle, SetVcpus
from app.services.vms.reconfigure.device_changes import AddDisk, AddNic, ChangeMedia, ChangeNic, RemoveDevice
from app.services.vms.reconfigure.editable_vm import find_editable
from app.services.vms.reconfigure.operation import submit_changes

C = TypeVar("C", SetVcpus, SetMemory)
_UNFIT = re.compile(r"[\x00-\x1f\x7f/\\]")


def change_hardware(ctx: Ctx, vm_id: str, patch: HardwarePatch, version: int | None = None) -> TaskRecord:
    """Ask for other processors, memory, title or boot order.

    Raises InvalidInput naming the field, EditConflict when `version` is not that of the saved definition, Busy.
    """
    vm, host, definition = find_editable(ctx, vm_id, version)
    parsed = saved_of(definition)
    changes: list[AnyChange] = []
    if patch.vcpus is not None or patch.vcpus_max is not None:
        changes += _parts(_vcpus(ctx, host, parsed, patch))
    if patch.memory_bytes is not None or patch.memory_max_bytes is not None:
        changes += _parts(_memory(ctx, host, parsed, patch))
    if patch.title is not None:
        changes.append(SetTitle(text=patch.title))
    if patch.boot is not None:
        changes.append(_boot(parsed, patch.boot))
    return submit_changes(ctx, vm, definition, version, changes)


def add_disk(ctx: Ctx, vm_id: str, spec: DiskSpec, version: int | None = None) -> TaskRecord:
    """Ask for one more disk or drive: with a new volume, an existing one, or from an image.

    Raises InvalidInput (disk.…), Conflict (volume_in_use, pool_full…), Busy.
    """
    vm, host, definition = find_editable(ctx, vm_id, version)
    parsed = saved_of(definition)
    try:
        (plan,), _ = plan_disks(
            ctx,
            [spec],
            host,
            _stem(vm.name),
            machine=parsed.get("machine"),
            os_variant=None,
            capabilities=capabilities_of(ctx, host),
            taken=targets_of(definition),
        )
    except InvalidInput as error:
        raise _renamed(error, "disks.0", "disk") from None
    return submit_changes(ctx, vm, definition, version, [AddDisk(disk=plan)])


def add_nic(ctx: Ctx, vm_id: str, nic: NicSpec, version: int | None = None) -> TaskRecord:
    """Ask for one more network interface. Raises InvalidInput (nic.…), Busy."""
    vm, host, definition = find_editable(ctx, vm_id, version)
    spec = VmSpec(name="vm", nics=[nic])
    machine = saved_of(definition).get("machine")
    try:
        (plan,) = plan_nics(ctx, spec, host, machine=machine, os_variant=None)
    except InvalidInput as error:
        raise _renamed(error, "nics.0", "nic") from None
    return submit_changes(ctx, vm, definition, version, [AddNic(nic=plan)])


def remove_device(ctx: Ctx, vm_id: str, key: str, version: int | None = None) -> TaskRecord:
    """Ask for the end of a disk (by target) or interface (by MAC address); its volume stays. Raises NotFound, Busy."""
    vm, _host, definition = find_editable(ctx, vm_id, version)
    device_of(definition, key)
    return submit_changes(ctx, vm, definition, version, [RemoveDevice(target=key)])


def change_media(ctx: Ctx, vm_id: str, target: str, media: Media, version: int | None = None) -> TaskRecord:
    """Ask for another medium in a drive, or none. Raises NotFound, InvalidInput, Busy."""
    vm, host, definition = find_editable(ctx, vm_id, version)
    drive = device_of(definition, target)
    if "device" not in drive or drive["device"] not in ("cdrom", "floppy"):
        raise InvalidInput("target", N_("is no drive: media lie in CD and floppy drives"))
    plan = None
    if media.volume_id or media.image_id:
        if drive["device"] == "floppy" and not drive["readonly"]:
            raise InvalidInput(
                "target",
                N_("is a floppy drive that the guest may write to; media go only into read-only ones"),
                hint=N_("Take the drive away and add a new one: that is read-only."),
            )
        disk_spec = DiskSpec(device=drive["device"], bus=drive["bus"] or None, **media.model_dump())
        capabilities = capabilities_of(ctx, host)
        try:
            (plan,), _ = plan_disks(
                ctx, [disk_spec], host, "vm", machine=None, os_variant=None, capabilities=capabilities
            )
        except InvalidInput as error:
            raise _renamed(error, "disks.0.", "") from None
        plan = DiskPlan.model_validate(plan.model_dump() | {"target": target})
    return submit_changes(ctx, vm, definition, version, [ChangeMedia(target=target, disk=plan)])


def change_nic(ctx: Ctx, vm_id: str, mac: str, patch: NicPatch, version: int | None = None) -> TaskRecord:
    """Ask for a cable plugged in or out, another network, filter or rates.

    Raises NotFound, InvalidInput (network_id, filter), Busy.
    """
    vm, host, definition = find_editable(ctx, vm_id, version)
    device_of(definition, mac)
    network = None
    if patch.network_id is not None:
        require_attachments(ctx, host, [Attachment("network", patch.network_id)])
        query = sa.select(Network).where(Network.id == patch.network_id, Network.host_id == host.id)
        found = ctx.session.scalar(visible(ctx, query, Network, "network.view"))
        if found is None:
            raise InvalidInput("network_id", N_("names no network of this host"))
        network = found.name
    filters = sa.select(Nwfilter.id).where(Nwfilter.host_id == host.id, Nwfilter.name == patch.filter)
    if patch.filter and not ctx.session.scalar(visible(ctx, filters, Nwfilter, "network.view")):
        raise InvalidInput("filter", N_("names no network filter of this host"))
    plain = patch.model_dump(include={"link_up", "filter", "in_kbps", "out_kbps"})
    change = ChangeNic(mac=mac.lower(), network=network, network_id=patch.network_id, **plain)
    return submit_changes(ctx, vm, definition, version, [change])


def _vcpus(ctx: Ctx, host: Host, parsed: StoredDefinition, patch: HardwarePatch) -> SetVcpus:
    maximum = patch.vcpus_max or parsed["vcpus_max"]
    capabilities = capabilities_of(ctx, host)
    if maximum > capabilities.vcpus_max:
        raise InvalidInput(
            "vcpus_max", N_("must be at most %(most)d on this host"), params={"most": capabilities.vcpus_max}
        )
    if (patch.vcpus or 1) > maximum:
        raise InvalidInput(
            "vcpus",
            N_("must be at most %(most)d, the VM's maximum"),
            params={"most": maximum},
            hint=N_("Raise vcpus_max too; that counts after the next power-off."),
        )
    return SetVcpus(count=patch.vcpus, maximum=patch.vcpus_max)


def _memory(ctx: Ctx, host: Host, parsed: StoredDefinition, patch: HardwarePatch) -> SetMemory:
    maximum = patch.memory_max_bytes or parsed["memory_max_bytes"]
    if (patch.memory_bytes or 0) > maximum:
        raise InvalidInput(
            "memory_bytes",
            N_("must be at most %(most)d bytes, the VM's maximum"),
            params={"most": maximum},
            hint=N_("Raise memory_max_bytes too; that counts after the next power-off."),
        )
    if patch.memory_max_bytes and host.memory_bytes and patch.memory_max_bytes > host.memory_bytes:
        raise InvalidInput(
            "memory_max_bytes",
            N_("is more than the host has (%(most)d bytes)"),
            params={"most": host.memory_bytes},
        )
    return SetMemory(count=patch.memory_bytes, maximum=patch.memory_max_bytes)


def _parts(step: C) -> list[C]:
    """The maximum, which counts after the next power-off, and the present count: a step for each that is asked for."""
    maximum = [step.model_copy(update={"count": None})] if step.maximum is not None else []
    return maximum + ([step.model_copy(update={"maximum": None})] if step.count is not None else [])


def _boot(parsed: StoredDefinition, order: list[str]) -> SetBootOrder:
    known = {disk["target"] for disk in parsed.get("disks", ())}
    known |= {nic["mac"].lower() for nic in parsed.get("nics", ())}
    for number, key in enumerate(order):
        if key.lower() not in known:
            raise InvalidInput(f"boot.{number}", N_("is no disk or interface of this VM"))
    return SetBootOrder(order=tuple(key.lower() for key in order))


def _stem(name: str) -> str:
    """What files of a VM are named after: hosts take names of VMs that no file should have."""
    return _UNFIT.sub("-", name).lstrip(".-")[:63] or "vm"


def _renamed(error: InvalidInput, old: str, new: str) -> InvalidInput:
    field = error.field.replace(old, new, 1)
    return InvalidInput(field, error.rule, params=error.params, hint=error.hint)
