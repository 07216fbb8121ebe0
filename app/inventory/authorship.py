"""Who did what is observed: the task whose effect it is, or somebody outside Vigie.

A task explains what it was sent for, and only once it really sent something that its host did not refuse
(`acted_at`). While it runs, every such effect is its own; after its end only one that has not shown yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.tasks.states import ACTIVE_TASK_STATES, TaskState
from app.db import models
from app.db.chunks import chunks

# How long after its end a task explains an effect that has not shown yet: one that succeeded, one that failed
# and knows that it did, and one of which nobody knows what became of what it sent.
JUST_FINISHED = timedelta(seconds=15)
JUST_FAILED = timedelta(seconds=3)
STILL_POSSIBLE = timedelta(minutes=30)
# Codes of failures after which what was sent may still happen.
OUTCOME_UNKNOWN = frozenset(
    {"outcome_unknown", "host_lost", "interrupted", "not_seen", "guest_not_reacting"}
    | {"vm_not_answering", "host_not_answering", "connection_ended"}
)

# Which tasks explain which event; anything else that is seen happened outside Vigie.
EXPLAINS: Mapping[str, frozenset[str]] = {
    "vm.defined": frozenset({"vm.create", "vm.bring_back"}),
    "vm.restored": frozenset({"vm.bring_back"}),
    "vm.deleted": frozenset({"vm.delete", "vm.create"}),
    "vm.undefined": frozenset({"vm.delete"}),
    "vm.ended": frozenset({"vm.delete", "vm.shutdown", "vm.force-off"}),
    "vm.started": frozenset({"vm.start", "vm.restore", "vm.create"}),
    "vm.stopped": frozenset({"vm.shutdown", "vm.force-off", "vm.save", "vm.delete"}),
    "vm.saved": frozenset({"vm.save"}),
    "vm.paused": frozenset({"vm.pause", "vm.save"}),
    "vm.resumed": frozenset({"vm.resume", "vm.restore", "vm.save"}),
    "vm.rebooted": frozenset({"vm.reboot", "vm.reset"}),
    "vm.autostart": frozenset({"vm.autostart-on", "vm.autostart-off", "vm.create", "vm.bring_back"}),
    "vm.changed": frozenset({"vm.change", "vm.define", "vm.create"}),
    "vm.renamed": frozenset({"vm.rename"}),
    "pool.appeared": frozenset({"pool.create"}),
    "pool.state": frozenset({"pool.start", "pool.stop", "pool.create", "pool.delete"}),
    "pool.changed": frozenset({"pool.change", "pool.define"}),
    "pool.vanished": frozenset({"pool.delete"}),
    "network.appeared": frozenset({"network.create"}),
    "network.state": frozenset({"network.start", "network.stop", "network.create", "network.delete"}),
    "network.changed": frozenset({"network.change", "network.define"}),
    "network.vanished": frozenset({"network.delete"}),
    "filter.appeared": frozenset({"filter.create"}),
    "filter.changed": frozenset({"filter.change"}),
    "filter.vanished": frozenset({"filter.delete"}),
}
# Which tasks make an object whose history begins with them.
MAKES = frozenset({"vm.create", "vm.bring_back", "network.create", "filter.create"})
# Which tasks make a new version of a definition.
REDEFINES = frozenset(
    {
        *("vm.create", "vm.bring_back", "vm.change", "vm.define", "vm.rename", "pool.change", "pool.define"),
        *("network.change", "network.define", "filter.change"),
    }
)


@dataclass(frozen=True, slots=True)
class Author:
    """A task that may explain what is observed of its object; `is_over` once it has ended."""

    task_id: str
    kind: str
    actor_name: str
    is_over: bool


def authors(
    session: Session, now: datetime, object_ids: Iterable[str], host_ids: Collection[str] = ()
) -> dict[str, list[Author]]:
    """Tasks that may explain effects on these objects, by object, newest first.

    `host_ids`: hosts on which storage pools appeared; the tasks that make these have the host for a target, and are
    found under host and UUID, joined by a blank.
    """
    found: dict[str, list[Author]] = defaultdict(list)
    task = models.Task
    recent = sa.or_(
        task.state.in_([state.value for state in ACTIVE_TASK_STATES]),
        task.finished_at >= now - JUST_FINISHED,
        sa.and_(task.state == TaskState.FAILED.value, task.acted_at >= now - STILL_POSSIBLE),
    )
    columns = (task.id, task.kind, task.target_id, task.actor_name, task.state, task.finished_at, task.error)
    for some in chunks({*object_ids, *host_ids}):
        query: sa.Select[Any] = sa.select(*columns, task.params).where(
            task.target_id.in_(some), recent, task.acted_at.is_not(None)
        )
        for row in session.execute(query.order_by(task.created_at.desc())):
            if row.finished_at is not None and not _may_follow(row, now):
                continue
            key = f"{row.target_id} {row.params.get('uuid')}" if row.kind == "pool.create" else row.target_id
            found[key].append(Author(row.id, row.kind, row.actor_name, row.finished_at is not None))
    return found


def _may_follow(row: sa.Row[Any], now: datetime) -> bool:
    """Whether an effect may still follow from a task that has ended."""
    if row.state == TaskState.SUCCEEDED.value:
        return bool(now - row.finished_at <= JUST_FINISHED)
    if (row.error or {}).get("code") in OUTCOME_UNKNOWN:
        return True
    return bool(now - row.finished_at <= JUST_FAILED)


def shown(
    session: Session, object_ids: Collection[str], task_ids: Collection[str]
) -> set[tuple[str, str, str]]:
    """Effects of these tasks that were told before: task, object and kind of the event."""
    event = models.Event
    found: set[tuple[str, str, str]] = set()
    columns = sa.select(event.task_id, event.object_id, event.kind)
    if task_ids:
        query = columns.where(event.object_id.in_(object_ids), event.task_id.in_(task_ids))
        found = {(str(row[0]), str(row[1]), row[2]) for row in session.execute(query)}
    return found


def explain(session: Session, now: datetime, events: Iterable[dict[str, Any]]) -> None:
    """Name the task and its asker in the events that are effects of tasks."""
    told = [event for event in events if event["kind"] in EXPLAINS]
    if not told:
        return
    hosts = {event["host_id"] for event in told if event["kind"] == "pool.appeared"}
    found = authors(session, now, {event["object_id"] for event in told}, hosts)
    over = {author.task_id for each in found.values() for author in each if author.is_over}
    before = shown(session, [event["object_id"] for event in told], over)
    for event in told:
        for author in found.get(_key(event), ()):
            effect = (author.task_id, event["object_id"], event["kind"])
            if author.kind in EXPLAINS[event["kind"]] and not (author.is_over and effect in before):
                event |= {"task_id": author.task_id, "actor_name": author.actor_name}
                before.add(effect)
                break


def _key(event: dict[str, Any]) -> str:
    if event["kind"] == "pool.appeared":
        return f"{event['host_id']} {event['uuid']}"
    return str(event["object_id"])


def maker(found: Iterable[Author], known: Collection[str | None]) -> Author | None:
    """The task that made a version: one that runs, or one that has just ended and made none that is known."""
    for author in found:
        if author.kind in REDEFINES and (not author.is_over or author.task_id not in known):
            return author
    return None
