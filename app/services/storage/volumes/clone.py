"""Clone a volume, in its pool or in another one of its host."""

from __future__ import annotations

from app.access.context import Ctx
from app.access.find import find, known
from app.core.errors import InvalidInput
from app.core.messages import N_
from app.core.storage.volumes import VolumeClone
from app.core.tasks.records import TaskRecord
from app.db.models import Pool, Volume
from app.services.hosts.manageable import require_manageable
from app.services.storage.volumes.checks.content_checks import recorded_format, require_usable
from app.services.storage.volumes.checks.refusals import refuse_narrow, refuse_running, running_pool
from app.services.storage.volumes.locks import locks_of
from app.services.storage.volumes.operation import (
    NewVolumeOperation,
    NewVolumeParameters,
    copy_plan,
    make,
    volume_and_place,
)
from app.services.vms.cloud_init.known_drives import refuse_cloud_init_drive
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.locks import require_unlocked
from app.tasks.operation import Outcome, Plan
from app.tasks.submit import submit


@declare
class CloneVolume(NewVolumeOperation):
    """Copy a volume that no running VM writes to."""

    kind = "volume.clone"
    title = N_("Clone the volume")

    def check(self, ctx: Ctx, parameters: NewVolumeParameters) -> Plan:
        """Raises Conflict (volume_busy, volume_exists, volume_refused, pool_full), Busy."""
        if parameters.source_id is not None:
            _check_source(ctx, parameters.source_id)
        plan = super().check(ctx, parameters)
        if parameters.source_id is not None:
            source = known(ctx, Volume, parameters.source_id)
            require_usable(ctx, source, plan.host.id)
            refuse_narrow(ctx, known(ctx, Pool, parameters.target_id), source.allocation_bytes)
        return plan

    def run(self, context: TaskContext, parameters: NewVolumeParameters) -> Outcome:
        """Copy it."""
        plan = parameters.volume
        created = make(context, plan)
        result = {"path": created.path, "name": plan.name}
        return Outcome(N_("Volume %(name)s was copied."), {"name": plan.name}, result)


def clone_volume(ctx: Ctx, volume_id: str, clone: VolumeClone) -> TaskRecord:
    """Have a volume copied. Raises InvalidInput, Conflict (volume_busy, volume_exists…), Busy."""
    volume = find(ctx, Volume, volume_id, "volume.edit")
    pool = known(ctx, Pool, volume.pool_id)
    to, host = running_pool(ctx, clone.pool_id or pool.id, "pool_id")
    if to.host_id != pool.host_id:
        raise InvalidInput("pool_id", N_("is a storage pool of another host"))
    recorded = recorded_format(ctx, volume, host.id)
    parameters = NewVolumeParameters(
        target_id=to.id,
        host_id=host.id,
        volume=copy_plan(to, volume, recorded, clone.name, clone.format),
        source_id=volume.id,
    )
    return tasks.record_of(ctx, submit(ctx, CloneVolume, parameters))


def _check_source(ctx: Ctx, volume_id: str) -> None:
    volume, pool, host = volume_and_place(ctx.session, volume_id)
    refuse_cloud_init_drive(ctx, volume)
    require_manageable(ctx, host)
    require_unlocked(ctx, reads=locks_of(ctx.session, pool, volume.name))
    refuse_running(ctx, volume, N_("A copy of a disk that a guest writes to would be torn."))
