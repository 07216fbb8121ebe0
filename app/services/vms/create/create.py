"""Creating VMs: see what would be made, then have it made. One task per VM."""

from __future__ import annotations

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import ref, visible
from app.access.names import look_alikes
from app.capacity.placement import ChosenHost, allocated_memory, choose_host, take_turn
from app.core.errors import InvalidInput, VigieError
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.problems import problem_of
from app.core.records import Ref
from app.core.tasks.records import BulkRecord, BulkRefusal, TaskRecord
from app.core.vms import vm_defaults
from app.core.vms.config import DiskPlan, VolumePlan
from app.core.vms.create.creation_plan import CreationPlan, PlannedVolume, Room
from app.core.vms.create.spec import CloudInit, VmBatch, VmSpec
from app.db.models import Host, Pool, Task, Vm
from app.hypervisor.xml.domains import build
from app.services.hosts.manageable import require_open_to_new_vms
from app.services.storage.volumes.names import free_name
from app.services.vms.cloud_init import drive_content, known_drives
from app.services.vms.create.config_builder import Draft, draft, memory_of, os_variant_of
from app.services.vms.create.operation import CreateVm, CreateVmParameters
from app.services.vms.create.presets import with_user_data
from app.tasks import tasks
from app.tasks.submit import submit


def preview_vm(ctx: Ctx, spec: VmSpec) -> CreationPlan:
    """What would be made, where, and what it leaves free. Raises InvalidInput, Conflict as `create_vm` does."""
    ctx.require("vm.create")
    chosen, vm_draft = _plan(ctx, spec, spec.name)
    plan, room = vm_draft.config, _room(ctx, chosen.host, vm_draft)
    return CreationPlan(
        name=plan.name,
        host=ref(chosen.host),
        reason=ctx.say(chosen.reason, chosen.params) if chosen.reason else None,
        os_variant=vm_draft.os_variant.name if vm_draft.os_variant else None,
        machine=plan.machine,
        firmware=plan.firmware,
        hypervisor=plan.hypervisor,
        cpu=plan.cpu.model or plan.cpu.mode,
        vcpus=plan.cpu.vcpus,
        memory_bytes=plan.memory_bytes,
        video=plan.video,
        volumes=tuple(_planned_volumes(ctx, chosen.host, vm_draft)),
        networks=tuple(nic.source for nic in plan.nics),
        room=tuple(room),
        warnings=tuple(vm_draft.warnings),
        xml=build.domain(plan),
    )


def create_vm(ctx: Ctx, spec: VmSpec) -> TaskRecord:
    """Have a VM made; the task's target is the VM to be.

    Raises InvalidInput naming the field, Conflict (name_taken, no_host_fits, volume_in_use…), Busy when a VM of
    this name is being made on the host.
    """
    ctx.require("vm.create")
    return tasks.record_of(ctx, _submit(ctx, spec, spec.name, None))


def create_many(ctx: Ctx, batch: VmBatch) -> BulkRecord:
    """Have several VMs made from one specification: a task for each that can be, a reason for each other."""
    ctx.require("vm.create")
    batch_id = new_id(ObjectKind.TASK)
    started, refused = [], []
    for name in batch.names():
        try:
            started.append(tasks.record_of(ctx, _submit(ctx, batch.spec, name, batch_id)))
        except VigieError as error:
            vm = Ref(kind=ObjectKind.VM, id="", name=name)
            refused.append(BulkRefusal(vm=vm, problem=problem_of(error, ctx.translate)))
    return BulkRecord(batch_id=batch_id, tasks=started, refused=refused)


def _submit(ctx: Ctx, spec: VmSpec, name: str, batch_id: str | None) -> Task:
    take_turn(ctx)
    chosen, vm_draft = _plan(ctx, spec, name)
    plan, host = vm_draft.config, chosen.host
    parameters = CreateVmParameters(
        target_id=new_id(ObjectKind.VM),
        host_id=host.id,
        config=plan,
        cloud_init_drive=ctx.services.vault.seal(vm_draft.cloud_init_drive).decode()
        if vm_draft.cloud_init_drive
        else None,
        start=spec.start,
        autostart=spec.autostart,
        tags=tuple(spec.tags),
        notes=spec.notes,
    )
    if vm_draft.cloud_init_drive and spec.cloud_init is not None:
        keep = spec.cloud_init.keep_drive
        known_drives.note(ctx, parameters.target_id, host.id, plan.disks[-1], keep=keep)
    task = submit(ctx, CreateVm, parameters, batch_id=batch_id)
    vm = Ref(kind=ObjectKind.VM, id=parameters.target_id, name=name)
    look_alikes.record_warning(ctx, Vm, name, target=vm, host=ref(host), task_id=task.id)
    return task


def _plan(ctx: Ctx, spec: VmSpec, name: str) -> tuple[ChosenHost, Draft]:
    spec = spec if name == spec.name else spec.model_copy(update={"name": name})
    chosen = choose_host(ctx, spec, memory_of(spec, os_variant_of(spec)))
    require_open_to_new_vms(ctx, chosen.host)
    vm_draft = draft(ctx, spec, chosen.host)
    if message := look_alikes.warning(ctx, Vm, name, chosen.host.id):
        vm_draft.warnings.append(message)
    if spec.cloud_init is not None:
        _add_cloud_init_drive(ctx, chosen.host, vm_draft, spec, with_user_data(ctx, spec.cloud_init))
    return chosen, vm_draft


def _add_cloud_init_drive(ctx: Ctx, host: Host, vm_draft: Draft, spec: VmSpec, cloud_init: CloudInit) -> None:
    """Add the cloud-init drive, in the pool of the first new disk. Raises InvalidInput (cloud_init)."""
    plan = vm_draft.config
    if not vm_draft.sources:
        raise InvalidInput("cloud_init", N_("needs a new disk: the cloud-init drive is put beside it"))
    vm_draft.cloud_init_drive = drive_content.cloud_init_texts(
        cloud_init, spec.name, plan.uuid, [nic.mac for nic in plan.nics]
    )
    bus = vm_defaults.cloud_init_bus_for(vm_draft.os_variant, plan.machine)
    pool = _pools(ctx, host)[vm_draft.sources[0].plan.pool]
    planned = [source.plan.name for source in vm_draft.sources]
    volume = VolumePlan(
        pool=pool.uuid,
        name=free_name(ctx, pool, f"{spec.name}-seed", "iso", planned),
        format="raw",
        size_bytes=len(drive_content.cloud_init_image(vm_draft.cloud_init_drive)),
    )
    (target,) = vm_defaults.disk_names([bus], [disk.target for disk in plan.disks])
    drive = DiskPlan(
        device="cdrom", bus=bus, target=target, new=volume, format="raw", readonly=True, pool_id=pool.id
    )
    vm_draft.config = plan.model_copy(update={"disks": (*plan.disks, drive)})


def _planned_volumes(ctx: Ctx, host: Host, vm_draft: Draft) -> list[PlannedVolume]:
    pools = _pools(ctx, host)
    images = {
        (source.plan.pool, source.plan.name): source.image.name for source in vm_draft.sources if source.image
    }
    return [
        PlannedVolume(
            pool=pools[disk.new.pool].name,
            name=disk.new.name,
            format=disk.new.format,
            size_bytes=disk.new.size_bytes,
            from_image=images.get((disk.new.pool, disk.new.name)),
            linked=disk.new.backing_path is not None,
        )
        for disk in vm_draft.config.disks
        if disk.new is not None
    ]


def _room(ctx: Ctx, host: Host, vm_draft: Draft) -> list[Room]:
    """Memory and pools now, and when the VM has all that it may use."""
    plan = vm_draft.config
    total = host.memory_bytes or 0
    free = total - allocated_memory(ctx.session, host.id)
    found = [
        Room(name="memory", total_bytes=total, free_bytes=free, after_bytes=free - plan.memory_max_bytes)
    ]
    needed: dict[str, int] = {}
    for disk in plan.disks:
        if disk.new is not None:
            needed[disk.new.pool] = needed.get(disk.new.pool, 0) + disk.new.size_bytes
    pools = _pools(ctx, host)
    for uuid, size in needed.items():
        pool = pools[uuid]
        left = pool.available_bytes - size
        found.append(
            Room(
                name=pool.name,
                total_bytes=pool.capacity_bytes,
                free_bytes=pool.available_bytes,
                after_bytes=left,
            )
        )
        if left < 0:
            vm_draft.warnings.append(
                ctx.say(
                    N_("When its disks are full, pool %(pool)s lacks %(size)d MiB."),
                    {"pool": pool.name, "size": -left // 1024**2},
                )
            )
    if found[0].after_bytes < 0:
        vm_draft.warnings.append(
            ctx.say(
                N_("With this VM, %(size)d MiB more memory is allocated than the host has."),
                {"size": -found[0].after_bytes // 1024**2},
            )
        )
    return found


def _pools(ctx: Ctx, host: Host) -> dict[str, Pool]:
    query = visible(ctx, sa.select(Pool).where(Pool.host_id == host.id), Pool, "pool.view")
    return {pool.uuid: pool for pool in ctx.session.scalars(query)}
