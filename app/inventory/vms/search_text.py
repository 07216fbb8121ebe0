"""The text that searches of VMs look through."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from app.core.casefold import fold
from app.db import models
from app.db.chunks import chunks
from app.inventory.batch import Batch, table


def vm_search_text(
    name: str,
    uuid: str,
    title: str | None,
    macs: Iterable[str],
    addresses: Iterable[Sequence[str]],
    guest_hostname: str | None,
    tags: Iterable[str],
) -> str:
    """What the search of VMs looks through: one word or name a line, folded."""
    parts = [name, uuid, title, *macs, *(address[1] for address in addresses), guest_hostname, *tags]
    return fold("\n".join(part for part in parts if part))


def refresh_search(batch: Batch, vm_ids: Iterable[str]) -> None:
    """Fold the search text of these VMs anew from their rows and definitions, as written so far."""
    vm, definition = table(models.Vm).c, table(models.VmDefinition).c
    columns = (vm.id, vm.name, vm.uuid, vm.title, vm.addresses, vm.guest_hostname, vm.tags, vm.search_text)
    joined = table(models.Vm).outerjoin(table(models.VmDefinition))
    for some in chunks(vm_ids):
        query = sa.select(*columns, definition.parsed).select_from(joined).where(vm.id.in_(some))
        for row in batch.session.execute(query).all():
            macs = [nic["mac"] for nic in (row.parsed or {}).get("nics", ())]
            text = vm_search_text(
                row.name, row.uuid, row.title, macs, row.addresses, row.guest_hostname, row.tags
            )
            if text != row.search_text:
                batch.update(models.Vm, row.id, {"search_text": text})
