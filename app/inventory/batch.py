"""Everything that one transaction of the mirror writes: collected first, then written in bulk."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.inventory.changes import Changes, NewVersion, ObservedEvent
from app.core.kinds import ObjectKind, Severity
from app.db import models
from app.db.chunks import chunks

Row = dict[str, object]  # what is written to a row
StoredRow = sa.Row[*tuple[object, ...]]  # a row as it is stored, its columns by name
Shared = TypeVar("Shared")


def table(model: type[models.Base]) -> sa.Table:
    """The Core table of a model: bulk statements on it skip the ORM."""
    found = model.__table__
    assert isinstance(found, sa.Table)
    return found


def digest_of(xml: str) -> str:
    """What two texts of the same definition have in common."""
    return hashlib.sha256(xml.encode(errors="surrogatepass")).hexdigest()


class Batch:
    """Rows to insert, update and delete, and what changed: events, new versions, topics to publish."""

    def __init__(self, session: Session, now: datetime) -> None:
        self.session = session
        self.now = now
        self.changes = Changes(now)
        self.topics = self.changes.topics
        self._shared: dict[object, object] = {}
        self._inserts: dict[sa.Table, list[Mapping[str, object]]] = defaultdict(list)
        self._updates: dict[tuple[sa.Table, str, str], Row] = defaultdict(dict)
        self._deletes: dict[tuple[sa.Table, str], list[str]] = defaultdict(list)

    def shared(self, kind: Callable[[Session], Shared]) -> Shared:
        """The one object of this class for the batch, made of its session: for rows that several collectors compare."""
        found = self._shared.get(kind)
        if found is None:
            found = self._shared[kind] = kind(self.session)
        return cast("Shared", found)

    def insert(self, model: type[models.Base], row: Mapping[str, object]) -> None:
        """Insert a row; rows of one table must all have the same columns."""
        self._inserts[table(model)].append(row)

    def update(
        self, model: type[models.Base], key: str, changes: Mapping[str, object], *, by: str = "id"
    ) -> None:
        """Change columns of the row whose column `by` is `key`; later changes of a row go over earlier ones."""
        self._updates[table(model), by, key].update(changes)

    def delete(self, model: type[models.Base], key: str, *, by: str = "id") -> None:
        """Delete the rows whose column `by` is `key`."""
        self._deletes[table(model), by].append(key)

    def publish(
        self,
        kind: str,
        message: str,
        params: Mapping[str, object],
        *,
        object_kind: ObjectKind,
        object_id: str,
        object_name: str,
        host: tuple[str, str],
        severity: Severity = Severity.INFO,
    ) -> None:
        """Write an event about an object on a host (id and name of the host)."""
        event = ObservedEvent(kind, message, params, object_kind, object_id, object_name, *host, severity)
        self.changes.events.append(event)

    def version(self, kind: ObjectKind, object_id: str, host_id: str, before: str | None, after: str) -> None:
        """Keep a definition that became another: both versions, or only the new one when the old one is kept.

        Without `before` a task made the object: its history begins with that.
        """
        new = NewVersion(kind, object_id, host_id, before, after)
        self.changes.versions.setdefault(object_id, new).after = after

    def write(self) -> None:
        """Write what was collected so far: deletes, then inserts, then updates, also of what was just inserted."""
        connection = self.session.connection()
        for (target, by), keys in self._deletes.items():
            for some in chunks(keys):
                connection.execute(sa.delete(target).where(target.c[by].in_(some)))
        for target, rows in self._inserts.items():
            connection.execute(sa.insert(target), rows)
        for change, changed in self._update_statements():
            connection.execute(change, changed)
        self._deletes.clear()
        self._inserts.clear()
        self._updates.clear()

    def _update_statements(self) -> list[tuple[sa.Update, list[Row]]]:
        """The updates, with their rows: rows in which the same columns change share a statement."""
        alike: dict[tuple[sa.Table, str, tuple[str, ...]], list[Row]] = defaultdict(list)
        for (target, by, key), changes in self._updates.items():
            if changes:
                alike[target, by, tuple(changes)].append({"row_key": key, **changes})
        statements: list[tuple[sa.Update, list[Row]]] = []
        for (target, by, columns), rows in alike.items():
            change = sa.update(target).where(target.c[by] == sa.bindparam("row_key"))
            statements.append((change.values({name: sa.bindparam(name) for name in columns}), rows))
        return statements
