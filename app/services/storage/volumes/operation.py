"""What operations on volumes have in common."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from sqlalchemy.orm import Session

from app.access.context import Ctx
from app.access.find import known, ref
from app.core.errors import HostError, InvalidInput
from app.core.messages import N_
from app.core.storage.observations import VolumeObservation
from app.core.storage.pools import FILE_POOLS
from app.core.vms.config import VolumePlan
from app.db.models import Host, Pool, Volume
from app.services.hosts.manageable import require_manageable
from app.services.storage.reread import reread_pools
from app.services.storage.volumes.checks import task_checks
from app.services.storage.volumes.checks.refusals import refuse_taken
from app.services.storage.volumes.locks import copy_locks, locks_of
from app.services.storage.volumes.steps import created_volumes
from app.services.vms.cloud_init.known_drives import refuse_cloud_init_drive
from app.tasks.context import TaskContext
from app.tasks.errors import Cancelled, TaskFailed
from app.tasks.operation import Locks, Operation, Parameters, Plan, Touch


class VolumeParameters(Parameters):
    """A volume where the submitter saw it: its pool, by libvirt's UUID and by id, its name and its path."""

    pool: str
    name: str
    path: str
    pool_id: str | None = None


V = TypeVar("V", bound=VolumeParameters)


class VolumeOperation(Operation[V]):
    """An operation on a volume of the inventory. `privilege` is what it takes on the volume and its pool."""

    privilege: ClassVar[str]

    def touches(self, parameters: V) -> tuple[Touch, ...]:
        """The volume and its pool."""
        volume = Touch(Volume, parameters.target_id, self.privilege)
        if parameters.pool_id is None:
            return (volume,)
        return (volume, Touch(Pool, parameters.pool_id, self.privilege))

    def check(self, ctx: Ctx, parameters: V) -> Plan:
        """The volume, held alone through every pool that has it, while its pool stays. Raises Conflict."""
        volume, pool, host = volume_and_place(ctx.session, parameters.target_id)
        refuse_cloud_init_drive(ctx, volume)
        require_manageable(ctx, host)
        return Plan(
            ref(volume),
            ref(host),
            Locks(holds=locks_of(ctx.session, pool, volume.name), reads={pool.id}),
        )


def volume_and_place(session: Session, volume_id: str) -> tuple[Volume, Pool, Host]:
    """The rows of a volume that was found, of its pool and of its host."""
    volume = session.get_one(Volume, volume_id)
    pool = session.get_one(Pool, volume.pool_id)
    return volume, pool, session.get_one(Host, pool.host_id)


def place_of(pool: Pool, volume: Volume) -> dict[str, str]:
    """The fields of VolumeParameters for this volume."""
    return {
        "target_id": volume.id,
        "host_id": pool.host_id,
        "pool": pool.uuid,
        "name": volume.name,
        "path": volume.path,
        "pool_id": pool.id,
    }


class NewVolumeParameters(Parameters):
    """The volume to be, in the target, which is its pool. `source_id`: what it is copied from or built on."""

    volume: VolumePlan
    source_id: str | None = None


class NewVolumeOperation(Operation[NewVolumeParameters]):
    """An operation that makes a volume in a pool, beside others that do."""

    parameters = NewVolumeParameters
    cancellable = True

    def touches(self, parameters: NewVolumeParameters) -> tuple[Touch, ...]:
        """The pool, and the volume that the new one is made from."""
        pool = Touch(Pool, parameters.target_id, "volume.edit")
        if parameters.source_id is None:
            return (pool,)
        return (pool, Touch(Volume, parameters.source_id, "volume.edit"))

    def check(self, ctx: Ctx, parameters: NewVolumeParameters) -> Plan:
        """The name must be free in the pool. Raises Conflict (volume_exists)."""
        pool = known(ctx, Pool, parameters.target_id)
        host = known(ctx, Host, pool.host_id)
        volume = parameters.volume
        require_manageable(ctx, host)
        refuse_taken(ctx, pool, volume.name)
        sources = {path for path in (volume.clone_of, volume.backing_path) if path}
        locks = copy_locks(ctx.session, host.id, sources)
        locks.holds |= locks_of(ctx.session, pool, volume.name)
        locks.reads.add(pool.id)
        return Plan(ref(pool), ref(host), locks, holds_target=False)


def copy_plan(to: Pool, volume: Volume, recorded: str, name: str, format: str | None) -> VolumePlan:
    """A copy of a volume in this pool. `recorded` is its format, `format` that of the copy, if it is to be another.

    Raises InvalidInput (format).
    """
    kind = format or ("qcow2" if recorded == "qcow2" and to.kind in FILE_POOLS else "raw")
    if kind == "qcow2" and to.kind not in FILE_POOLS:
        raise InvalidInput("format", N_("pools of kind %(kind)s hold raw volumes"), params={"kind": to.kind})
    return VolumePlan.model_validate(
        {
            "pool": to.uuid,
            "name": name,
            "format": kind,
            "size_bytes": volume.capacity_bytes,
            "clone_of": volume.path,
            "clone_format": recorded,
        }
    )


def make(context: TaskContext, plan: VolumePlan) -> VolumeObservation:
    """Make a volume, and show it; a half one is removed. Raises HostError, TaskFailed, Cancelled."""
    try:
        task_checks.check_sources(context, plan)
        volume = created_volumes.create_volume(context, plan)
        context.stop_if_cancelled()
    except (HostError, TaskFailed, Cancelled):
        context.roll_back()
        raise
    reread_pools(context, {plan.pool})
    return volume


def still_there(context: TaskContext, parameters: VolumeParameters) -> VolumeObservation:
    """The volume, if it is the one that was seen. Raises TaskFailed (volume_gone)."""
    found = context.call(lambda host: host.storage.find_volume(parameters.pool, parameters.name))
    if found is None or found.path != parameters.path:
        raise TaskFailed(
            "volume_gone",
            N_("The volume is not there any more."),
            hint=N_("Somebody moved or deleted it. Read the pool anew."),
        )
    return found
