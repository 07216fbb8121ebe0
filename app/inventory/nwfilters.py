"""Traffic filters of hosts. What a listing lacks is deleted; definitions that change keep their versions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.db import models
from app.inventory.batch import Batch, table
from app.inventory.identity_claims import claimed_ids
from app.inventory.merged_report import News


def observe_filters(batch: Batch, news: Iterable[News]) -> None:
    """Write what the listings say of traffic filters."""
    told = [each for each in news if each.filters is not None]
    if not told:
        return
    rows = table(models.Filter)
    host_ids = [each.host_id for each in told]
    before: dict[str, dict[str, sa.Row[Any]]] = {}
    for row in batch.session.execute(sa.select(rows).where(rows.c.host_id.in_(host_ids))):
        before.setdefault(row.host_id, {})[row.uuid] = row
    ids = claimed_ids(batch.session, host_ids)
    for each in told:
        _observe(batch, each, before.get(each.host_id, {}), ids)


def _observe(
    batch: Batch, news: News, before: dict[str, sa.Row[Any]], ids: dict[tuple[str, str], str]
) -> None:
    for seen in {each.uuid: each for each in news.filters or ()}.values():
        row = before.pop(seen.uuid, None)
        wanted = {"name": seen.name, "xml": seen.xml}
        if row is None:
            filter_id = ids.get((news.host_id, seen.uuid)) or new_id(ObjectKind.FILTER)
            key = {"id": filter_id, "host_id": news.host_id, "uuid": seen.uuid}
            batch.insert(models.Filter, key | wanted)
            batch.topics.add(filter_id)
        elif (row.name, row.xml) != (seen.name, seen.xml):
            batch.update(models.Filter, row.id, wanted)
            batch.topics.add(row.id)
            _changed(batch, news, row, seen.xml)
    for row in before.values():
        batch.delete(models.Filter, row.id)
        batch.topics.add(row.id)


def _changed(batch: Batch, news: News, row: sa.Row[Any], xml: str) -> None:
    if xml == row.xml:
        return
    batch.version(ObjectKind.FILTER, row.id, news.host_id, row.xml, xml)
    batch.tell(
        "filter.changed",
        N_("Traffic filter %(name)s on host %(host)s was changed."),
        {"name": row.name, "host": news.host_name},
        object_kind=ObjectKind.FILTER,
        object_id=row.id,
        object_name=row.name,
        host=news.host,
    )
