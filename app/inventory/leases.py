"""Leases of networks: whole as read; pages are told when they changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

import sqlalchemy as sa

from app.db import models
from app.inventory.batch import Batch, table
from app.inventory.merged_report import News


def observe_leases(batch: Batch, news: Iterable[News]) -> None:
    """Write the leases that were read. Networks that are not mirrored yet get theirs with the next reading."""
    told = {each.host_id: each.leases for each in news if each.leases is not None}
    if not told:
        return
    rows = table(models.Network).c
    query = sa.select(rows.id, rows.host_id, rows.uuid, rows.leases).where(rows.host_id.in_(list(told)))
    for row in batch.session.execute(query):
        seen = told[row.host_id].get(row.uuid)
        if seen is None:
            continue
        leases = [asdict(each) for each in seen]
        batch.update(models.Network, row.id, {"leases": leases, "leases_read_at": batch.now})
        if leases != row.leases:
            batch.topics.add(row.id)
