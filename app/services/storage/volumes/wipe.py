"""Overwrite a volume with zeros."""

from __future__ import annotations

from app.access.context import Ctx
from app.access.find import find, known
from app.core.messages import N_
from app.core.storage.volumes import is_same_format
from app.core.tasks.records import TaskRecord
from app.db.models import Pool, Volume
from app.services.storage.pools.refresh import refresh_when_idle
from app.services.storage.reread import reread_pools
from app.services.storage.volumes.checks import task_checks, task_use
from app.services.storage.volumes.checks.refusals import refuse_used
from app.services.storage.volumes.operation import VolumeOperation, VolumeParameters, place_of, still_there
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.operation import Outcome, Plan
from app.tasks.submit import submit


@declare
class WipeVolume(VolumeOperation[VolumeParameters]):
    """Overwrite a volume that nothing uses with zeros."""

    kind = "volume.wipe"
    title = N_("Wipe the volume")
    parameters = VolumeParameters
    privilege = "volume.delete"
    cancellable = True

    def check(self, ctx: Ctx, parameters: VolumeParameters) -> Plan:
        """Raises Conflict (volume_in_use, volume_may_be_in_use), Busy."""
        plan = super().check(ctx, parameters)
        refuse_used(ctx, known(ctx, Volume, parameters.target_id))
        return plan

    def run(self, context: TaskContext, parameters: VolumeParameters) -> Outcome:
        """Overwrite it."""
        pool, name, path = parameters.pool, parameters.name, parameters.path
        found = still_there(context, parameters)
        task_checks.check_link(context, pool, name, path)
        task_use.refuse_used_by_now(context, pool, name, path)
        context.call(lambda host: host.storage.wipe_volume(pool, name))
        task_checks.record_created(context, pool, found, "raw")
        if not is_same_format(found.format, "raw"):
            refresh_when_idle(context, pool)
        reread_pools(context, {pool})
        return Outcome(N_("The volume was overwritten."))


def wipe_volume(ctx: Ctx, volume_id: str) -> TaskRecord:
    """Have a volume overwritten with zeros. Raises Conflict (volume_in_use), Busy."""
    volume = find(ctx, Volume, volume_id, WipeVolume.privilege)
    place = place_of(known(ctx, Pool, volume.pool_id), volume)
    return tasks.record_of(ctx, submit(ctx, WipeVolume, VolumeParameters.model_validate(place)))
