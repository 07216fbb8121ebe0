"""The states of a task in the database: queued, begun, how far it came, ended; and what it noted meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
import structlog
from pydantic import ValidationError
from sqlalchemy.orm import Session

from app.access.actors import actor_of
from app.access.context import Ctx, Services
from app.access.find import find
from app.core.errors import VigieError
from app.core.hosts.refusals import HOST_DISABLED, HOST_OBSERVED
from app.core.hosts.states import AdminState, HostConnection, HostMode
from app.core.kinds import ObjectKind, Severity
from app.core.messages import N_
from app.core.notices import TASKS, Hub
from app.core.records import Ref
from app.core.tasks.states import TaskState
from app.core.tasks.stored import StoredError
from app.db.epoch import note_step
from app.db.events import record_event
from app.db.models import Audit, Host, Task
from app.db.notices import notify
from app.tasks.catalogue import AnyOperation, find_operation, kinds_by_client
from app.tasks.errors import TaskFailed
from app.tasks.locks import release
from app.tasks.operation import Location, Parameters
from app.tasks.undo import LeftEvent

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """What a task is to do, as read when it begins.

    `host_id` is where: of a VM's task the host that has the VM now. `uuid` is the VM's; empty for other targets.
    `sent`: an earlier run of it sent what must not be repeated. `created_resources`: what earlier runs began to create.
    """

    task_id: str
    kind: str
    operation: AnyOperation
    parameters: Parameters
    host_id: str
    target_id: str
    uuid: str
    sent: bool
    created_resources: tuple[dict[str, str], ...] = ()
    acted: bool = False  # an earlier run changed something on the host, or may have


def running(session: Session) -> list[str]:
    """Ids of tasks that have begun and not ended, without those that the asker drives."""
    begun = (TaskState.RUNNING.value, TaskState.CANCELLING.value)
    query = sa.select(Task.id).where(Task.state.in_(begun), Task.kind.not_in(kinds_by_client()))
    return list(session.scalars(query))


@dataclass(frozen=True, slots=True)
class Ending:
    """How a task ends: its last message (an id) with parameters, its error where it failed, what it created."""

    state: TaskState
    message: str | None = None
    params: Mapping[str, object] | None = None
    error: StoredError | None = None
    result: Mapping[str, object] | None = None


def begin_task(services: Services, session: Session, task_id: str) -> Job | None:
    """Mark a task as running and return what it is to do; None when it has ended already, or must not begin.

    The operation is checked again, for whoever submitted it, unless an earlier run has begun to change something.
    """
    task = session.get(Task, task_id, with_for_update=True)
    if task is None or TaskState(task.state).is_final:
        return None
    if task.state == TaskState.QUEUED.value:
        task.state = TaskState.RUNNING.value
    task.started_at = task.started_at or datetime.now(UTC)
    note_step(session)
    try:
        operation, parameters, location = _read(session, task)
        if not (task.sent_at or task.acted_at or task.created_resources):
            _check_again(services, session, task, operation, parameters, location)
    except VigieError as error:
        end(session, services.hub, task, Ending(TaskState.FAILED, error=error_of(error)))
        return None
    publish(session, services.hub, task)
    return Job(
        task_id=task.id,
        kind=task.kind,
        operation=operation,
        parameters=parameters,
        host_id=location.host_id,
        target_id=task.target_id or "",
        uuid=location.uuid,
        sent=task.sent_at is not None,
        created_resources=tuple(task.created_resources or ()),
        acted=task.acted_at is not None,
    )


def _read(session: Session, task: Task) -> tuple[AnyOperation, Parameters, Location]:
    operation = find_operation(task.kind)
    if operation is None:
        raise TaskFailed(
            "unknown_kind",
            N_("This version of Vigie cannot do this task."),
            why=N_("Another version queued it: %(kind)s."),
            hint=N_("Do it again, or run the version that queued it."),
            params={"kind": task.kind},
        )
    try:
        parameters = operation.read(
            task.target_id or "", task.host_id or "", task.params, task.params_version
        )
    except ValidationError:
        raise TaskFailed(
            "unreadable_parameters",
            N_("What this task was to do cannot be read."),
            why=N_("Another version of Vigie stored its parameters."),
            hint=N_("Do it again if it is still needed."),
        ) from None
    return operation, parameters, operation.locate(session, parameters)


def _check_again(
    services: Services,
    session: Session,
    task: Task,
    operation: AnyOperation,
    parameters: Parameters,
    location: Location,
) -> None:
    """Whether the task may still be done. Raises what refuses it: rights, locks and states may be others by now."""
    if location.mode is HostMode.OBSERVE:
        raise TaskFailed(HOST_OBSERVED.code, HOST_OBSERVED.reason, hint=HOST_OBSERVED.hint)
    if location.admin_state is AdminState.DISABLED:
        raise TaskFailed(HOST_DISABLED.code, HOST_DISABLED.reason, hint=HOST_DISABLED.hint)
    ctx = Ctx(services, session, actor_of(session, task.actor_id, task.actor_name), task_id=task.id)
    for touch in operation.touches(parameters):
        find(ctx, touch.model, touch.id, touch.privilege)
    operation.check(ctx, parameters)


def is_disabled(session: Session, host_id: str) -> bool:
    """Whether Vigie is not to connect to the host: then a task does not wait for it."""
    return session.scalar(sa.select(Host.admin_state).where(Host.id == host_id)) == AdminState.DISABLED


def report_progress(
    session: Session,
    hub: Hub,
    task_id: str,
    progress: int | None,
    message: str | None = None,
    params: Mapping[str, object] | None = None,
) -> None:
    """Show how far a task has come. None leaves progress or message as it is."""
    task = session.get(Task, task_id)
    if task is None or TaskState(task.state).is_final:
        return
    if progress is not None:
        task.progress = progress
    if message is not None:
        task.message, task.message_params = message, dict(params or {})
    publish(session, hub, task)


def mark_sent(session: Session, task_id: str) -> None:
    """Note, before it is sent, that a step which must not be repeated is sent now."""
    session.execute(sa.update(Task).where(Task.id == task_id).values(sent_at=datetime.now(UTC)))
    note_step(session)


def note_acted(session: Session, task_id: str, at: datetime | None) -> None:
    """Note, before it is sent, that a change is sent to the host; None: all that was sent was refused."""
    session.execute(sa.update(Task).where(Task.id == task_id).values(acted_at=at))
    note_step(session)


def note_created(session: Session, task_id: str, created: list[dict[str, str]]) -> None:
    """Note what a task begins to create, before it does: what is left behind is found by this. Empty: nothing."""
    session.execute(sa.update(Task).where(Task.id == task_id).values(created_resources=created or None))
    note_step(session)


def forget_created(session: Session, task_id: str) -> list[dict[str, str]]:
    """Forget what a task has noted to have created, and return it."""
    created = session.scalar(sa.select(Task.created_resources).where(Task.id == task_id)) or []
    note_created(session, task_id, [])
    return created


def created_by_ended_tasks(session: Session) -> list[tuple[str, str, list[dict[str, str]]]]:
    """Ids, hosts and notes of ended tasks that left something behind on hosts that answer, oldest first."""
    ended = [state.value for state in TaskState if state.is_final]
    usable = [item.value for item in HostConnection if item.is_usable]
    query = sa.select(Task.id, Task.host_id, Task.created_resources).where(
        Task.created_resources.is_not(None), Task.state.in_(ended)
    )
    query = query.join(Host, Host.id == Task.host_id).where(Host.connection.in_(usable))
    query = query.order_by(Task.finished_at, Task.id).limit(100)
    return [(task_id, host_id or "", notes or []) for task_id, host_id, notes in session.execute(query)]


def publish_left(session: Session, hub: Hub, task_id: str, left: LeftEvent) -> None:
    """Write the event that a task leaves something, because it may be somebody else's or is in use."""
    task = session.get_one(Task, task_id)
    record_event(
        session,
        hub,
        left.kind,
        left.message,
        left.params,
        severity=Severity.WARNING,
        host=None
        if task.host_id is None
        else Ref(kind=ObjectKind.HOST, id=task.host_id, name=task.host_name or ""),
        task_id=task.id,
        actor=task.actor_name,
    )


def is_cancelled(session: Session, task_id: str) -> bool:
    """Whether somebody asked the task to stop."""
    state = session.scalar(sa.select(Task.state).where(Task.id == task_id))
    return state in (TaskState.CANCELLING.value, TaskState.CANCELLED.value)


def finish_task(session: Session, hub: Hub, task_id: str, ending: Ending) -> None:
    """Write how a task ended, once: a task that has ended stays as it is."""
    task = session.get(Task, task_id, with_for_update=True)
    if task is not None and not TaskState(task.state).is_final:
        if ending.state is TaskState.SUCCEEDED:
            # Until now a run after a crash finds by it what the one before has created.
            task.created_resources = None
        end(session, hub, task, ending)


def error_of(error: VigieError) -> StoredError:
    """An error as a task keeps it: message ids, and what the hypervisor said for those who may see it."""
    return {
        "code": error.code,
        "title": error.title,
        "why": error.why,
        "hint": error.hint,
        "detail": error.detail,
        "params": dict(error.params),
        "next_verb": error.next_verb if isinstance(error, TaskFailed) else None,
    }


def end(session: Session, hub: Hub, task: Task, ending: Ending) -> None:
    """Write how the task ended, let go of what it held, and tell."""
    note_step(session)
    task.state = ending.state.value
    task.finished_at = datetime.now(UTC)
    task.message, task.message_params = ending.message, dict(ending.params or {})
    task.error, task.result = ending.error, None if ending.result is None else dict(ending.result)
    release(session, task.id)
    if ending.state is TaskState.SUCCEEDED:
        task.progress = 100
    if ending.state is TaskState.FAILED:
        session.add(
            Audit(
                at=task.finished_at,
                actor_id=task.actor_id,
                actor_name=task.actor_name,
                via="system",
                action=task.kind,
                object_kind=task.target_kind,
                object_id=task.target_id,
                object_name=task.target_name,
                outcome="failed",
                code=None if ending.error is None else ending.error["code"],
                detail={"task": task.id},
            )
        )
    publish(session, hub, task)


def end_restored(session: Session, hub: Hub, error: StoredError) -> None:
    """End every active task of a database that was restored from an older copy, as failed with this error.

    Nothing that tasks noted to have begun to create counts any more: since the copy was made it may have become part
    of a VM, or have been removed and made again by others. It is logged, so that people can look.
    """
    active = [state.value for state in TaskState if not state.is_final]
    count = 0
    for task in session.scalars(sa.select(Task).where(Task.state.in_(active))).all():
        end(session, hub, task, Ending(TaskState.FAILED, error=error))
        count += 1
    session.flush()
    for task_id, created in session.execute(
        sa.select(Task.id, Task.created_resources).where(Task.created_resources.is_not(None))
    ):
        log.warning("begun_and_not_removed", task=task_id, created_resources=created)
    session.execute(sa.update(Task).where(Task.created_resources.is_not(None)).values(created_resources=None))
    log.warning("database_restored", tasks_ended=count)
    record_event(
        session,
        hub,
        "vigie.restored",
        N_(
            "The database was restored from an older copy. Tasks that were under way in it have ended: %(count)d."
        ),
        {"count": count},
        severity=Severity.WARNING,
    )


def publish(session: Session, hub: Hub, task: Task) -> None:
    """Publish that the task changed."""
    notify(session, hub, TASKS, task.id, *([task.target_id] if task.target_id else []))
