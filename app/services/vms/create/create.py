"""Creating VMs: see what would be made, then have it made. One task per VM."""

from __future__ import annotations

import sqlalchemy as sa

from app.access import look_alikes
from app.access.context import Ctx
from app.access.find import ref, visible
from app.capacity.placement import Place, allocated_memory, choose_host, take_turn
from app.core.errors import InvalidInput, VigieError
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.problems import problem_of
from app.core.records import Ref
from app.core.tasks.records import BulkRecord, BulkRefusal, TaskRecord
from app.core.vms import device_defaults
from app.core.vms.config import DiskPlan, VolumePlan
from app.core.vms.create import CreationPlan, PlannedVolume, Room
from app.core.vms.create_spec import CloudInit, VmBatch, VmSpec
from app.db.models import Host, Pool, Task, Vm
from app.hypervisor.xml.domains import build
from app.services.hosts.checks import require_workable
from app.services.storage.volumes.names import free_name
from app.services.vms.cloud_init import drives, texts
from app.services.vms.create.config_builder import Draft, draft, memory_of, system_of
from app.services.vms.create.operation import CreateVm, CreateVmParameters
from app.services.vms.create.presets import with_user_data
from app.tasks import tasks
from app.tasks.submit import submit


def preview_vm(ctx: Ctx, spec: VmSpec) -> CreationPlan:
    """What would be made, where, and what it leaves free. Raises InvalidInput, Conflict as `create_vm` does."""
    ctx.require("vm.create")
    place, made = _plan(ctx, spec, spec.name)
    plan, room = made.blueprint, _room(ctx, place.host, made)
    return CreationPlan(
        name=plan.name,
        host=ref(place.host),
        reason=ctx.say(place.reason, place.params) if place.reason else None,
        system=made.system.name if made.system else None,
        machine=plan.machine,
        firmware=plan.firmware,
        hypervisor=plan.hypervisor,
        cpu=plan.cpu.model or plan.cpu.mode,
        vcpus=plan.cpu.vcpus,
        memory_bytes=plan.memory_bytes,
        video=plan.video,
        volumes=tuple(_planned_volumes(ctx, place.host, made)),
        networks=tuple(nic.source for nic in plan.nics),
        room=tuple(room),
        warnings=tuple(made.warnings),
        xml=build.domain(plan),
    )


def create_vm(ctx: Ctx, spec: VmSpec) -> TaskRecord:
    """Have a VM made; the task's target is the VM to be.

    Raises InvalidInput naming the field, Conflict (name_taken, no_host_fits, volume_in_use…), Busy when a VM of
    this name is being made on the host.
    """
    ctx.require("vm.create")
    return tasks.record_of(ctx, _submit(ctx, spec, spec.name, None))


def create_many(ctx: Ctx, asked: VmBatch) -> BulkRecord:
    """Have several VMs made from one specification: a task for each that can be, a reason for each other."""
    ctx.require("vm.create")
    batch_id = new_id(ObjectKind.TASK)
    started, refused = [], []
    for name in asked.names():
        try:
            started.append(tasks.record_of(ctx, _submit(ctx, asked.spec, name, batch_id)))
        except VigieError as error:
            vm = Ref(kind=ObjectKind.VM, id="", name=name)
            refused.append(BulkRefusal(vm=vm, problem=problem_of(error, ctx.translate)))
    return BulkRecord(batch_id=batch_id, tasks=started, refused=refused)


def _submit(ctx: Ctx, spec: VmSpec, name: str, batch_id: str | None) -> Task:
    take_turn(ctx)
    place, made = _plan(ctx, spec, name)
    plan, host = made.blueprint, place.host
    parameters = CreateVmParameters(
        target_id=new_id(ObjectKind.VM),
        host_id=host.id,
        blueprint=plan,
        seed=ctx.services.vault.seal(made.seed).decode() if made.seed else None,
        start=spec.start,
        autostart=spec.autostart,
        tags=tuple(spec.tags),
        notes=spec.notes,
    )
    if made.seed and spec.cloud_init is not None:
        keep = spec.cloud_init.keep_seed
        drives.note(ctx, parameters.target_id, host.id, plan.disks[-1], keep=keep)
    task = submit(ctx, CreateVm, parameters, batch_id=batch_id)
    vm = Ref(kind=ObjectKind.VM, id=parameters.target_id, name=name)
    look_alikes.record_warning(ctx, Vm, name, target=vm, host=ref(host), task_id=task.id)
    return task


def _plan(ctx: Ctx, spec: VmSpec, name: str) -> tuple[Place, Draft]:
    spec = spec if name == spec.name else spec.model_copy(update={"name": name})
    place = choose_host(ctx, spec, memory_of(spec, system_of(spec)))
    require_workable(ctx, place.host)
    made = draft(ctx, spec, place.host)
    if said := look_alikes.warning(ctx, Vm, name, place.host.id):
        made.warnings.append(said)
    if spec.cloud_init is not None:
        _add_seed(ctx, place.host, made, spec, with_user_data(ctx, spec.cloud_init))
    return place, made


def _add_seed(ctx: Ctx, host: Host, made: Draft, spec: VmSpec, asked: CloudInit) -> None:
    """A drive with the seed, in the pool of the first disk that is made. Raises InvalidInput (cloud_init)."""
    plan = made.blueprint
    if not made.sources:
        raise InvalidInput("cloud_init", N_("needs a disk that is made, beside which the seed is put"))
    made.seed = texts.seed_texts(asked, spec.name, plan.uuid, [nic.mac for nic in plan.nics])
    bus = device_defaults.seed_bus_for(made.system, plan.machine)
    pool = _pools(ctx, host)[made.sources[0].plan.pool]
    planned = [source.plan.name for source in made.sources]
    volume = VolumePlan(
        pool=pool.uuid,
        name=free_name(ctx, pool, f"{spec.name}-seed", "iso", planned),
        format="raw",
        size_bytes=len(texts.seed_image(made.seed)),
    )
    (target,) = device_defaults.disk_names([bus], [disk.target for disk in plan.disks])
    drive = DiskPlan(
        device="cdrom", bus=bus, target=target, new=volume, format="raw", readonly=True, pool_id=pool.id
    )
    made.blueprint = plan.model_copy(update={"disks": (*plan.disks, drive)})


def _planned_volumes(ctx: Ctx, host: Host, made: Draft) -> list[PlannedVolume]:
    pools = _pools(ctx, host)
    images = {
        (source.plan.pool, source.plan.name): source.image.name for source in made.sources if source.image
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
        for disk in made.blueprint.disks
        if disk.new is not None
    ]


def _room(ctx: Ctx, host: Host, made: Draft) -> list[Room]:
    """Memory and pools now, and when the VM has all that it may use."""
    plan = made.blueprint
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
            made.warnings.append(
                ctx.say(
                    N_("When its disks are full, pool %(pool)s lacks %(size)d MiB."),
                    {"pool": pool.name, "size": -left // 1024**2},
                )
            )
    if found[0].after_bytes < 0:
        made.warnings.append(
            ctx.say(
                N_("With this VM, %(size)d MiB more memory is promised than the host has."),
                {"size": -found[0].after_bytes // 1024**2},
            )
        )
    return found


def _pools(ctx: Ctx, host: Host) -> dict[str, Pool]:
    query = visible(ctx, sa.select(Pool).where(Pool.host_id == host.id), Pool, "pool.view")
    return {pool.uuid: pool for pool in ctx.session.scalars(query)}
