"""What is old goes: once an hour, in small transactions, so that nobody waits for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from app.access.context import Services
from app.config import Settings
from app.core.errors import Unavailable
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.notices import TREE
from app.core.records import Ref
from app.core.tasks.states import ACTIVE_TASK_STATES
from app.core.vms.states import VmState
from app.db.events import record_event
from app.db.models import Audit, Base, DeletedVm, Event, Host, IdempotencyKey, Login, Tag, Task, Vm
from app.db.notices import notify
from app.inventory import condition_rows
from app.services.vms.create import presets
from app.services.vms.definitions.redefine import Redefine

log = structlog.get_logger(__name__)

AT_ONCE = 1000
IDEMPOTENCY = timedelta(days=1)
ENDED_TRANSIENT = timedelta(days=1)
FORGOTTEN = N_(
    "VM %(name)s was removed from the inventory: it was transient, and ended on host %(host)s more than a day ago."
)


def forget_old(services: Services, stopped: Callable[[], bool]) -> int:
    """Delete what the settings no longer want kept; return how many rows went. Raises Unavailable."""
    now = datetime.now(UTC)
    gone = sum(
        _delete(services, model, condition, stopped) for model, condition in _rules(services.settings, now)
    )
    return gone + _forget_vms(services, now - ENDED_TRANSIENT, stopped)


def _rules(settings: Settings, now: datetime) -> list[tuple[type[Base], sa.ColumnElement[bool]]]:
    events_before = now - timedelta(days=settings.event_days)
    return [
        (Event, Event.at < events_before),
        (Task, sa.and_(Task.created_at < events_before, Task.state.not_in(ACTIVE_TASK_STATES))),
        (Audit, Audit.at < now - timedelta(days=settings.audit_days)),
        (DeletedVm, DeletedVm.deleted_at < now - timedelta(days=settings.deleted_vm_days)),
        (IdempotencyKey, IdempotencyKey.created_at < now - IDEMPOTENCY),
        (
            Login,
            sa.or_(
                Login.expires_at < now, Login.last_seen_at < now - timedelta(seconds=settings.session_idle_s)
            ),
        ),
    ]


def _ended_transient(before: datetime) -> sa.ColumnElement[bool]:
    """Transient VMs that ended long ago and that nobody has written anything about."""
    tagged = sa.exists().where(Tag.object_id == Vm.id)
    ended = sa.and_(Vm.state == VmState.MISSING, Vm.persistent.is_(False), Vm.missing_since < before)
    return sa.and_(ended, Vm.notes == "", sa.not_(tagged))


def _forget_vms(services: Services, before: datetime, stopped: Callable[[], bool]) -> int:
    """Delete the rows of transient VMs that ended before this time, say so in the event log, and tell pages."""
    query = sa.select(Vm.id, Vm.name, Vm.host_id, Host.name.label("host_name")).join(Host)
    query = query.where(_ended_transient(before)).limit(AT_ONCE)
    gone = 0
    while not stopped():
        with services.database.begin() as session:
            old = session.execute(query).all()
            session.execute(sa.delete(Vm).where(Vm.id.in_([row.id for row in old])))
            for row in old:
                condition_rows.forget(session, row.id)
                record_event(
                    session,
                    services.hub,
                    "vm.removed-from-inventory",
                    FORGOTTEN,
                    {"name": row.name, "host": row.host_name},
                    target=Ref(kind=ObjectKind.VM, id=row.id, name=row.name),
                    host=Ref(kind=ObjectKind.HOST, id=row.host_id, name=row.host_name),
                )
            if old:
                notify(session, services.hub, TREE, *(row.id for row in old))
        gone += len(old)
        if len(old) < AT_ONCE:
            break
    return gone


def _delete(
    services: Services, model: type[Base], condition: sa.ColumnElement[bool], stopped: Callable[[], bool]
) -> int:
    key = sa.inspect(model).primary_key
    gone = 0
    while not stopped():
        with services.database.begin() as session:
            old = session.execute(sa.select(*key).where(condition).limit(AT_ONCE)).all()
            if old:
                session.execute(sa.delete(model).where(sa.tuple_(*key).in_([tuple(row) for row in old])))
        gone += len(old)
        if len(old) < AT_ONCE:
            break
    return gone


def _forget_pasted_xml(session: Session) -> None:
    """Ended tasks of versions before XML was sealed keep none that somebody pasted: it may hold passwords."""
    pasted = sa.func.coalesce(Task.params["xml"].as_string(), "") != ""
    ended = Task.state.not_in(ACTIVE_TASK_STATES)
    for task in session.scalars(
        sa.select(Task).where(Task.kind == Redefine.kind, ended, pasted).limit(AT_ONCE)
    ):
        task.params = {name: value for name, value in task.params.items() if name != "xml"}


def run_retention(services: Services, more: Callable[[], None], stopped: Callable[[], bool]) -> None:
    """One round, for a thread of the pool: never raises for a database that cannot be used now."""
    try:
        with services.database.begin() as session:
            presets.seal_old(session, services.vault)
            _forget_pasted_xml(session)
        gone = forget_old(services, stopped)
        more()
    except Unavailable as error:
        log.warning("retention_waits_for_database", reason=error.code)
    else:
        log.info("retention", rows=gone)
