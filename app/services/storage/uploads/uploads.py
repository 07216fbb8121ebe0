"""Uploads: files that people send into volumes, in parts. Begun and shown here; see `parts` and `abandoned`."""

from __future__ import annotations

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import find, known, ref, visible
from app.core.messages import N_
from app.core.storage.uploads import UploadList, UploadRecord, UploadSpec
from app.core.tasks.states import TaskState
from app.db.models import Host, Pool, Upload
from app.services.hosts.manageable import require_manageable
from app.services.storage.pools.pools import show_pool
from app.services.storage.uploads.claims import is_cancelled, no_such_upload
from app.services.storage.volumes.checks.refusals import refuse_narrow, refuse_taken, running_pool
from app.services.storage.volumes.locks import locks_of
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.operation import Locks, Operation, Outcome, Parameters, Plan, Touch
from app.tasks.submit import submit


class UploadVolumeParameters(Parameters):
    """The volume to be, in the target, which is its pool."""

    name: str
    size_bytes: int


@declare
class UploadVolume(Operation[UploadVolumeParameters]):
    """Send a file into a new volume. Whoever submitted it sends the parts."""

    kind = "volume.upload"
    title = N_("Upload")
    parameters = UploadVolumeParameters
    cancellable = True
    by_client = True

    def touches(self, parameters: UploadVolumeParameters) -> tuple[Touch, ...]:
        """The pool."""
        return (Touch(Pool, parameters.target_id, "volume.edit"),)

    def check(self, ctx: Ctx, parameters: UploadVolumeParameters) -> Plan:
        """The name must be free in the pool, and the file fit in. Raises Conflict (volume_exists, pool_full)."""
        pool = known(ctx, Pool, parameters.target_id)
        host = known(ctx, Host, pool.host_id)
        require_manageable(ctx, host)
        refuse_taken(ctx, pool, parameters.name)
        refuse_narrow(ctx, pool, parameters.size_bytes)
        locks = Locks(holds=locks_of(ctx.session, pool, parameters.name))
        return Plan(ref(pool), ref(host), locks, holds_target=False)

    def run(self, context: TaskContext, parameters: UploadVolumeParameters) -> Outcome:
        """Never called. Raises RuntimeError."""
        raise RuntimeError("an upload is driven by the program that submitted it")


def begin_upload(ctx: Ctx, pool_id: str, spec: UploadSpec) -> UploadRecord:
    """Make room for a file. Raises InvalidInput, Conflict (volume_exists, pool_full, host_not_connected…), Busy."""
    ctx.require("volume.edit")
    pool, _ = running_pool(ctx, pool_id, "pool_id")
    parameters = UploadVolumeParameters(
        target_id=pool.id, host_id=pool.host_id, name=spec.name, size_bytes=spec.size_bytes
    )
    task = submit(ctx, UploadVolume, parameters)
    task.state, task.started_at = TaskState.RUNNING.value, ctx.now
    upload = Upload(
        id=task.id,
        pool_id=pool.id,
        volume_name=spec.name,
        size_bytes=spec.size_bytes,
        offset_bytes=0,
        sha256=spec.sha256,
        user_id=ctx.actor.user_id,
        created_at=ctx.now,
        updated_at=ctx.now,
    )
    ctx.session.add(upload)
    ctx.session.flush()
    return record_of(upload, pool)


def show_upload(ctx: Ctx, upload_id: str) -> UploadRecord:
    """How far a file has come. Raises NotFound."""
    upload, pool, _ = find_upload(ctx, upload_id)
    return record_of(upload, pool)


def list_uploads(ctx: Ctx, pool_id: str) -> UploadList:
    """Files on their way into a pool, of whoever asks. Raises NotFound for no such pool."""
    ctx.require("volume.edit")
    show_pool(ctx, pool_id)
    query = sa.select(Upload, Pool).join(Pool, Pool.id == Upload.pool_id).where(Pool.id == pool_id)
    query = query.where(Upload.user_id == ctx.actor.user_id)
    rows = ctx.session.execute(visible(ctx, query, Pool, "pool.view").order_by(Upload.updated_at.desc()))
    return UploadList(items=tuple(record_of(upload, pool) for upload, pool in rows))


def find_upload(ctx: Ctx, upload_id: str) -> tuple[Upload, Pool, Host]:
    """An upload of whoever asks, its pool and its host. Raises NotFound."""
    upload = find(ctx, Upload, upload_id, "volume.edit")
    if upload.user_id != ctx.actor.user_id or is_cancelled(ctx.session, upload_id):
        raise no_such_upload(ctx.translate)
    pool = known(ctx, Pool, upload.pool_id)
    return upload, pool, known(ctx, Host, pool.host_id)


def record_of(upload: Upload, pool: Pool) -> UploadRecord:
    """How far the file has come."""
    return UploadRecord(
        id=upload.id,
        pool=ref(pool),
        name=upload.volume_name,
        size_bytes=upload.size_bytes,
        offset_bytes=upload.offset_bytes,
        updated_at=upload.updated_at,
    )
