"""Objects that hosts list whole, such as pools and networks: rows that appear, change and vanish, with their events."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from app.core.kinds import ObjectKind, Severity
from app.core.notices import TREE
from app.db import models
from app.inventory.batch import Batch, Row, StoredRow, table


@dataclass(frozen=True, slots=True)
class ListedKind:
    """A kind of object, its table, and the messages of its events. `same`: whether two XML texts define the same."""

    kind: ObjectKind
    model: type[models.Base]
    appeared: str
    changed: str
    vanished: str
    same: Callable[[str, str], bool] = str.__eq__


def rows_by_uuid(
    batch: Batch, model: type[models.Base], host_ids: Iterable[str]
) -> dict[str, dict[str, StoredRow]]:
    """All columns of the objects of these hosts: by host, then by UUID."""
    found: dict[str, dict[str, StoredRow]] = {}
    rows = table(model)
    for row in batch.session.execute(sa.select(rows).where(rows.c.host_id.in_(list(host_ids)))):
        found.setdefault(row.host_id, {})[row.uuid] = row
    return found


def appear(
    batch: Batch, host: tuple[str, str], listed: ListedKind, object_id: str, name: str, *, first: bool
) -> None:
    """Publish a new object; with an event unless its host is read for the first time."""
    batch.topics |= {object_id, host[0], TREE}
    if not first:
        publish(batch, host, listed, object_id, name, "appeared", listed.appeared)


def update(batch: Batch, host: tuple[str, str], listed: ListedKind, row: StoredRow, wanted: Row) -> None:
    """Write the columns that are others than before; keep a changed definition as a version, with an event."""
    changes = {name: value for name, value in wanted.items() if getattr(row, name) != value}
    if not changes:
        return
    batch.update(listed.model, row.id, changes)
    batch.topics |= {row.id, host[0]}
    if "name" in changes:
        batch.topics.add(TREE)
    xml = changes.get("xml")
    if isinstance(xml, str) and xml and row.xml and not listed.same(row.xml, xml):
        batch.version(listed.kind, row.id, host[0], row.xml, xml)
        publish(batch, host, listed, row.id, row.name, "changed", listed.changed)


def vanish(batch: Batch, host: tuple[str, str], listed: ListedKind, row: StoredRow) -> None:
    """Delete what its host does not list any more: nobody owns anything of it."""
    batch.delete(listed.model, row.id)
    batch.delete(models.Condition, row.id, by="object_id")
    batch.topics |= {row.id, host[0], TREE}
    publish(batch, host, listed, row.id, row.name, "vanished", listed.vanished, severity=Severity.WARNING)


def publish(
    batch: Batch,
    host: tuple[str, str],
    listed: ListedKind,
    object_id: str,
    name: str,
    event: str,
    message: str,
    *,
    severity: Severity = Severity.INFO,
    **params: list[str],
) -> None:
    """Write an event (the last part of its kind) of an object on a host (id and name)."""
    batch.publish(
        f"{listed.kind.value}.{event}",
        message,
        {"name": name, "host": host[1], **params},
        object_kind=listed.kind,
        object_id=object_id,
        object_name=name,
        host=host,
        severity=severity,
    )
