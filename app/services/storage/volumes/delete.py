"""Delete a volume."""

from __future__ import annotations

import shlex

from app.access.context import Ctx
from app.access.find import find, known
from app.core.messages import N_
from app.core.tasks.records import TaskRecord
from app.db.models import Pool, Volume
from app.services.storage.reread import reread_pools
from app.services.storage.volumes.checks import task_use
from app.services.storage.volumes.checks.refusals import refuse_used
from app.services.storage.volumes.operation import VolumeOperation, VolumeParameters, place_of, still_there
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed
from app.tasks.operation import Outcome, Plan
from app.tasks.submit import submit


@declare
class DeleteVolume(VolumeOperation[VolumeParameters]):
    """Delete a volume that nothing uses; that it is gone already is no error."""

    kind = "volume.delete"
    title = N_("Delete the volume")
    parameters = VolumeParameters
    privilege = "volume.delete"

    def check(self, ctx: Ctx, parameters: VolumeParameters) -> Plan:
        """Raises Conflict (volume_in_use, volume_may_be_in_use) naming the users, Busy."""
        plan = super().check(ctx, parameters)
        refuse_used(ctx, known(ctx, Volume, parameters.target_id))
        return plan

    def run(self, context: TaskContext, parameters: VolumeParameters) -> Outcome:
        """Delete it."""
        pool, name = parameters.pool, parameters.name
        _refuse_pool_off(context, parameters)
        if context.call(lambda host: host.storage.find_volume(pool, name)) is not None:
            still_there(context, parameters)
            task_use.refuse_used_by_now(context, pool, name, parameters.path)
            context.call(lambda host: host.storage.delete_volume(pool, name))
        reread_pools(context, {pool})
        return Outcome(N_("The volume was deleted."))


def delete_volume(ctx: Ctx, volume_id: str) -> TaskRecord:
    """Have a volume deleted. Raises Conflict (volume_in_use) naming the users, Busy."""
    volume = find(ctx, Volume, volume_id, DeleteVolume.privilege)
    place = place_of(known(ctx, Pool, volume.pool_id), volume)
    return tasks.record_of(ctx, submit(ctx, DeleteVolume, VolumeParameters.model_validate(place)))


def _refuse_pool_off(context: TaskContext, parameters: VolumeParameters) -> None:
    """Raise TaskFailed (pool_off) that says how the file goes all the same."""
    if not context.call(lambda host: host.storage.is_pool_active(parameters.pool)):
        raise TaskFailed(
            "pool_off",
            N_("The storage pool is off, so libvirt deletes nothing in it."),
            hint=N_("Start the pool first, or delete the file on its host: %(command)s"),
            params={"command": shlex.join(["rm", "--", parameters.path])},
        )
