"""Requests to change a VM's compute settings, resources and disk limits; tasks do it."""

from __future__ import annotations

from app.access.context import Ctx
from app.core.errors import InvalidInput
from app.core.messages import N_
from app.core.tasks.records import TaskRecord
from app.core.vms.compute import ComputePatch, CpuSet, DiskPatch, ResourcesPatch
from app.db.models import Host
from app.services.vms.create.config_builder import capabilities_of, check_cpu, check_has, one_of
from app.services.vms.definitions.stored_definition import device_of, saved_of
from app.services.vms.reconfigure.compute_changes import SetCompute, SetResources
from app.services.vms.reconfigure.device_changes import ChangeDisk
from app.services.vms.reconfigure.editable_vm import find_editable
from app.services.vms.reconfigure.operation import submit_changes


def change_compute(ctx: Ctx, vm_id: str, patch: ComputePatch, version: int | None = None) -> TaskRecord:
    """Ask for other compute settings after the next power-off. Raises InvalidInput naming the field, Conflict, Busy."""
    vm, host, definition = find_editable(ctx, vm_id, version)
    capabilities = capabilities_of(ctx, host)
    if patch.cpu_mode is not None:
        check_cpu("cpu_mode", "cpu_model", patch.cpu_mode, patch.cpu_model, capabilities)
    if patch.topology is not None:
        shape, maximum = patch.topology, saved_of(definition).get("vcpus_max") or vm.vcpus
        if shape.sockets * shape.cores * shape.threads != maximum:
            rule = N_("sockets x cores x threads must be %(count)d, the VM's maximum of vCPUs")
            raise InvalidInput("topology", rule, params={"count": maximum})
    one_of("firmware", patch.firmware, capabilities.firmwares)
    one_of("video", patch.video, (*capabilities.video_models, "none"))
    if patch.graphics not in (None, "none"):
        one_of("graphics", patch.graphics, capabilities.graphics)
    check_has(capabilities, tpm=patch.tpm, huge_pages=patch.huge_pages)
    if patch.rng and not capabilities.rng:
        raise InvalidInput("rng", N_("the host has no random number device"))
    return submit_changes(ctx, vm, definition, version, [SetCompute(compute=patch)])


def change_resources(ctx: Ctx, vm_id: str, patch: ResourcesPatch, version: int | None = None) -> TaskRecord:
    """Ask for other limits and pins. Raises InvalidInput naming the field, Conflict, Busy."""
    vm, host, definition = find_editable(ctx, vm_id, version)
    maximum = saved_of(definition).get("vcpus_max") or vm.vcpus
    for number, pin in enumerate(patch.pins or ()):
        if pin.vcpu >= maximum:
            rule = N_("must be less than %(count)d, the VM's maximum of vCPUs")
            raise InvalidInput(f"pins.{number}.vcpu", rule, params={"count": maximum})
        _check_cpus(f"pins.{number}.cpus", pin.cpus, host)
    if patch.emulator_cpus:
        _check_cpus("emulator_cpus", patch.emulator_cpus, host)
    return submit_changes(ctx, vm, definition, version, [SetResources(resources=patch)])


def change_disk(
    ctx: Ctx, vm_id: str, target: str, patch: DiskPatch, version: int | None = None
) -> TaskRecord:
    """Ask for other limits of a disk, or another way to drive it. Raises NotFound, InvalidInput, Busy."""
    vm, _host, definition = find_editable(ctx, vm_id, version)
    device_of(definition, target)
    if patch.io == "native" and patch.cache not in ("none", "directsync"):
        raise InvalidInput("io", N_("io native needs cache none or directsync"))
    return submit_changes(ctx, vm, definition, version, [ChangeDisk(target=target, drive=patch)])


def _check_cpus(field: str, cpus: CpuSet, host: Host) -> None:
    """The numbers must be CPUs of the host, and the ranges run upwards."""
    for part in filter(None, cpus.split(",")):
        first, _, last = part.removeprefix("^").partition("-")
        if int(last or first) < int(first):
            raise InvalidInput(field, N_("has a range that runs backwards"))
        if host.cpus and int(last or first) >= host.cpus:
            rule = N_("names a CPU that the host does not have: it has %(count)d, from 0 on")
            raise InvalidInput(field, rule, params={"count": host.cpus})
