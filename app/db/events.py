"""Write events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.core.kinds import Severity
from app.core.notices import EVENTS, Hub
from app.core.records import Ref
from app.db.models import Event
from app.db.notices import notify


def record_event(
    session: Session,
    hub: Hub,
    kind: str,
    message: str,
    params: Mapping[str, object],
    *,
    severity: Severity = Severity.INFO,
    target: Ref | None = None,
    host: Ref | None = None,
    task_id: str | None = None,
    actor: str | None = None,
) -> None:
    """Write an event in the transaction of what it tells about."""
    session.add(
        Event(
            at=datetime.now(UTC),
            kind=kind,
            severity=severity.value,
            message=message,
            params=params,
            object_kind=target.kind.value if target else None,
            object_id=target.id if target else None,
            object_name=target.name if target else None,
            host_id=host.id if host else None,
            host_name=host.name if host else None,
            task_id=task_id,
            actor_name=actor,
        )
    )
    notify(session, hub, EVENTS)
