"""Resize a volume, also under a running VM."""

from __future__ import annotations

from dataclasses import replace

from app.access.context import Ctx
from app.access.find import find, known, ref
from app.core.errors import InvalidInput
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.storage.volumes import VolumeResize
from app.core.tasks.records import TaskRecord
from app.db.models import Pool, Vm, Volume
from app.services.storage.pools.refresh import refresh_if_idle
from app.services.storage.reread import reread_pools
from app.services.storage.volumes.checks import task_checks, task_use
from app.services.storage.volumes.checks.content_checks import require_usable
from app.services.storage.volumes.checks.refusals import in_use, refuse_used, running_vms
from app.services.storage.volumes.locks import locks_of
from app.services.storage.volumes.operation import (
    VolumeOperation,
    VolumeParameters,
    place_of,
    still_there,
    volume_and_place,
)
from app.services.storage.volumes.users import refuse_possibly_used, users_of
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.locks import require_unlocked
from app.tasks.operation import Locks, Outcome, Plan, Touch
from app.tasks.submit import submit


class ResizeVolumeParameters(VolumeParameters):
    """The new size. `vm` is the UUID of the running VM that has the volume, which must be told, `vm_id` its id."""

    size_bytes: int
    shrink: bool = False
    vm: str | None = None
    vm_id: str | None = None


@declare
class ResizeVolume(VolumeOperation[ResizeVolumeParameters]):
    """Make a volume larger, by its running VM where there is one, or smaller while nothing uses it."""

    kind = "volume.resize"
    title = N_("Resize the volume")
    parameters = ResizeVolumeParameters
    privilege = "volume.edit"

    def touches(self, parameters: ResizeVolumeParameters) -> tuple[Touch, ...]:
        """The volume, its pool, and the running VM that has it."""
        touched = super().touches(parameters)
        if parameters.vm_id is None:
            return touched
        return (*touched, Touch(Vm, parameters.vm_id, "vm.edit"))

    def check(self, ctx: Ctx, parameters: ResizeVolumeParameters) -> Plan:
        """Raises Conflict (volume_in_use, volume_may_be_in_use, volume_refused), Busy."""
        plan = super().check(ctx, parameters)
        volume, pool, host = volume_and_place(ctx.session, parameters.target_id)
        require_unlocked(ctx, *locks_of(ctx.session, pool, volume.name))
        refuse_possibly_used(ctx, volume)
        if parameters.size_bytes < volume.capacity_bytes:
            refuse_used(ctx, volume)
        require_usable(ctx, volume, host.id)
        built = [user for user in users_of(ctx, [volume])[volume.id] if user.kind is ObjectKind.VOLUME]
        if built:
            raise in_use(volume, built)
        running = running_vms(ctx, volume)
        if any(vm.host_id != host.id or vm.uuid != parameters.vm for vm in running):
            raise in_use(volume, [ref(vm) for vm in running])
        return replace(plan, locks=plan.locks | Locks(holds={vm.id for vm in running}))

    def run(self, context: TaskContext, parameters: ResizeVolumeParameters) -> Outcome:
        """Resize it, unless it has that size."""
        found = still_there(context, parameters)
        if found.capacity_bytes != parameters.size_bytes:
            task_checks.check(context, parameters.path)
            _resize(context, parameters, found.capacity_bytes)
        reread_pools(context, {parameters.pool})
        return Outcome(N_("The size was changed."), result={"size_bytes": parameters.size_bytes})


def resize_volume(ctx: Ctx, volume_id: str, resize: VolumeResize) -> TaskRecord:
    """Have a volume made larger, also under a running VM, or smaller while nothing uses it.

    Raises InvalidInput, Conflict (volume_in_use, volume_busy), Busy.
    """
    volume = find(ctx, Volume, volume_id, "volume.edit")
    if resize.size_bytes == volume.capacity_bytes:
        raise InvalidInput("size_bytes", N_("is the size that it has"))
    if resize.size_bytes < volume.capacity_bytes and not resize.shrink:
        raise InvalidInput(
            "size_bytes",
            N_("is smaller than now: what lies behind it is lost"),
            hint=N_("Enter a larger size, or allow shrinking (`shrink`)."),
        )
    vm = next(iter(running_vms(ctx, volume)), None)
    parameters = ResizeVolumeParameters.model_validate(
        {
            **place_of(known(ctx, Pool, volume.pool_id), volume),
            **resize.model_dump(),
            "vm": vm.uuid if vm else None,
            "vm_id": vm.id if vm else None,
        }
    )
    return tasks.record_of(ctx, submit(ctx, ResizeVolume, parameters))


def _resize(context: TaskContext, parameters: ResizeVolumeParameters, before_bytes: int) -> None:
    pool, name, path = parameters.pool, parameters.name, parameters.path
    size_bytes, vm = parameters.size_bytes, parameters.vm
    if size_bytes < before_bytes:
        task_use.refuse_used_by_now(context, pool, name, path)
    if vm is not None:
        context.call(lambda host: host.disks.grow(vm, path, size_bytes))
        refresh_if_idle(context, pool)
        return
    shrink = parameters.shrink and size_bytes < before_bytes
    context.call(lambda host: host.storage.resize_volume(pool, name, size_bytes, shrink=shrink))
