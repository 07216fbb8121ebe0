"""Everything that one transaction of the mirror writes: collected first, written in bulk, told after commit."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.kinds import ObjectKind, Severity
from app.core.notices import EVENTS
from app.db import models
from app.db.chunks import chunks as chunks
from app.inventory import authorship
from app.inventory.authorship import Author

Row = dict[str, Any]


def table(model: type[models.Base]) -> sa.Table:
    """The Core table of a model: bulk statements on it skip the ORM."""
    found = model.__table__
    assert isinstance(found, sa.Table)
    return found


def digest_of(xml: str) -> str:
    """What two texts of the same definition have in common."""
    return hashlib.sha256(xml.encode(errors="surrogatepass")).hexdigest()


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
        uuid: str | None = None,
    ) -> None:
        """Write an event about an object on a host (id and name of the host).

        `uuid`: of a storage pool that appeared, by which the task that made it is found.
        """
        event = {
            "at": self.now,
            "kind": kind,
            "severity": severity.value,
            "message": message,
            "params": params,
            "uuid": uuid,
        }
        event |= {"object_kind": object_kind.value, "object_id": object_id, "object_name": object_name}
        event |= {"host_id": host[0], "host_name": host[1], "task_id": None, "actor_name": None}
        self._events.append(event)

    def version(self, kind: ObjectKind, object_id: str, host_id: str, before: str | None, after: str) -> None:
        """Keep a definition that became another: both versions, or only the new one when the old one is kept.

        Without `before` a task made the object: its history begins with that.
        """
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
        authorship.explain(self.session, self.now, self._events)
        for event in self._events:
            event.pop("uuid", None)
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
        found = authorship.authors(self.session, self.now, self._versions)
        first = self._first_of(kept)
        rows: list[Row] = []
        for object_id, version in self._versions.items():
            author = authorship.maker(found.get(object_id, ()), kept.get(object_id, set()))
            row = {
                "object_kind": version["kind"].value,
                "object_id": object_id,
                "host_id": version["host_id"],
            }
            if object_id not in kept and version["before"] is not None:
                old = {"xml": version["before"], "digest": digest_of(version["before"])}
                rows.append(row | old | first.get(object_id, _UNKNOWN))
            new = {"xml": version["after"], "digest": digest_of(version["after"]), "since": self.now}
            rows.append(row | new | _by(author))
        connection.execute(sa.insert(history), rows)
        self._versions = {}

    def _first_of(self, kept: Collection[str]) -> dict[str, Row]:
        """Since when, and by whom, objects of which no version is kept were as they were before this change."""
        task = table(models.Task).c
        found: dict[str, Row] = {}
        for some in chunks(key for key in self._versions if key not in kept):
            query = sa.select(task.target_id, task.id, task.actor_name, task.started_at)
            query = query.where(
                task.target_id.in_(some), task.kind.in_(authorship.MAKES), task.acted_at.is_not(None)
            )
            for row in self.session.execute(query.order_by(task.created_at)):
                found[row.target_id] = {
                    "since": row.started_at,
                    "actor_name": row.actor_name,
                    "task_id": row.id,
                }
        return found


_UNKNOWN: Row = {"since": None, "actor_name": None, "task_id": None}


def _by(author: Author | None) -> Row:
    if author is None:
        return {"actor_name": None, "task_id": None}
    return {"actor_name": author.actor_name, "task_id": author.task_id}
