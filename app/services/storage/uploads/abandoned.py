"""How uploads end before their file is whole: given up, abandoned, or forgotten with a restored database."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.access import audit
from app.access.context import Ctx, Services
from app.access.find import known, ref
from app.core.messages import N_
from app.core.tasks.states import TaskState
from app.core.tasks.stored import StoredError
from app.db.models import Host, Pool, Task, Upload
from app.services.storage.uploads.claims import is_claimed, lock_upload, no_such_upload
from app.services.storage.uploads.uploads import find_upload
from app.tasks import lifecycle
from app.tasks.lifecycle import Ending

GIVEN_UP_OFF = N_(
    "The upload was given up. Pool %(pool)s is off, so its file is removed once the pool runs again, or on host %(host)s by: %(command)s"
)
ABANDONED = timedelta(days=1)
GIVEN_UP = N_("The upload was given up.")


def give_up(ctx: Ctx, upload_id: str) -> None:
    """End an upload, once a part that is being written has ended; what came of it is removed from the host."""
    _, pool, host = find_upload(ctx, upload_id)
    upload = lock_upload(ctx.session, upload_id)
    if upload is None:
        raise no_such_upload(ctx.translate)
    if is_claimed(upload):
        task = known(ctx, Task, upload_id)
        task.state = TaskState.CANCELLING.value
        lifecycle.publish(ctx.session, ctx.services.hub, task)
    else:
        _end_given_up(ctx.session, ctx.services, upload, pool, host)
    audit.record(ctx, "upload.cancel", target=ref(known(ctx, Task, upload_id)))


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
                _end_given_up(session, services, upload, pool, host)
            else:
                error: StoredError = {
                    "code": "abandoned",
                    "title": N_("Nothing more of the file came for a day."),
                }
                end_upload(session, services, upload, Ending(TaskState.FAILED, error=error))


def forget_uploads(session: Session) -> None:
    """Forget every upload: those of a database that was restored from an older copy have ended with their tasks."""
    session.execute(sa.delete(Upload))


def _end_given_up(session: Session, services: Services, upload: Upload, pool: Pool, host: Host) -> None:
    """End it; where the pool is off, say how what came of it can be removed all the same."""
    created = session.get_one(Task, upload.id).created_resources
    if pool.state == "running" or not created or pool.target_path is None:
        end_upload(session, services, upload, Ending(TaskState.CANCELLED, GIVEN_UP))
        return
    command = shlex.join(["rm", "--", f"{pool.target_path.rstrip('/')}/{upload.volume_name}"])
    params = {"pool": pool.name, "host": host.name, "command": command}
    end_upload(session, services, upload, Ending(TaskState.CANCELLED, GIVEN_UP_OFF, params))


def end_upload(session: Session, services: Services, upload: Upload, ending: Ending) -> None:
    """End the task; whatever it has noted as made and is not taken off the notes is removed by the engine."""
    lifecycle.finish_task(session, services.hub, upload.id, ending)
    session.delete(upload)
