"""Making a VM: its volumes, its seed, its definition, its start. All of it, or nothing of it."""

from __future__ import annotations

from functools import partial

from app.core.errors import HostError, VmGone
from app.core.messages import N_
from app.core.vms.config import Blueprint, DiskPlan
from app.core.vms.create import Creation
from app.core.vms.observations import VmObservation
from app.engine import images, leftovers, volume_checks, volume_use
from app.engine.created_volumes import create_volume
from app.engine.operations import operation
from app.engine.run import Cancelled, Outcome, Run, TaskFailed
from app.engine.sending import deliver
from app.services.vms import cloud_init_drives, ownership
from app.services.vms.create.cloud_init import seed_image

SHARE_OF_VOLUMES = 80  # percent of the work, as far as anybody can tell
SETTLE_S = 10.0


@operation("vm.create")
def create(run: Run) -> Outcome:
    """Make a VM. A run after an interruption goes on with what the one before created."""
    asked = run.asked(Creation)
    plan = asked.blueprint
    try:
        if _look(run, plan) is None:
            _refuse_name(run, plan)
            for fetched in (disk.fetch for disk in plan.disks if disk.fetch is not None):
                images.fetch(run, fetched)
            disks = [_make_disk(run, disk, number, plan) for number, disk in enumerate(plan.disks)]
            _write_seed(run, asked)
            volume_checks.check_boot_files(run, plan)
            run.stop_if_asked()
            _define(run, plan.model_copy(update={"disks": tuple(disks)}))
        if asked.autostart:
            run.call(lambda host: host.set_autostart(plan.uuid, True))
        if asked.start:
            _start(run, plan)
    except (HostError, TaskFailed, Cancelled):
        run.take_back()
        if not run.made:
            run.write(partial(cloud_init_drives.forget, vm_id=run.job.target_id))
        raise
    _settle(run, asked)
    return Outcome(N_("The VM was created."), result={"vm": run.job.target_id, "uuid": plan.uuid})


def _look(run: Run, plan: Blueprint) -> VmObservation | None:
    try:
        return run.call(lambda host: host.read_vm(plan.uuid))
    except VmGone:
        return None


def _refuse_name(run: Run, plan: Blueprint) -> None:
    if run.call(lambda host: host.machines.find(plan.name)) is not None:
        raise TaskFailed(
            "name_taken",
            N_("The name is taken."),
            why=N_("The host has a VM “%(name)s” by now."),
            hint=N_("Choose another name."),
            params={"name": plan.name},
        )


def _make_disk(run: Run, disk: DiskPlan, number: int, plan: Blueprint) -> DiskPlan:
    """The disk with its volume made, if it has one to make, and the place of that."""
    volume_checks.check_disk(run, disk)
    volume_use.refuse_disk_in_use(run, plan.uuid, disk)
    if disk.new is None:
        return disk
    run.stop_if_asked()
    wanted = disk.new
    run.say(SHARE_OF_VOLUMES * number // len(plan.disks), N_("Making volume %(name)s."), name=wanted.name)
    made = create_volume(run, wanted)
    kind = made.kind if made.kind in ("file", "block") else "volume"
    return disk.model_copy(
        update={"new": None, "kind": kind, "path": made.path, "pool": wanted.pool, "volume": wanted.name}
    )


def _write_seed(run: Run, asked: Creation) -> None:
    """Fill the last drive, which is the seed's, with what cloud-init is told."""
    volume = asked.blueprint.disks[-1].new if asked.seed and asked.blueprint.disks else None
    if asked.seed is None or volume is None:
        return
    image = seed_image(run.open_sealed(asked.seed))
    run.call(lambda host: host.storage.write_volume(volume.pool, volume.name, image))


def _define(run: Run, plan: Blueprint) -> None:
    run.make(**leftovers.vm(plan.uuid))
    run.say(SHARE_OF_VOLUMES, N_("Defining the VM."))
    run.call(lambda host: host.machines.create(plan))


def _start(run: Run, plan: Blueprint) -> None:
    run.say(SHARE_OF_VOLUMES + 10, N_("Starting the VM."))
    run.vm_uuid = plan.uuid
    if not run.look().state.is_active:
        deliver(run, lambda vm: vm.state.is_active, lambda host: host.start(plan.uuid))


def _settle(run: Run, asked: Creation) -> None:
    """Have the VM in the inventory, with what people own of it, before the task ends."""
    vm = _look(run, asked.blueprint)
    if vm is None:
        return
    run.show_pools({disk.new.pool for disk in asked.blueprint.disks if disk.new is not None})
    for _ in range(3):
        run.show(vm)
        settle = partial(ownership.settle, vm_id=run.job.target_id, tags=asked.tags, notes=asked.notes)
        if run.write(settle):
            return
        run.pause(SETTLE_S / 10)
