"""Files that people send into volumes, in parts: begun, continued where they stopped, ended or given up.

A part goes straight through to the host's storage, so memory does not grow with the file. Stretches of zeros are
not sent: the volume is sparse and reads as zeros there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.blueprint import VolumePlan
from app.core.errors import Conflict, HostError, InvalidInput, NotFound
from app.core.ids import new_id
from app.core.messages import N_, filled
from app.core.records import Ref
from app.core.states import ObjectKind, TaskState
from app.core.uploads import UploadList, UploadRecord, UploadSpec
from app.core.views import VolumeObservation
from app.db.models import Host, Pool, Task, Upload, Volume
from app.hypervisor import Host as OpenHost
from app.hypervisor.images import HEAD_BYTES, TAIL_BYTES, ImageFacts, ImageRefused, inspect
from app.services import audit, storage, tasks, volumes, work
from app.services.context import Actor, Ctx, Services
from app.services.volume_places import locks_of, name_lock
from app.services.workable import require_workable

UPLOAD = "volume.upload"
ABANDONED = timedelta(days=1)
GIVEN_UP = N_("The upload was given up.")
_ZERO = bytes(256 * 1024)


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
    """End an upload; what came of it is removed from the host."""
    upload, _, _ = _find(ctx, upload_id)
    _end(ctx.session, ctx.services, upload, TaskState.CANCELLED, message=GIVEN_UP)
    audit.record(ctx, "upload.give_up", target=Ref(kind=ObjectKind.TASK, id=upload_id, name=UPLOAD))


def receive(
    services: Services,
    actor: Actor,
    translate: Callable[[str], str],
    upload_id: str,
    offset: int,
    part: bytes,
) -> UploadRecord:
    """Write the next part. Raises Conflict (wrong_offset) telling the right one, ImageRefused at the end,
    InvalidInput for a part that is too much or whose sum is wrong, HostError when the host does not take it: then
    the same part may be sent again.
    """
    with services.database.begin() as session:
        ctx = Ctx(services, session, actor, translate)
        upload, pool, host = _find(ctx, upload_id)
        _check_part(ctx, upload, offset, part)
        where = (host.id, pool.uuid, upload.volume_name)
        size, begun = upload.size_bytes, bool(session.get_one(Task, upload.id).made)
    if offset == 0 and not begun:
        _refuse_foreign(services, translate, *where)
        with services.database.begin() as session:
            note = {"kind": "volume", "pool": where[1], "name": where[2]}
            work.note_made(session, upload_id, [note])
    _write(services, *where, size=size, offset=offset, part=part)
    with services.database.begin() as session:
        ctx = Ctx(services, session, actor, translate)
        upload, pool, _ = _find(ctx, upload_id)
        if upload.offset_bytes != offset:
            raise _wrong_offset(ctx, upload)
        upload.offset_bytes += len(part)
        upload.updated_at = ctx.now
        work.report_progress(session, services.hub, upload.id, 100 * upload.offset_bytes // upload.size_bytes)
        record = _record(upload, pool)
    if record.offset_bytes == record.size_bytes:
        _complete(services, actor, translate, record)
    return record


def end_abandoned(services: Services) -> None:
    """End uploads that were cancelled, and those of which nothing came for a day. Raises Unavailable."""
    old = Upload.updated_at < datetime.now(UTC) - ABANDONED
    query = sa.select(Upload, Task.state).join(Task, Task.id == Upload.id)
    query = query.where(sa.or_(old, Task.state == TaskState.CANCELLING.value))
    with services.database.read() as session:
        if session.execute(query.limit(1)).first() is None:
            return
    with services.database.begin() as session:
        for upload, state in session.execute(query):
            if state == TaskState.CANCELLING.value:
                _end(session, services, upload, TaskState.CANCELLED, message=GIVEN_UP)
            else:
                error = {"code": "abandoned", "title": N_("Nothing more of the file came for a day.")}
                _end(session, services, upload, TaskState.FAILED, error=error)


def _find(ctx: Ctx, upload_id: str) -> tuple[Upload, Pool, Host]:
    ctx.require("volume.edit")
    query = sa.select(Upload, Pool, Host).join(Pool, Pool.id == Upload.pool_id)
    query = query.join(Host, Host.id == Pool.host_id).where(Upload.id == upload_id)
    row = ctx.session.execute(ctx.visible(query, "pool.view")).one_or_none()
    if row is None or row[0].user_id != ctx.actor.user_id or _is_cancelled(ctx.session, upload_id):
        raise NotFound(ctx.translate(N_("There is no such upload: it has ended, or was given up.")))
    return row[0], row[1], row[2]


def _is_cancelled(session: Session, upload_id: str) -> bool:
    return session.scalar(sa.select(Task.state).where(Task.id == upload_id)) == TaskState.CANCELLING.value


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
        ctx.translate(N_("This part does not follow the last one.")),
        why=ctx.say(N_("The next part begins at byte %(offset)d."), {"offset": upload.offset_bytes}),
        hint=ctx.translate(N_("Ask how far the upload has come, and go on there.")),
        code="wrong_offset",
    )


def _refuse_foreign(
    services: Services, translate: Callable[[str], str], host_id: str, pool: str, name: str
) -> None:
    """Refuse a volume of this name that is there, though the inventory did not know it: it is somebody else's."""
    with services.visits.to(host_id) as host:
        if host.storage.find_volume(pool, name) is not None:
            raise Conflict(
                translate(N_("The pool has a volume of this name already.")),
                hint=translate(N_("Choose another name for the volume, or another pool.")),
                code="volume_exists",
            )


def _write(
    services: Services, host_id: str, pool: str, name: str, *, size: int, offset: int, part: bytes
) -> None:
    """Write a part; before the first one the volume is made, unless an earlier try of that part has made it."""
    with services.visits.to(host_id) as host:
        if offset == 0 and host.storage.find_volume(pool, name) is None:
            host.storage.create_volume(VolumePlan(pool=pool, name=name, format="raw", size_bytes=size))
        for begin, stretch in written(part):
            host.storage.write_volume(pool, name, stretch, offset + begin)


def written(part: bytes) -> Iterator[tuple[int, bytes]]:
    """The stretches of a part that hold more than zeros, with where each begins in it."""
    begun: int | None = None
    for at in range(0, len(part), len(_ZERO)):
        block = part[at : at + len(_ZERO)]
        if block != _ZERO[: len(block)]:
            begun = at if begun is None else begun
        elif begun is not None:
            yield begun, part[begun:at]
            begun = None
    if begun is not None:
        yield begun, part[begun:]


def _complete(
    services: Services, actor: Actor, translate: Callable[[str], str], record: UploadRecord
) -> None:
    """Look at what came; what is no safe image, or not what was meant, is removed."""
    with services.database.read() as session:
        upload, pool, host = _find(Ctx(services, session, actor, translate), record.id)
        sha256, host_id, pool_uuid, pool_id = upload.sha256, host.id, pool.uuid, pool.id
    try:
        with services.visits.to(host_id) as open_host:
            head = open_host.storage.read_volume(pool_uuid, record.name, HEAD_BYTES)
            tail = open_host.storage.read_tail(pool_uuid, record.name, TAIL_BYTES, record.size_bytes)
            facts = inspect(head, record.size_bytes, tail)
            if sha256 is not None:
                _compare(open_host, pool_uuid, record, sha256)
            open_host.storage.refresh(pool_uuid)
            found = open_host.storage.find_volume(pool_uuid, record.name)
            _agree(facts, found)
    except HostError:
        raise  # the last part may be sent again: it is looked at anew
    except (ImageRefused, Conflict, InvalidInput) as refused:
        with services.database.begin() as session:
            params = getattr(refused, "params", {})
            error = {"code": refused.code, "title": refused.title, "why": refused.why, "hint": refused.hint}
            upload = session.get_one(Upload, record.id)
            _end(session, services, upload, TaskState.FAILED, error=error | {"params": params})
        if isinstance(refused, ImageRefused):
            refused.why = filled(translate, refused.why or "", refused.params)
        raise
    with services.database.begin() as session:
        work.note_made(session, record.id, [])
        if found is not None:
            _show(session, pool_id, record, found)
        upload = session.get_one(Upload, record.id)
        message = N_("The file is in the pool, as volume %(name)s.")
        _end(session, services, upload, TaskState.SUCCEEDED, message=message, params={"name": record.name})


def _agree(facts: ImageFacts, found: VolumeObservation | None) -> None:
    """Refuse what the host takes for something else than was seen: nobody may be able to play them off."""
    if found is None:
        return
    plain = ("qcow2",) if facts.format == "qcow2" else ("raw", "iso", "none", None)
    if found.format not in plain or found.backing_path:
        raise ImageRefused(
            N_("The host takes it for %(format)s, Vigie for %(seen)s."),
            format=found.format or "?",
            seen=facts.format,
        )


def _show(session: Session, pool_id: str, record: UploadRecord, found: VolumeObservation) -> None:
    """Have the volume in the inventory at once; the next reading of the pool confirms it."""
    known = session.scalar(sa.select(Volume).where(Volume.pool_id == pool_id, Volume.name == record.name))
    if known is None:
        fields = ("path", "kind", "format", "capacity_bytes", "allocation_bytes", "backing_path")
        values = {name: getattr(found, name) for name in fields}
        session.add(Volume(id=new_id(ObjectKind.VOLUME), pool_id=pool_id, name=record.name, **values))


def _compare(host: OpenHost, pool: str, record: UploadRecord, wanted: str) -> None:
    digest = hashlib.sha256()
    for chunk in host.storage.read_volume(pool, record.name, record.size_bytes):
        digest.update(chunk)
    if digest.hexdigest() != wanted:
        raise Conflict(
            N_("The file is not the one that was meant."),
            why=N_("Its SHA-256 is another than the one that was given."),
            hint=N_("Send it again, and compare the sum with that of its source."),
            code="wrong_checksum",
        )


def _end(session: Session, services: Services, upload: Upload, state: TaskState, **said: Any) -> None:
    """End the task; whatever it has noted as made and is not taken off the notes is removed by the engine."""
    work.finish_task(session, services.hub, upload.id, state, **said)
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
