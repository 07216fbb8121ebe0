"""Definitions that are others than before, and what is said of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from app.core.messages import N_
from app.core.states import ObjectKind
from app.core.views import VmDefinition
from app.db import models
from app.services.mirror.batch import Batch, Row, chunks, table
from app.services.mirror.changes import Change, tell_vm
from app.services.mirror.copies import Copy
from app.services.mirror.definitions import differences, hardware_columns, is_live, parsed
from app.services.mirror.news import News

Defined = tuple[News, Copy, VmDefinition, VmDefinition | None]
"""A definition, and of a running VM that was read by itself the saved one: what it is after its next power-off."""
CHANGED = Change("vm.changed", N_("The definition of VM %(name)s was changed: %(parts)s."))


def write_definitions(
    batch: Batch,
    defined: Sequence[Defined],
    sizes: Mapping[str, Mapping[str, int]],
    places: Mapping[str, Collection[str]],
) -> set[str]:
    """Write those that changed; return the ids of their VMs.

    `sizes` and `places`: see `definitions.volume_sizes` and `definitions.pool_places`.
    """
    definition = table(models.VmDefinition).c
    digests: dict[str, tuple[str, str | None]] = {}
    for some in chunks(copy.id for _, copy, _, _ in defined):
        query = sa.select(definition.vm_id, definition.digest, definition.saved_digest)
        rows = batch.session.execute(query.where(definition.vm_id.in_(some)))
        digests |= {row.vm_id: (row.digest, row.saved_digest) for row in rows}
    changed = [each for each in defined if not each[1].new and _is_new(each, digests.get(each[1].id))]
    before: dict[str, sa.Row[Any]] = {}
    columns = (
        definition.vm_id,
        definition.xml,
        definition.parsed,
        definition.saved_xml,
        definition.saved_parsed,
    )
    for some in chunks(copy.id for _, copy, _, _ in changed if copy.id in digests):
        stored = sa.select(*columns).where(definition.vm_id.in_(some))
        before |= {row.vm_id: row for row in batch.session.execute(stored)}
    for news, copy, new, saved in changed:
        columns_of = hardware_columns(new, sizes.get(news.host_id, {}), places.get(news.host_id, ()))
        pending = pending_parts(new, saved)
        if saved is not None or not is_live(new.xml):
            columns_of["pending"] = bool(pending)
        batch.update(models.Vm, copy.id, columns_of)
        batch.topics.add(copy.id)
        _write(batch, news, copy, new, saved, before.get(copy.id))
    return {copy.id for _, copy, _, _ in changed}


def _is_new(seen: Defined, known: tuple[str, str | None] | None) -> bool:
    _, _, new, saved = seen
    if known is None or known[0] != new.digest:
        return True
    if saved is not None:
        return saved.digest != known[1]
    return known[1] is not None and not is_live(new.xml)


def insert_definition(batch: Batch, vm_id: str, new: VmDefinition, saved: VmDefinition | None) -> None:
    """Write the first definition of a VM."""
    row = {"vm_id": vm_id, "digest": new.digest, "xml": new.xml, "read_at": batch.now, "parsed": parsed(new)}
    batch.insert(models.VmDefinition, row | _saved_columns(new, saved))


def pending_parts(new: VmDefinition, saved: VmDefinition | None) -> list[str]:
    """Titles of the parts that will be others after the next power-off."""
    return [] if saved is None else differences(parsed(new), parsed(saved), live=True)


def _saved_columns(new: VmDefinition, saved: VmDefinition | None) -> Row:
    if saved is None:
        return dict.fromkeys(("saved_digest", "saved_xml", "saved_parsed", "pending"))
    return {
        "saved_digest": saved.digest,
        "saved_xml": saved.xml,
        "saved_parsed": parsed(saved),
        "pending": pending_parts(new, saved),
    }


def _write(
    batch: Batch,
    news: News,
    copy: Copy,
    new: VmDefinition,
    saved: VmDefinition | None,
    stored: sa.Row[Any] | None,
) -> None:
    if stored is None:
        insert_definition(batch, copy.id, new, saved)
        return
    now = parsed(new)
    row = {"digest": new.digest, "xml": new.xml, "parsed": now, "read_at": batch.now}
    live = is_live(new.xml)
    # A listing reads only what runs; what was read of the saved definition stays until the VM is read by itself.
    if saved is not None or not live:
        row |= _saved_columns(new, saved)
    batch.update(models.VmDefinition, copy.id, row, by="vm_id")
    was_live = is_live(stored.xml)
    parts = differences(stored.parsed, now, live=was_live or live)
    if saved is not None and stored.saved_parsed is not None:
        parts += [
            each for each in differences(stored.saved_parsed, parsed(saved), live=False) if each not in parts
        ]
    if parts:
        tell_vm(batch, news, copy.id, copy.name, CHANGED, parts=parts)
    lasting_before = stored.saved_xml or (None if was_live else stored.xml)
    lasting = saved.xml if saved is not None else None if live else new.xml
    if lasting_before and lasting and lasting_before != lasting:
        batch.version(ObjectKind.VM, copy.id, news.host_id, lasting_before, lasting)
