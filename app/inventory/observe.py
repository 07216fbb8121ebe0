"""The mirror's door: what coordinators observed becomes rows, events and versions, many hosts at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.inventory.changes import Changes, Initiator, NewVersion, ObservedEvent
from app.core.inventory.reports import HostReport
from app.core.notices import EVENTS, Hub
from app.db.models import Event, History
from app.db.notices import notify
from app.inventory.batch import Batch, Row, digest_of
from app.inventory.collectors.all_collectors import COLLECTORS, Collectors
from app.inventory.host_states import observe_hosts
from app.inventory.merged_report import Reading, merge_by_host


def observe(session: Session, reports: Sequence[HostReport], collectors: Collectors = COLLECTORS) -> Changes:
    """Write what the reports say, in the transaction of `session`: only what changed. Return what that was.

    Reports count in their order. Hosts that are no longer registered are passed over. The events and versions are not
    written yet: once it is known who caused them, `record_changes` does that.
    """
    batch = Batch(session, datetime.now(UTC))
    believed = observe_hosts(batch, merge_by_host(reports, collectors.merge))
    for collector in collectors:
        readings = [
            Reading(item, value)
            for item in believed
            if (value := collector.of(item.report.parts)) is not None
        ]
        if readings:
            collector.write(batch, readings)
    batch.write()
    return batch.changes


def record_changes(session: Session, hub: Hub, changes: Changes) -> None:
    """Write the events and versions, in the transaction of what they tell about.

    Notices (ids of what changed; TREE when something was added, removed, renamed or moved) go out after the commit.
    """
    if changes.events:
        session.execute(sa.insert(Event), [_event(event, changes) for event in changes.events])
        changes.topics.add(EVENTS)
    rows = [row for version in changes.versions.values() for row in _versions(version, changes)]
    if rows:
        session.execute(sa.insert(History), rows)
    notify(session, hub, *changes.topics)


def _event(event: ObservedEvent, changes: Changes) -> Row:
    return {
        "at": changes.at,
        "kind": event.kind,
        "severity": event.severity.value,
        "message": event.message,
        "params": event.params,
        "object_kind": event.object_kind.value,
        "object_id": event.object_id,
        "object_name": event.object_name,
        "host_id": event.host_id,
        "host_name": event.host_name,
        **_by(event.initiator),
    }


def _versions(version: NewVersion, changes: Changes) -> list[Row]:
    """The rows of a new version: before the first that is kept stands what was there until now."""
    about = {
        "object_kind": version.kind.value,
        "object_id": version.object_id,
        "host_id": version.host_id,
    }
    rows: list[Row] = []
    if version.is_first and version.before is not None:
        since = version.creator.at if version.creator else None
        old = {"xml": version.before, "digest": digest_of(version.before), "since": since}
        rows.append({**about, **old, **_by(version.creator)})
    new = {"xml": version.after, "digest": digest_of(version.after), "since": changes.at}
    rows.append({**about, **new, **_by(version.initiator)})
    return rows


def _by(initiator: Initiator | None) -> dict[str, str | None]:
    if initiator is None:
        return {"task_id": None, "actor_name": None}
    return {"task_id": initiator.task_id, "actor_name": initiator.actor_name}
