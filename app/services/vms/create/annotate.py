"""What people own of a VM that was just made."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db.models import Tag, Vm, VmDefinition
from app.inventory.vms.search_text import vm_search_text


def set_tags_and_notes(session: Session, vm_id: str, tags: Sequence[str], notes: str) -> bool:
    """Give a VM that was made the tags and notes that were asked for; False while the mirror does not have it."""
    vm = session.get(Vm, vm_id, with_for_update=True)
    if vm is None:
        return False
    session.execute(sa.delete(Tag).where(Tag.object_id == vm_id))
    session.add_all(Tag(object_id=vm_id, name=name) for name in dict.fromkeys(tags))
    vm.tags, vm.notes = list(dict.fromkeys(tags)), notes
    parsed = session.scalar(sa.select(VmDefinition.parsed).where(VmDefinition.vm_id == vm_id)) or {}
    macs = [nic["mac"] for nic in parsed.get("nics", ())]
    vm.search_text = vm_search_text(
        vm.name, vm.uuid, vm.title, macs, vm.addresses, vm.guest_hostname, vm.tags
    )
    return True
