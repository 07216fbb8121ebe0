"""VMs that Vigie deletes or has deleted: a listing without them is no surprise."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db.chunks import chunks
from app.db.models import DeletedVm


def deleted_by_vigie(session: Session, vm_ids: Collection[str]) -> set[str]:
    """Those of these VMs whose definition is kept, so that they are being deleted, or are deleted."""
    found: set[str] = set()
    for some in chunks(vm_ids):
        found.update(session.scalars(sa.select(DeletedVm.id).where(DeletedVm.id.in_(some))))
    return found
