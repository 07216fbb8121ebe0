"""Move a volume to another pool of its host; the VM that has it follows, also while it runs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import find, known, unrestricted
from app.core.errors import HostError, InvalidInput
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.storage.created_volumes import volume_note
from app.core.storage.pools import NETWORK_POOLS
from app.core.storage.volumes import VolumeMove
from app.core.tasks.records import TaskRecord
from app.core.vms.config import VolumePlan
from app.db.models import Pool, Vm, Volume
from app.inventory.collectors.vms import VMS
from app.inventory.vms.readings import VmReadings
from app.services.storage.reread import reread_pools
from app.services.storage.volumes.checks import task_checks, task_use
from app.services.storage.volumes.checks.content_checks import recorded_format, require_usable
from app.services.storage.volumes.checks.refusals import in_use, refuse_narrow, refuse_taken, running_pool
from app.services.storage.volumes.locks import locks_of
from app.services.storage.volumes.operation import (
    VolumeOperation,
    VolumeParameters,
    copy_plan,
    place_of,
    still_there,
    volume_and_place,
)
from app.services.storage.volumes.steps import created_volumes
from app.services.storage.volumes.users import refuse_possibly_used, users_of
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.errors import Cancelled, TaskFailed
from app.tasks.locks import require_unlocked
from app.tasks.operation import Locks, Outcome, Plan, Touch
from app.tasks.submit import submit

MOVED = "moved"  # the note that the copy has taken the volume's place; it is no leftover any more


class MoveVolumeParameters(VolumeParameters):
    """Where it goes, and the VMs whose disk it is, by UUID and by id: one that follows, or none."""

    to: VolumePlan
    vms: tuple[str, ...] = ()
    to_pool_id: str | None = None
    vm_ids: tuple[str, ...] = ()

    @property
    def vm(self) -> str | None:
        """UUID of the VM that follows."""
        return self.vms[0] if self.vms else None


@declare
class MoveVolume(VolumeOperation[MoveVolumeParameters]):
    """Copy a volume to another pool, have its VM use the copy, then delete the old one.

    Until the VM uses the copy, whatever fails removes the copy; after that, the old one. A run after an interruption
    goes on with the copy that there is.
    """

    kind = "volume.move"
    title = N_("Move the volume")
    parameters = MoveVolumeParameters
    privilege = "volume.edit"
    cancellable = True

    def touches(self, parameters: MoveVolumeParameters) -> tuple[Touch, ...]:
        """The volume, both pools, and the VM that follows."""
        to = () if parameters.to_pool_id is None else (Touch(Pool, parameters.to_pool_id, "volume.edit"),)
        vms = (Touch(Vm, vm_id, "vm.edit") for vm_id in parameters.vm_ids)
        return (*super().touches(parameters), *to, *vms)

    def check(self, ctx: Ctx, parameters: MoveVolumeParameters) -> Plan:
        """One VM of the host may use it, and nothing else. Raises Conflict, InvalidInput (pool_id), Busy."""
        plan = super().check(ctx, parameters)
        volume, pool, host = volume_and_place(ctx.session, parameters.target_id)
        query = sa.select(Pool).where(Pool.host_id == host.id, Pool.uuid == parameters.to.pool)
        to = ctx.session.scalars(unrestricted(query)).one()
        locks = locks_of(ctx.session, pool, volume.name) | locks_of(ctx.session, to, volume.name)
        require_unlocked(ctx, *locks)
        vms = _followers(ctx, volume, parameters)
        if vms and to.kind in NETWORK_POOLS:
            raise InvalidInput(
                "pool_id",
                N_("volumes of a pool of kind %(kind)s have no path by which the VM could use its disk"),
                params={"kind": to.kind},
            )
        refuse_taken(ctx, to, volume.name)
        refuse_narrow(ctx, to, volume.allocation_bytes)
        require_usable(ctx, volume, host.id)
        return replace(plan, locks=plan.locks | Locks(holds=locks | {vm.id for vm in vms}, reads={to.id}))

    def run(self, context: TaskContext, parameters: MoveVolumeParameters) -> Outcome:
        """Move it."""
        vm, to = parameters.vm, parameters.to
        if context.noted(MOVED) is None and not _has_moved(context, parameters):
            _copy(context, parameters)
        users = _take_the_place(context, parameters)
        if vm is not None:
            context.report(VMS.part(VmReadings.single(context.call(lambda host: host.read_vm(vm)))))
        reread_pools(context, {parameters.pool, to.pool})
        result = {"name": to.name}
        if users:
            kept = N_("The volume was moved. The old one was left, since it is used by now by: %(names)s.")
            return Outcome(kept, {"names": users}, result)
        return Outcome(N_("The volume was moved."), result=result)


def move_volume(ctx: Ctx, volume_id: str, move: VolumeMove) -> TaskRecord:
    """Have a volume moved to another pool of its host; the VM that has it follows, also while it runs.

    Raises InvalidInput, Conflict (volume_in_use, volume_exists…), Busy.
    """
    volume = find(ctx, Volume, volume_id, "volume.edit")
    pool = known(ctx, Pool, volume.pool_id)
    to, host = running_pool(ctx, move.pool_id, "pool_id")
    if to.id == pool.id:
        raise InvalidInput("pool_id", N_("is the pool where it is"))
    if to.host_id != pool.host_id:
        raise InvalidInput("pool_id", N_("is a storage pool of another host"))
    users = users_of(ctx, [volume])[volume.id]
    query = sa.select(Vm).where(Vm.id.in_([user.id for user in users]))
    vms = list(ctx.session.scalars(unrestricted(query)))
    recorded = recorded_format(ctx, volume, host.id)
    parameters = MoveVolumeParameters.model_validate(
        {
            **place_of(pool, volume),
            "to": copy_plan(to, volume, recorded, volume.name, None),
            "vms": tuple(vm.uuid for vm in vms),
            "to_pool_id": to.id,
            "vm_ids": tuple(vm.id for vm in vms),
        }
    )
    return tasks.record_of(ctx, submit(ctx, MoveVolume, parameters))


def _followers(ctx: Ctx, volume: Volume, parameters: MoveVolumeParameters) -> list[Vm]:
    """The VM whose disk the volume is, or none. Raises Conflict when anything else uses it (volume_in_use), or may."""
    refuse_possibly_used(ctx, volume)
    users = users_of(ctx, [volume])[volume.id]
    held = [user for user in users if user.kind is not ObjectKind.VM]
    if held or len(users) > 1:
        raise in_use(volume, held or users)
    query = sa.select(Vm).where(Vm.id.in_([user.id for user in users]))
    vms = list(ctx.session.scalars(unrestricted(query)))
    if any(vm.host_id != parameters.host_id or vm.uuid not in parameters.vms for vm in vms):
        raise in_use(volume, users)
    return vms


def _copy(context: TaskContext, parameters: MoveVolumeParameters) -> None:
    """Copy it, and have its VM use the copy; what fails before that removes the copy."""
    vm = parameters.vm
    try:
        still_there(context, parameters)
        task_checks.check(context, parameters.path, parameters.to.clone_format)
        task_use.refuse_used_by_now(context, parameters.pool, parameters.name, parameters.path, but=vm or "")
        if vm and _runs(context, vm):
            _copy_live(context, parameters, vm)
        else:
            _copy_off(context, parameters)
    except (HostError, TaskFailed, Cancelled):
        if not _has_moved(context, parameters):
            context.roll_back()
            reread_pools(context, {parameters.to.pool})
            raise


def _take_the_place(context: TaskContext, parameters: MoveVolumeParameters) -> str | None:
    """From here on the copy is the volume: whatever happens, only the old one may be deleted, and only once.

    Return the names of those that use the old one by now, and for which it is kept.
    """
    vm, to = parameters.vm, parameters.to
    moved = {"kind": MOVED, "pool": to.pool, "name": to.name}
    if context.noted(MOVED) is None:
        # In one write: a run after a crash would take the copy, which is in use, for a leftover.
        context.note(moved, instead_of=volume_note(to.pool, to.name))
    copy = context.call(lambda host: host.storage.find_volume(to.pool, to.name))
    if vm is not None and copy is not None:
        context.call(lambda host: host.disks.repoint(vm, parameters.path, copy.path, to.format))
    if context.noted(MOVED, old="deleted") is None:
        try:  # the copy may have taken hours
            task_use.refuse_used_by_now(
                context, parameters.pool, parameters.name, parameters.path, but=vm or ""
            )
        except TaskFailed as refused:
            if refused.code != "volume_in_use":
                raise
            return str(refused.params["names"])
        context.call(lambda host: host.storage.delete_volume(parameters.pool, parameters.name))
        context.note({**moved, "old": "deleted"})
    return None


def _runs(context: TaskContext, vm: str) -> bool:
    return context.call(lambda host: host.read_vm(vm)).state.is_active


def _has_moved(context: TaskContext, parameters: MoveVolumeParameters) -> bool:
    """Whether an earlier run, which was interrupted, has come as far as the VM using the copy."""
    vm, to = parameters.vm, parameters.to
    if not context.created_resources or vm is None:
        return False
    copy = context.call(lambda host: host.storage.find_volume(to.pool, to.name))
    return copy is not None and context.call(lambda host: host.disks.is_at(vm, copy.path))


def _copy_off(context: TaskContext, parameters: MoveVolumeParameters) -> None:
    """Copy a volume on which nothing runs, and have the VM's definition name the copy."""
    vm, to = parameters.vm, parameters.to
    context.say(None, N_("Copying the volume."))
    volume = created_volumes.create_volume(context, to, purpose=_purpose(parameters))
    context.stop_if_cancelled()
    if vm is not None:
        if _runs(context, vm):
            raise TaskFailed(
                "vm_active", N_("The VM was started meanwhile."), hint=N_("Ask again: it is moved live then.")
            )
        context.call(lambda host: host.disks.repoint(vm, parameters.path, volume.path, to.format))


def _copy_live(context: TaskContext, parameters: MoveVolumeParameters, vm: str) -> None:
    """Have QEMU copy the disk, and go on with the copy."""
    path, to = parameters.path, parameters.to
    # QEMU copies only to what is exactly as large, and knows better than the pool how large that is.
    size = context.call(lambda host: host.disks.capacity(vm, path))
    empty = to.model_copy(update={"clone_of": None, "size_bytes": size})
    volume = created_volumes.create_volume(context, empty, purpose=_purpose(parameters))
    context.host().disks.copy(vm, path, volume.path, to.format, partial(_tell, context))
    context.call(lambda host: host.disks.repoint(vm, path, volume.path, to.format))


def _purpose(parameters: MoveVolumeParameters) -> dict[str, str]:
    return {} if parameters.vm is None else {"vm": parameters.vm, "moving": parameters.path}


def _tell(context: TaskContext, percent: int) -> None:
    context.stop_if_cancelled()
    context.say(percent, N_("Copying the disk while the VM runs."))
