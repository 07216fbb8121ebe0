"""Everything that one transaction of the mirror writes: collected first, written in bulk, told after commit."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.states import ACTIVE_TASK_STATES, ObjectKind, Severity
from app.db import models
from app.services.notices import EVENTS

T = TypeVar("T")
Row = dict[str, Any]

# A finished task still explains what a reading shows for this long.
JUST_FINISHED = timedelta(seconds=15)

# Which tasks explain which event; anything else that is seen happened outside Vigie.
EXPLAINS: Mapping[str, frozenset[str]] = {
    "vm.started": frozenset({"vm.start", "vm.restore"}),
    "vm.stopped": frozenset({"vm.shutdown", "vm.force-off", "vm.save"}),
    "vm.saved": frozenset({"vm.save"}),
    "vm.paused": frozenset({"vm.pause", "vm.save"}),
    "vm.resumed": frozenset({"vm.resume", "vm.restore"}),
    "vm.rebooted": frozenset({"vm.reboot", "vm.reset"}),
    "vm.autostart": frozenset({"vm.autostart-on", "vm.autostart-off"}),
    "vm.changed": frozenset({"vm.change", "vm.define"}),
    "vm.renamed": frozenset({"vm.rename"}),
    "pool.state": frozenset({"pool.start", "pool.stop"}),
    "pool.changed": frozenset({"pool.change", "pool.define"}),
    "pool.vanished": frozenset({"pool.delete"}),
    "network.state": frozenset({"network.start", "network.stop"}),
    "network.changed": frozenset({"network.change", "network.define"}),
    "filter.changed": frozenset({"filter.change"}),
    "network.vanished": frozenset({"network.delete"}),
}
# Which tasks make a new version of a definition.
REDEFINES = frozenset(
    {
        *("vm.change", "vm.define", "vm.rename", "pool.change", "pool.define"),
        *("network.change", "network.define", "filter.change"),
    }
)


def table(model: type[models.Base]) -> sa.Table:
    """The Core table of a model: bulk statements on it skip the ORM."""
    found = model.__table__
    assert isinstance(found, sa.Table)
    return found


def digest_of(xml: str) -> str:
    """What two texts of the same definition have in common."""
    return hashlib.sha256(xml.encode(errors="surrogatepass")).hexdigest()


def chunks(items: Iterable[T], size: int = 500) -> Iterator[list[T]]:
    """Parts of at most `size`: `IN` lists stay within what both databases like."""
    held = list(items)
    for start in range(0, len(held), size):
        yield held[start : start + size]


class Batch:
    """Rows to insert, update and delete, events to write and topics to publish."""

    def __init__(self, session: Session, now: datetime) -> None:
        self.session = session
        self.now = now
        self.topics: set[str] = set()
        self._events: list[Row] = []
        self._versions: dict[str, Row] = {}
        self._inserts: dict[sa.Table, list[Row]] = defaultdict(list)
        self._updates: dict[tuple[sa.Table, str, str], Row] = defaultdict(dict)
        self._deletes: dict[tuple[sa.Table, str], list[str]] = defaultdict(list)

    def insert(self, model: type[models.Base], row: Row) -> None:
        """Insert a row; rows of one table must all have the same columns."""
        self._inserts[table(model)].append(row)

    def update(self, model: type[models.Base], key: str, changes: Row, *, by: str = "id") -> None:
        """Change columns of the row whose column `by` is `key`; later changes of a row go over earlier ones."""
        self._updates[table(model), by, key].update(changes)

    def delete(self, model: type[models.Base], key: str, *, by: str = "id") -> None:
        """Delete the rows whose column `by` is `key`."""
        self._deletes[table(model), by].append(key)

    def tell(
        self,
        kind: str,
        message: str,
        params: Row,
        *,
        object_kind: ObjectKind,
        object_id: str,
        object_name: str,
        host: tuple[str, str],
        severity: Severity = Severity.INFO,
    ) -> None:
        """Write an event about an object on a host (id and name of the host)."""
        event = {
            "at": self.now,
            "kind": kind,
            "severity": severity.value,
            "message": message,
            "params": params,
        }
        event |= {"object_kind": object_kind.value, "object_id": object_id, "object_name": object_name}
        event |= {"host_id": host[0], "host_name": host[1], "task_id": None, "actor_name": None}
        self._events.append(event)

    def version(self, kind: ObjectKind, object_id: str, host_id: str, before: str, after: str) -> None:
        """Keep a definition that became another: both versions, or only the new one when the old one is kept."""
        known = self._versions.setdefault(object_id, {"before": before, "kind": kind, "host_id": host_id})
        known["after"] = after

    def write(self) -> None:
        """Write what was collected so far: deletes, then inserts, then updates, also of what was just inserted."""
        connection = self.session.connection()
        for (target, by), keys in self._deletes.items():
            for some in chunks(keys):
                connection.execute(sa.delete(target).where(target.c[by].in_(some)))
        for target, rows in self._inserts.items():
            connection.execute(sa.insert(target), rows)
        self._write_updates(connection)
        self._deletes.clear()
        self._inserts.clear()
        self._updates.clear()
        self._write_events(connection)
        self._write_versions(connection)

    def _write_updates(self, connection: sa.Connection) -> None:
        """Rows in which the same columns change share a statement."""
        alike: dict[tuple[sa.Table, str, tuple[str, ...]], list[Row]] = defaultdict(list)
        for (target, by, key), changes in self._updates.items():
            if changes:
                alike[target, by, tuple(changes)].append({"row_key": key, **changes})
        for (target, by, columns), rows in alike.items():
            change = sa.update(target).where(target.c[by] == sa.bindparam("row_key"))
            connection.execute(change.values({name: sa.bindparam(name) for name in columns}), rows)

    def _write_events(self, connection: sa.Connection) -> None:
        if not self._events:
            return
        explainable = [each for each in self._events if each["kind"] in EXPLAINS]
        tasks = self._explaining_tasks({each["object_id"] for each in explainable})
        for event in explainable:
            kinds = EXPLAINS[event["kind"]]
            for task in (task for task in tasks.get(event["object_id"], ()) if task.kind in kinds):
                event |= {"task_id": task.id, "actor_name": task.actor_name}
                break
        connection.execute(sa.insert(table(models.Event)), self._events)
        self.topics.add(EVENTS)
        self._events = []

    def _write_versions(self, connection: sa.Connection) -> None:
        if not self._versions:
            return
        history = table(models.History)
        kept: dict[str, set[str | None]] = defaultdict(set)  # tasks whose versions are there, by object
        for some in chunks(self._versions):
            query = sa.select(history.c.object_id, history.c.task_id).where(history.c.object_id.in_(some))
            for object_id, task_id in self.session.execute(query):
                kept[object_id].add(task_id)
        tasks = self._explaining_tasks(self._versions)
        rows: list[Row] = []
        for object_id, version in self._versions.items():
            task = _maker(tasks.get(object_id, ()), kept.get(object_id, set()))
            row = {
                "object_kind": version["kind"].value,
                "object_id": object_id,
                "host_id": version["host_id"],
            }
            if object_id not in kept:
                first = {"xml": version["before"], "digest": digest_of(version["before"])}
                rows.append(row | first | {"since": None, "actor_name": None, "task_id": None})
            new = {"xml": version["after"], "digest": digest_of(version["after"]), "since": self.now}
            by = {"actor_name": task.actor_name if task else None, "task_id": task.id if task else None}
            rows.append(row | new | by)
        connection.execute(sa.insert(history), rows)
        self._versions = {}

    def _explaining_tasks(self, object_ids: Iterable[str]) -> dict[str, list[sa.Row[Any]]]:
        """Tasks that run or have just ended on these objects, newest first."""
        found: dict[str, list[sa.Row[Any]]] = defaultdict(list)
        task = table(models.Task).c
        recent = sa.or_(
            task.state.in_([state.value for state in ACTIVE_TASK_STATES]),
            task.finished_at >= self.now - JUST_FINISHED,
        )
        for some in chunks(object_ids):
            query: sa.Select[Any] = sa.select(
                task.id, task.kind, task.target_id, task.actor_name, task.finished_at
            )
            query = query.where(task.target_id.in_(some), recent, task.started_at.is_not(None))
            for row in self.session.execute(query.order_by(task.created_at.desc())):
                found[row.target_id].append(row)
        return found


def _maker(tasks: Iterable[sa.Row[Any]], known: Collection[str | None]) -> sa.Row[Any] | None:
    """The task that made a version: one that runs, or one that has just ended and made none that is known."""
    for task in tasks:
        if task.kind in REDEFINES and (task.finished_at is None or task.id not in known):
            return task
    return None
