"""Create a volume, empty or built on another."""

from __future__ import annotations

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import known, visible
from app.core.errors import InvalidInput
from app.core.messages import N_
from app.core.storage.pools import FILE_POOLS
from app.core.storage.volumes import VolumeSpec
from app.core.tasks.records import TaskRecord
from app.core.vms.config import VolumePlan
from app.db.models import Pool, Volume
from app.services.storage.volumes.checks.content_checks import recorded_format, require_usable
from app.services.storage.volumes.checks.refusals import refuse_narrow, running_pool, running_vms
from app.services.storage.volumes.operation import NewVolumeOperation, NewVolumeParameters, make
from app.services.vms.cloud_init.known_drives import refuse_cloud_init_drive
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.operation import Outcome, Plan
from app.tasks.submit import submit


@declare
class CreateVolume(NewVolumeOperation):
    """Make a volume; what is half made when it fails is removed."""

    kind = "volume.create"
    title = N_("Create the volume")

    def check(self, ctx: Ctx, parameters: NewVolumeParameters) -> Plan:
        """Its backing volume must be usable, and must not change. Raises Conflict, InvalidInput."""
        pool = known(ctx, Pool, parameters.target_id)
        if parameters.source_id is not None:
            _check_backing(ctx, pool, known(ctx, Volume, parameters.source_id))
        if parameters.volume.preallocate:
            refuse_narrow(ctx, pool, parameters.volume.size_bytes)
        return super().check(ctx, parameters)

    def run(self, context: TaskContext, parameters: NewVolumeParameters) -> Outcome:
        """Make it."""
        plan = parameters.volume
        created = make(context, plan)
        result = {"path": created.path, "name": plan.name}
        return Outcome(N_("Volume %(name)s was made."), {"name": plan.name}, result)


def create_volume(ctx: Ctx, spec: VolumeSpec) -> TaskRecord:
    """Have a volume made. Raises InvalidInput naming the field, Conflict (volume_exists…), Busy."""
    ctx.require("volume.edit")
    pool, _ = running_pool(ctx, spec.pool_id, "pool_id")
    backing = _backing(ctx, pool, spec.backing_volume_id) if spec.backing_volume_id else None
    parameters = NewVolumeParameters(
        target_id=pool.id,
        host_id=pool.host_id,
        volume=_plan(ctx, pool, spec, backing),
        source_id=backing.id if backing else None,
    )
    return tasks.record_of(ctx, submit(ctx, CreateVolume, parameters))


def _plan(ctx: Ctx, pool: Pool, spec: VolumeSpec, backing: Volume | None) -> VolumePlan:
    kind = spec.format or ("qcow2" if pool.kind in FILE_POOLS else "raw")
    if kind == "qcow2" and pool.kind not in FILE_POOLS:
        raise InvalidInput(
            "format", N_("pools of kind %(kind)s hold raw volumes"), params={"kind": pool.kind}
        )
    if backing is not None and kind != "qcow2":
        raise InvalidInput("format", N_("only a qcow2 volume can be built on another"))
    return VolumePlan(
        pool=pool.uuid,
        name=spec.name,
        format=kind,
        size_bytes=_size(spec, backing),
        preallocate=spec.preallocate and backing is None,
        backing_path=backing.path if backing else None,
        backing_format=recorded_format(ctx, backing, pool.host_id) if backing else None,
    )


def _size(spec: VolumeSpec, backing: Volume | None) -> int:
    size_bytes = spec.size_bytes
    if backing is not None:
        size_bytes = size_bytes or backing.capacity_bytes
        if size_bytes < backing.capacity_bytes:
            raise InvalidInput(
                "size_bytes",
                N_("must be at least the backing volume's %(size)d bytes"),
                params={"size": backing.capacity_bytes},
            )
    if size_bytes is None:
        raise InvalidInput("size_bytes", N_("is needed without a backing volume"))
    return size_bytes


def _backing(ctx: Ctx, pool: Pool, volume_id: str) -> Volume:
    query = sa.select(Volume).join(Pool, Pool.id == Volume.pool_id)
    query = query.where(Volume.id == volume_id, Pool.host_id == pool.host_id)
    found: Volume | None = ctx.session.scalar(visible(ctx, query, Volume, "pool.view"))
    if found is None:
        raise InvalidInput("backing_volume_id", N_("names no volume of this host"))
    return found


def _check_backing(ctx: Ctx, pool: Pool, backing: Volume) -> None:
    refuse_cloud_init_drive(ctx, backing)
    if running_vms(ctx, backing):
        raise InvalidInput("backing_volume_id", N_("is written to by a running VM"))
    require_usable(ctx, backing, pool.host_id)
