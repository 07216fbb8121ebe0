"""Who did what is observed: the task whose effect it is, or somebody outside Vigie.

A task explains what its operation says, and only once it really sent something that its host did not refuse
(`acted_at`). While it runs, every such effect is its own; after its end only one that has not shown yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.inventory.changes import DEEDS, Changes, Initiator, NewVersion
from app.core.tasks.states import ACTIVE_TASK_STATES, TaskState
from app.db.chunks import chunks
from app.db.models import Event, History, IdentityClaim, Task
from app.tasks.catalogue import AnyOperation, find_operation, kinds_that_create

# How long after its end a task explains an effect that has not shown yet: one that succeeded, one that failed
# and knows that it did, and one of which nobody knows what became of what it sent.
JUST_FINISHED = timedelta(seconds=15)
JUST_FAILED = timedelta(seconds=3)
STILL_POSSIBLE = timedelta(minutes=30)
# Codes of failures after which what was sent may still happen.
OUTCOME_UNKNOWN = frozenset(
    {"outcome_unknown", "host_lost", "host_disabled", "interrupted", "not_seen", "guest_not_reacting"}
    | {"vm_not_answering", "host_not_answering", "connection_ended"}
)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A task that may explain what is observed of its object; `is_over` once it has ended."""

    operation: AnyOperation
    initiator: Initiator
    is_over: bool


def explain(session: Session, changes: Changes) -> None:
    """Name the tasks, and who submitted them, in the events and versions that they caused."""
    events = [event for event in changes.events if event.kind in DEEDS]
    ids = {event.object_id for event in events} | changes.versions.keys()
    if not ids:
        return
    found = _candidates(session, changes.at, ids)
    over = {item.initiator.task_id for some in found.values() for item in some if item.is_over}
    before = _shown(session, ids, over)
    for event in events:
        for item in found.get(event.object_id, ()):
            effect = (item.initiator.task_id, event.object_id, event.kind)
            if event.kind in item.operation.explains and not (item.is_over and effect in before):
                event.initiator = item.initiator
                before.add(effect)
                break
    if changes.versions:
        _explain_versions(session, changes.versions, found)


def _candidates(session: Session, now: datetime, object_ids: Iterable[str]) -> dict[str, list[_Candidate]]:
    """Tasks that may explain effects on these objects, by object, newest first: they work on it, or create it."""
    recent = sa.or_(
        Task.state.in_([state.value for state in ACTIVE_TASK_STATES]),
        Task.finished_at >= now - JUST_FINISHED,
        sa.and_(Task.state == TaskState.FAILED.value, Task.acted_at >= now - STILL_POSSIBLE),
    )
    columns = (Task.id, Task.kind, Task.actor_name, Task.state, Task.finished_at, Task.error, Task.created_at)
    found: dict[str, dict[str, sa.Row[*tuple[object, ...]]]] = defaultdict(dict)
    for some in chunks(object_ids):
        of_target = sa.select(Task.target_id.label("object_id"), *columns).where(Task.target_id.in_(some))
        of_claim = sa.select(IdentityClaim.object_id, *columns).join(Task, Task.id == IdentityClaim.task_id)
        for query in (of_target, of_claim.where(IdentityClaim.object_id.in_(some))):
            for row in session.execute(query.where(recent, Task.acted_at.is_not(None))):
                if row.finished_at is None or _may_follow(row, now):
                    found[row.object_id][row.id] = row
    return {object_id: _newest_first(rows.values()) for object_id, rows in found.items()}


def _newest_first(rows: Iterable[sa.Row[*tuple[object, ...]]]) -> list[_Candidate]:
    return [
        _Candidate(operation, Initiator(row.id, row.actor_name), row.finished_at is not None)
        for row in sorted(rows, key=lambda row: row.created_at, reverse=True)
        if (operation := find_operation(row.kind)) is not None
    ]


def _may_follow(row: sa.Row[*tuple[object, ...]], now: datetime) -> bool:
    """Whether an effect may still follow from a task that has ended."""
    if row.state == TaskState.SUCCEEDED.value:
        return bool(now - row.finished_at <= JUST_FINISHED)
    if (row.error or {}).get("code") in OUTCOME_UNKNOWN:
        return True
    return bool(now - row.finished_at <= JUST_FAILED)


def _shown(
    session: Session, object_ids: Collection[str], task_ids: Collection[str]
) -> set[tuple[str, str, str]]:
    """Effects of these tasks that were told before: task, object and kind of the event."""
    found: set[tuple[str, str, str]] = set()
    if task_ids:
        columns = sa.select(Event.task_id, Event.object_id, Event.kind)
        query = columns.where(Event.object_id.in_(object_ids), Event.task_id.in_(task_ids))
        found = {(str(row[0]), str(row[1]), row[2]) for row in session.execute(query)}
    return found


def _explain_versions(
    session: Session, versions: dict[str, NewVersion], found: dict[str, list[_Candidate]]
) -> None:
    kept: dict[str, set[str | None]] = defaultdict(set)  # tasks whose versions are there, by object
    for some in chunks(versions):
        query = sa.select(History.object_id, History.task_id).where(History.object_id.in_(some))
        for object_id, task_id in session.execute(query):
            kept[object_id].add(task_id)
    new = [object_id for object_id in versions if object_id not in kept]
    creators = _creators(session, new)
    for object_id, version in versions.items():
        version.is_first = object_id not in kept
        version.creator = creators.get(object_id)
        version.initiator = _maker(found.get(object_id, ()), kept.get(object_id, set()))


def _maker(candidates: Iterable[_Candidate], known: Collection[str | None]) -> Initiator | None:
    """The task that made a version: one that runs, or one that has just ended and made none that is known."""
    for candidate in candidates:
        if candidate.operation.redefines and (
            not candidate.is_over or candidate.initiator.task_id not in known
        ):
            return candidate.initiator
    return None


def _creators(session: Session, object_ids: Iterable[str]) -> dict[str, Initiator]:
    """The tasks that created these objects."""
    found: dict[str, Initiator] = {}
    for some in chunks(object_ids):
        query = sa.select(Task.target_id, Task.id, Task.actor_name, Task.started_at)
        query = query.where(
            Task.target_id.in_(some), Task.kind.in_(kinds_that_create()), Task.acted_at.is_not(None)
        )
        for row in session.execute(query.order_by(Task.created_at)):
            found[str(row.target_id)] = Initiator(row.id, row.actor_name, row.started_at)
    return found
