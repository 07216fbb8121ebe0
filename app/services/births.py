"""VMs that are being created or brought back: the ids that they will have, and what people own of them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.ids import new_id
from app.core.states import ACTIVE_TASK_STATES, ObjectKind, TaskState
from app.db.models import Tag, Task, Vm, VmDefinition
from app.services.mirror.definitions import vm_search_text

CREATE = "vm.create"
BRING_BACK = "vm.bring_back"


def id_for(session: Session, host_id: str, uuid: str) -> str:
    """The id of a VM that appears on a host: the one that its task promised, or a new one."""
    active = [state.value for state in ACTIVE_TASK_STATES]
    query = sa.select(Task.kind, Task.target_id, Task.params).where(
        Task.kind.in_((CREATE, BRING_BACK)), Task.state.in_(active), Task.host_id == host_id
    )
    promised = {
        params["blueprint"]["uuid"] if kind == CREATE else params["uuid"]: target
        for kind, target, params in session.execute(query)
    }
    return promised.get(uuid) or new_id(ObjectKind.VM)


def is_given_up(session: Session, vm_id: str) -> bool:
    """Whether the VM was to be made, and was not: what there is of it is being removed."""
    query = sa.select(Task.state).where(Task.target_id == vm_id, Task.kind == CREATE)
    state = session.scalar(query)
    return state is not None and state != TaskState.SUCCEEDED.value


def settle(session: Session, vm_id: str, tags: Sequence[str], notes: str) -> bool:
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
