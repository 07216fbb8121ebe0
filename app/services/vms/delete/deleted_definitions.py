"""What brings a deleted VM back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db.models import DeletedVm, Task, Vm


def keep_definition(session: Session, task_id: str, xml: str, sealed: bytes, volumes: Sequence[str]) -> None:
    """Keep what brings the VM of this task back, before it is deleted. A second time changes nothing.

    `xml` is its definition without secrets, `sealed` the whole of it, sealed.
    """
    task = session.get_one(Task, task_id)
    vm = session.get(Vm, task.target_id)
    if vm is None or session.get(DeletedVm, vm.id) is not None:
        return
    session.add(
        DeletedVm(
            id=vm.id,
            name=vm.name,
            uuid=vm.uuid,
            host_id=vm.host_id,
            xml=xml,
            sealed=sealed,
            autostart=vm.autostart,
            tags=list(vm.tags),
            notes=vm.notes,
            volumes=list(volumes),
            deleted_at=datetime.now(UTC),
            deleted_by=task.actor_name,
        )
    )


def sealed_definition(session: Session, vm_id: str) -> bytes | None:
    """The whole definition of a deleted VM, sealed; None when none was kept."""
    return session.scalar(sa.select(DeletedVm.sealed).where(DeletedVm.id == vm_id))


def stays(session: Session, vm_id: str) -> None:
    """It is not deleted after all, or it is back."""
    session.execute(sa.delete(DeletedVm).where(DeletedVm.id == vm_id))
