"""Definitions that are others than before, and what is said of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypedDict

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.vms.observations import DefinitionObservation, StoredDefinition
from app.db import models
from app.db.chunks import chunks
from app.inventory.batch import Batch, Row, StoredRow, table
from app.inventory.vms.definitions import differences, hardware_columns, is_live, load, parsed
from app.inventory.vms.events import Change, tell_vm
from app.inventory.vms.readings import VmReading
from app.inventory.vms.rows import VmRow

Defined = tuple[VmReading, VmRow, DefinitionObservation, DefinitionObservation | None]
"""A definition, and of a running VM that was read by itself the saved one: what it is after its next power-off."""
CHANGED = Change("vm.changed", N_("The definition of VM %(name)s was changed: %(parts)s."))
APPLIED = Change("vm.applied", N_("VM %(name)s has what waited for its power-off: %(parts)s."))


class _Stored(TypedDict):
    """Columns of a definition's row that follow from the definition."""

    digest: str
    xml: str
    parsed: StoredDefinition
    saved_digest: str | None
    saved_xml: str | None
    saved_parsed: StoredDefinition | None
    pending: list[str] | None


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
    for some in chunks(vm_row.id for _, vm_row, _, _ in defined):
        query = sa.select(definition.vm_id, definition.digest, definition.saved_digest)
        rows = batch.session.execute(query.where(definition.vm_id.in_(some)))
        digests |= {row.vm_id: (row.digest, row.saved_digest) for row in rows}
    changed = [item for item in defined if not item[1].new and _is_new(item, digests.get(item[1].id))]
    before: dict[str, StoredRow] = {}
    columns = (
        definition.vm_id,
        definition.xml,
        definition.parsed,
        definition.saved_xml,
        definition.saved_parsed,
    )
    for some in chunks(vm_row.id for _, vm_row, _, _ in changed if vm_row.id in digests):
        stored = sa.select(*columns).where(definition.vm_id.in_(some))
        before |= {row.vm_id: row for row in batch.session.execute(stored)}
    for reading, vm_row, new, saved in changed:
        hardware = hardware_columns(new, sizes.get(reading.host_id, {}), places.get(reading.host_id, ()))
        columns_of: Row = {**hardware}
        stored_columns = _columns(new, saved)
        if saved is not None or not is_live(new.xml):
            columns_of["pending"] = bool(stored_columns["pending"])
        batch.update(models.Vm, vm_row.id, columns_of)
        batch.topics.add(vm_row.id)
        row = before.get(vm_row.id)
        if row is None:
            batch.insert(models.VmDefinition, {"vm_id": vm_row.id, "read_at": batch.now, **stored_columns})
        else:
            _replace(batch, reading, vm_row, stored_columns, row)
    return {vm_row.id for _, vm_row, _, _ in changed}


def only_saved(session: Session, reported: Iterable[tuple[VmReading, Mapping[str, VmRow]]]) -> list[Defined]:
    """Saved definitions that came without the running ones, each with the running one that is stored.

    Those that are stored already are left out, and those of VMs that are not known to run.
    """
    wanted = {
        vm_row.id: (reading, vm_row, saved)
        for reading, rows in reported
        for uuid, saved in reading.value.saved.items()
        if (vm_row := rows.get(uuid)) is not None and not vm_row.gone and not vm_row.new
    }
    stored = table(models.VmDefinition).c
    found: list[Defined] = []
    for some in chunks(wanted):
        digests = session.execute(sa.select(stored.vm_id, stored.saved_digest).where(stored.vm_id.in_(some)))
        other = [row.vm_id for row in digests if row.saved_digest != wanted[row.vm_id][2].digest]
        query = sa.select(stored.vm_id, stored.xml, stored.parsed).where(stored.vm_id.in_(other))
        for row in session.execute(query):
            if is_live(row.xml):
                reading, vm_row, saved = wanted[row.vm_id]
                found.append((reading, vm_row, replace(load(row.parsed), xml=row.xml), saved))
    return found


def _is_new(seen: Defined, known: tuple[str, str | None] | None) -> bool:
    _, _, new, saved = seen
    if known is None or known[0] != new.digest:
        return True
    if saved is not None:
        return saved.digest != known[1]
    return known[1] is not None and not is_live(new.xml)


def insert_definition(
    batch: Batch, vm_id: str, new: DefinitionObservation, saved: DefinitionObservation | None
) -> None:
    """Write the first definition of a VM."""
    batch.insert(models.VmDefinition, {"vm_id": vm_id, "read_at": batch.now, **_columns(new, saved)})


def waits(new: DefinitionObservation, saved: DefinitionObservation | None) -> bool | None:
    """Whether changes wait for a power-off; None when that is not known yet."""
    if saved is not None:
        return bool(differences(parsed(new), parsed(saved), live=True))
    return None if is_live(new.xml) else False


def _columns(new: DefinitionObservation, saved: DefinitionObservation | None) -> _Stored:
    """What is stored of a definition, and of the saved one beside it."""
    now = parsed(new)
    later = None if saved is None else parsed(saved)
    return {
        "digest": new.digest,
        "xml": new.xml,
        "parsed": now,
        "saved_digest": None if saved is None else saved.digest,
        "saved_xml": None if saved is None else saved.xml,
        "saved_parsed": later,
        "pending": None if later is None else differences(now, later, live=True),
    }


def _replace(batch: Batch, reading: VmReading, vm_row: VmRow, columns: _Stored, stored: StoredRow) -> None:
    """Write another definition over the stored one, and say what changed."""
    live, was_live = is_live(columns["xml"]), is_live(stored.xml)
    later = columns["saved_parsed"]
    row: Row = {"read_at": batch.now, **columns}
    # A listing reads only what runs; what was read of the saved definition stays until the VM is read by itself.
    if live and later is None:
        for name in ("saved_digest", "saved_xml", "saved_parsed", "pending"):
            del row[name]
    batch.update(models.VmDefinition, vm_row.id, row, by="vm_id")
    parts = differences(stored.parsed, columns["parsed"], live=was_live or live)
    if was_live and not live and stored.saved_parsed is not None:
        # What was saved before takes effect; only what differs from that was changed by somebody.
        changed = differences(stored.saved_parsed, columns["parsed"], live=False)
        applied = [part for part in parts if part not in changed]
        if applied:
            tell_vm(batch, reading.host, vm_row.id, vm_row.name, APPLIED, parts=applied)
        parts = changed
    if later is not None and stored.saved_parsed is not None:
        parts += [
            difference
            for difference in differences(stored.saved_parsed, later, live=False)
            if difference not in parts
        ]
    if parts:
        tell_vm(batch, reading.host, vm_row.id, vm_row.name, CHANGED, parts=parts)
    lasting_before = stored.saved_xml or (None if was_live else stored.xml)
    lasting = columns["saved_xml"] or (None if live else columns["xml"])
    if lasting_before and lasting and lasting_before != lasting:
        batch.version(ObjectKind.VM, vm_row.id, reading.host_id, lasting_before, lasting)
