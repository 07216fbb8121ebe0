"""Making a VM: its volumes, its seed, its definition, its start. All of it, or nothing of it."""

from __future__ import annotations

from functools import partial

from app.core.errors import HostError, VmGone
from app.core.messages import N_
from app.core.vms.config import Blueprint, DiskPlan
from app.core.vms.create import Creation
from app.core.vms.observations import VmObservation
from app.engine import leftovers
from app.engine.operations import operation
from app.engine.sending import deliver
from app.services.library import image_operations
from app.services.storage import task_checks, task_use
from app.services.storage.created_volumes import create_volume
from app.services.vms import cloud_init_drives, ownership
from app.services.vms.create.cloud_init import seed_image
from app.tasks.context import TaskContext
from app.tasks.errors import Cancelled, TaskFailed
from app.tasks.operation import Outcome

SHARE_OF_VOLUMES = 80  # percent of the work, as far as anybody can tell
SETTLE_S = 10.0


@operation("vm.create")
def create(context: TaskContext) -> Outcome:
    """Make a VM. A run after an interruption goes on with what the one before created."""
    asked = context.asked(Creation)
    plan = asked.blueprint
    try:
        if _look(context, plan) is None:
            _refuse_name(context, plan)
            for fetched in (disk.fetch for disk in plan.disks if disk.fetch is not None):
                image_operations.fetch(context, fetched)
            disks = [_make_disk(context, disk, number, plan) for number, disk in enumerate(plan.disks)]
            _write_seed(context, asked)
            task_checks.check_boot_files(context, plan)
            context.stop_if_asked()
            _define(context, plan.model_copy(update={"disks": tuple(disks)}))
        if asked.autostart:
            context.call(lambda host: host.set_autostart(plan.uuid, True))
        if asked.start:
            _start(context, plan)
    except (HostError, TaskFailed, Cancelled):
        context.roll_back()
        if not context.made:
            context.write(partial(cloud_init_drives.forget, vm_id=context.job.target_id))
        raise
    _settle(context, asked)
    return Outcome(N_("The VM was created."), result={"vm": context.job.target_id, "uuid": plan.uuid})


def _look(context: TaskContext, plan: Blueprint) -> VmObservation | None:
    try:
        return context.call(lambda host: host.read_vm(plan.uuid))
    except VmGone:
        return None


def _refuse_name(context: TaskContext, plan: Blueprint) -> None:
    if context.call(lambda host: host.machines.find(plan.name)) is not None:
        raise TaskFailed(
            "name_taken",
            N_("The name is taken."),
            why=N_("The host has a VM “%(name)s” by now."),
            hint=N_("Choose another name."),
            params={"name": plan.name},
        )


def _make_disk(context: TaskContext, disk: DiskPlan, number: int, plan: Blueprint) -> DiskPlan:
    """The disk with its volume made, if it has one to make, and the place of that."""
    task_checks.check_disk(context, disk)
    task_use.refuse_disk_in_use(context, plan.uuid, disk)
    if disk.new is None:
        return disk
    context.stop_if_asked()
    wanted = disk.new
    context.say(SHARE_OF_VOLUMES * number // len(plan.disks), N_("Making volume %(name)s."), name=wanted.name)
    made = create_volume(context, wanted)
    kind = made.kind if made.kind in ("file", "block") else "volume"
    return disk.model_copy(
        update={"new": None, "kind": kind, "path": made.path, "pool": wanted.pool, "volume": wanted.name}
    )


def _write_seed(context: TaskContext, asked: Creation) -> None:
    """Fill the last drive, which is the seed's, with what cloud-init is told."""
    volume = asked.blueprint.disks[-1].new if asked.seed and asked.blueprint.disks else None
    if asked.seed is None or volume is None:
        return
    image = seed_image(context.open_sealed(asked.seed))
    context.call(lambda host: host.storage.write_volume(volume.pool, volume.name, image))


def _define(context: TaskContext, plan: Blueprint) -> None:
    context.make(**leftovers.vm(plan.uuid))
    context.say(SHARE_OF_VOLUMES, N_("Defining the VM."))
    context.call(lambda host: host.machines.create(plan))


def _start(context: TaskContext, plan: Blueprint) -> None:
    context.say(SHARE_OF_VOLUMES + 10, N_("Starting the VM."))
    context.vm_uuid = plan.uuid
    if not context.look().state.is_active:
        deliver(context, lambda vm: vm.state.is_active, lambda host: host.start(plan.uuid))


def _settle(context: TaskContext, asked: Creation) -> None:
    """Have the VM in the inventory, with what people own of it, before the task ends."""
    vm = _look(context, asked.blueprint)
    if vm is None:
        return
    context.show_pools({disk.new.pool for disk in asked.blueprint.disks if disk.new is not None})
    for _ in range(3):
        context.show(vm)
        settle = partial(ownership.settle, vm_id=context.job.target_id, tags=asked.tags, notes=asked.notes)
        if context.write(settle):
            return
        context.pause(SETTLE_S / 10)
