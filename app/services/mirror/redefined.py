"""Definitions that are others than before, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from app.core.messages import N_
from app.core.views import VmDefinition
from app.db import models
from app.services.mirror.batch import Batch, Row, chunks, table
from app.services.mirror.changes import Change, tell_vm
from app.services.mirror.copies import Copy
from app.services.mirror.definitions import differences, hardware_columns, is_live, parsed
from app.services.mirror.news import News

Defined = tuple[News, Copy, VmDefinition]
_HEAD = 300  # characters of XML that hold its root, which says whether the VM runs
CHANGED = Change("vm.changed", N_("The definition of VM %(name)s was changed: %(parts)s."))


def write_definitions(
    batch: Batch, defined: Sequence[Defined], sizes: Mapping[str, Mapping[str, int]]
) -> set[str]:
    """Write those that changed; return the ids of their VMs. `sizes`: see `definitions.volume_sizes`."""
    definition = table(models.VmDefinition).c
    digests: dict[str, str] = {}
    for some in chunks(copy.id for _, copy, _ in defined):
        query = sa.select(definition.vm_id, definition.digest).where(definition.vm_id.in_(some))
        digests |= {row.vm_id: row.digest for row in batch.session.execute(query)}
    changed = [
        (news, copy, new)
        for news, copy, new in defined
        if not copy.new and digests.get(copy.id) != new.digest
    ]
    before: dict[str, tuple[Row, bool]] = {}
    for some in chunks(copy.id for _, copy, _ in changed if copy.id in digests):
        head = sa.func.substr(definition.xml, 1, _HEAD).label("head")
        stored = sa.select(definition.vm_id, definition.parsed, head).where(definition.vm_id.in_(some))
        before |= {row.vm_id: (row.parsed, is_live(row.head)) for row in batch.session.execute(stored)}
    for news, copy, new in changed:
        batch.update(models.Vm, copy.id, hardware_columns(new, sizes.get(news.host_id, {})))
        batch.topics.add(copy.id)
        _write(batch, news, copy, new, before.get(copy.id))
    return {copy.id for _, copy, _ in changed}


def insert_definition(batch: Batch, vm_id: str, new: VmDefinition) -> None:
    """Write the first definition of a VM."""
    row = {"vm_id": vm_id, "digest": new.digest, "xml": new.xml, "read_at": batch.now}
    batch.insert(models.VmDefinition, row | {"parsed": parsed(new)})


def _write(batch: Batch, news: News, copy: Copy, new: VmDefinition, stored: tuple[Row, bool] | None) -> None:
    if stored is None:
        insert_definition(batch, copy.id, new)
        return
    now = parsed(new)
    row = {"digest": new.digest, "xml": new.xml, "parsed": now, "read_at": batch.now}
    batch.update(models.VmDefinition, copy.id, row, by="vm_id")
    before, was_live = stored
    parts = differences(before, now, live=was_live or is_live(new.xml))
    if parts:
        tell_vm(batch, news, copy.id, copy.name, CHANGED, parts=parts)
