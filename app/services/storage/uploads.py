"""Files that people send into volumes, in parts: begun, continued where they stopped, ended or given up.

A part goes straight through to the host's storage, so memory does not grow with the file.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.access import audit
from app.access.context import Actor, Ctx, Services
from app.access.host_connections import connected_host
from app.core.errors import Conflict, InvalidInput
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.records import Ref
from app.core.storage.observations import VolumeObservation
from app.core.storage.uploads import UploadList, UploadRecord, UploadSpec
from app.core.tasks.states import TaskState
from app.db.models import Host, Pool, Task, Upload
from app.services.hosts.checks import require_workable
from app.services.storage import storage, volume_records, volumes
from app.services.storage.upload_content import Coming
from app.services.storage.upload_locks import PartClaim, is_cancelled, is_claimed, lock_upload, no_such_upload
from app.services.storage.upload_volume import create_upload_volume
from app.services.storage.volume_locations import locks_of, name_lock
from app.tasks import queue, tasks

UPLOAD = "volume.upload"
GIVEN_UP_OFF = N_(
    "The upload was given up. Pool %(pool)s is off, so its file is removed once the pool runs again, or on host %(host)s by: %(command)s"
)
ABANDONED = timedelta(days=1)
ENDING = ("image_refused", "wrong_checksum", "volume_gone")  # whatever is sent again, it stays so
GIVEN_UP = N_("The upload was given up.")


def begin_upload(ctx: Ctx, pool_id: str, asked: UploadSpec) -> UploadRecord:
    """Make room for a file. Raises InvalidInput, Conflict (volume_exists, pool_full, host_not_connected…), Busy."""
    ctx.require("volume.edit")
    pool, host = volumes.running_pool(ctx, pool_id, "pool_id")
    volumes.refuse_taken(ctx, pool, asked.name)
    volumes.refuse_narrow(ctx, pool, asked.size_bytes)
    task = tasks.enqueue(
        ctx,
        UPLOAD,
        target=Ref(kind=ObjectKind.POOL, id=pool.id, name=pool.name),
        host=Ref(kind=ObjectKind.HOST, id=host.id, name=host.name),
        params={"name": asked.name, "size_bytes": asked.size_bytes},
        lock=name_lock(pool, asked.name),
        holds=locks_of(ctx.session, pool, asked.name),
    )
    task.state, task.started_at = TaskState.RUNNING.value, ctx.now
    upload = Upload(
        id=task.id,
        pool_id=pool.id,
        volume_name=asked.name,
        size_bytes=asked.size_bytes,
        offset_bytes=0,
        sha256=asked.sha256,
        user_id=ctx.actor.user_id,
        created_at=ctx.now,
        updated_at=ctx.now,
    )
    ctx.session.add(upload)
    ctx.session.flush()
    return _record(upload, pool)


def show_upload(ctx: Ctx, upload_id: str) -> UploadRecord:
    """How far a file has come. Raises NotFound."""
    upload, pool, _ = _find(ctx, upload_id)
    return _record(upload, pool)


def list_uploads(ctx: Ctx, pool_id: str) -> UploadList:
    """Files on their way into a pool, of whoever asks. Raises NotFound for no such pool."""
    ctx.require("volume.edit")
    storage.show_pool(ctx, pool_id)
    query = sa.select(Upload, Pool).join(Pool, Pool.id == Upload.pool_id).where(Pool.id == pool_id)
    query = query.where(Upload.user_id == ctx.actor.user_id)
    rows = ctx.session.execute(ctx.visible(query, "pool.view").order_by(Upload.updated_at.desc()))
    return UploadList(items=tuple(_record(upload, pool) for upload, pool in rows))


def give_up(ctx: Ctx, upload_id: str) -> None:
    """End an upload, once a part that is being written has ended; what came of it is removed from the host."""
    _, pool, host = _find(ctx, upload_id)
    upload = lock_upload(ctx.session, upload_id)
    if upload is None:
        raise no_such_upload(ctx.translate)
    if is_claimed(upload):
        task = ctx.session.get_one(Task, upload_id)
        task.state = TaskState.CANCELLING.value
        queue.tell(ctx.session, ctx.services.hub, task)
    else:
        _give_up(ctx.session, ctx.services, upload, pool, host)
    audit.record(ctx, "upload.give_up", target=Ref(kind=ObjectKind.TASK, id=upload_id, name=UPLOAD))


def receive(
    services: Services,
    actor: Actor,
    translate: Callable[[str], str],
    upload_id: str,
    offset: int,
    part: bytes,
) -> UploadRecord:
    """Write the next part. Raises Conflict (wrong_offset) telling the right one, Conflict (part_under_way) while another
    request writes one, ImageRefused as soon as the beginning
    or the whole is no image, InvalidInput for a part that is too much or whose sum is wrong, HostError when the host
    does not take it: then the same part may be sent again.

    The beginning of the file is held back and written last: until all of it was inspected, the host has nothing that
    its libvirt could take for an image.
    """
    with services.database.begin() as session:
        ctx = Ctx(services, session, actor, translate)
        upload, pool, host = _find(ctx, upload_id)
        claim = PartClaim.take(ctx, upload_id)
        _check_part(ctx, upload, offset, part)
        coming = Coming.of(upload, pool, host, part)
    with claim:
        try:
            coming.refuse_beginning()
            if offset == 0:
                create_upload_volume(services, translate, coming, claim)
            with connected_host(services, coming.host_id) as open_host:
                coming.write(open_host.storage, claim.hold)
                found = coming.complete(open_host.storage, claim.hold) if coming.is_last else None
        except Conflict as refused:
            if refused.code in ENDING:
                _refuse(services, claim, refused)
            raise
        return _keep(services, actor, translate, coming, claim, found)


def _keep(
    services: Services,
    actor: Actor,
    translate: Callable[[str], str],
    coming: Coming,
    claim: PartClaim,
    found: tuple[VolumeObservation, str] | None,
) -> UploadRecord:
    """Note how far the upload has come; with the whole file, that it has ended."""
    with services.database.begin() as session:
        ctx = Ctx(services, session, actor, translate)
        _, pool, _ = _find(ctx, coming.upload_id)
        upload = claim.require(session)
        upload.offset_bytes += len(coming.part)
        upload.head, upload.updated_at = coming.head or upload.head, ctx.now
        percent = 100 * upload.offset_bytes // upload.size_bytes
        queue.report_progress(session, services.hub, upload.id, percent)
        record = _record(upload, pool)
        if found is not None:
            volume, format = found
            queue.note_made(session, upload.id, [])
            volume_records.record_made(session, pool.host_id, pool.uuid, volume, format)
            message, params = N_("The file is in the pool, as volume %(name)s."), {"name": record.name}
            _end(session, services, upload, TaskState.SUCCEEDED, message=message, params=params)
    return record


def _refuse(services: Services, claim: PartClaim, refused: Conflict) -> None:
    """End the upload of what is no safe image, or not what was meant; what came of it is removed."""
    error = {"code": refused.code, "title": refused.title, "why": refused.why, "hint": refused.hint}
    with services.database.begin() as session:
        upload = claim.require(session)
        _end(session, services, upload, TaskState.FAILED, error=error | {"params": dict(refused.params)})


def end_abandoned(services: Services) -> None:
    """End uploads that were cancelled, and those of which nothing came for a day. Raises Unavailable.

    One of which a part is being written waits until that has ended: its volume and its locks are still needed.
    """
    old = Upload.updated_at < datetime.now(UTC) - ABANDONED
    query = sa.select(Upload, Task.state, Pool, Host).join(Task, Task.id == Upload.id)
    query = query.join(Pool, Pool.id == Upload.pool_id).join(Host, Host.id == Pool.host_id)
    query = query.where(sa.or_(old, Task.state == TaskState.CANCELLING.value))
    with services.database.read() as session:
        if session.execute(query.limit(1)).first() is None:
            return
    with services.database.begin() as session:
        for found, state, pool, host in session.execute(query).all():
            upload = lock_upload(session, found.id)
            if upload is None or is_claimed(upload):
                continue
            if state == TaskState.CANCELLING.value:
                _give_up(session, services, upload, pool, host)
            else:
                error = {"code": "abandoned", "title": N_("Nothing more of the file came for a day.")}
                _end(session, services, upload, TaskState.FAILED, error=error)


def _find(ctx: Ctx, upload_id: str) -> tuple[Upload, Pool, Host]:
    ctx.require("volume.edit")
    query = sa.select(Upload, Pool, Host).join(Pool, Pool.id == Upload.pool_id)
    query = query.join(Host, Host.id == Pool.host_id).where(Upload.id == upload_id)
    row = ctx.session.execute(ctx.visible(query, "pool.view")).one_or_none()
    if row is None or row[0].user_id != ctx.actor.user_id or is_cancelled(ctx.session, upload_id):
        raise no_such_upload(ctx.translate)
    return row[0], row[1], row[2]


def _check_part(ctx: Ctx, upload: Upload, offset: int, part: bytes) -> None:
    require_workable(ctx, ctx.session.get_one(Host, ctx.session.get_one(Pool, upload.pool_id).host_id))
    if offset != upload.offset_bytes:
        raise _wrong_offset(ctx, upload)
    if not part:
        raise InvalidInput("body", N_("must not be empty"))
    if offset + len(part) > upload.size_bytes:
        raise InvalidInput(
            "body",
            N_("is %(more)d bytes more than the file was said to have"),
            params={"more": offset + len(part) - upload.size_bytes},
        )


def _wrong_offset(ctx: Ctx, upload: Upload) -> Conflict:
    return Conflict(
        N_("This part does not follow the last one."),
        why=N_("The next part begins at byte %(offset)d."),
        hint=N_("Ask how far the upload has come, and go on there."),
        code="wrong_offset",
        params={"offset": upload.offset_bytes},
    )


def _give_up(session: Session, services: Services, upload: Upload, pool: Pool, host: Host) -> None:
    """End it; where the pool is off, say how what came of it can be removed all the same."""
    made = session.get_one(Task, upload.id).made
    if pool.state == "running" or not made or pool.target_path is None:
        _end(session, services, upload, TaskState.CANCELLED, message=GIVEN_UP)
        return
    command = shlex.join(["rm", "--", f"{pool.target_path.rstrip('/')}/{upload.volume_name}"])
    params = {"pool": pool.name, "host": host.name, "command": command}
    _end(session, services, upload, TaskState.CANCELLED, message=GIVEN_UP_OFF, params=params)


def _end(session: Session, services: Services, upload: Upload, state: TaskState, **said: Any) -> None:
    """End the task; whatever it has noted as made and is not taken off the notes is removed by the engine."""
    queue.finish_task(session, services.hub, upload.id, state, **said)
    session.delete(upload)


def _record(upload: Upload, pool: Pool) -> UploadRecord:
    return UploadRecord(
        id=upload.id,
        pool=Ref(kind=ObjectKind.POOL, id=pool.id, name=pool.name),
        name=upload.volume_name,
        size_bytes=upload.size_bytes,
        offset_bytes=upload.offset_bytes,
        updated_at=upload.updated_at,
    )
