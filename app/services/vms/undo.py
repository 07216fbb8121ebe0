"""How a VM that a task has defined is removed again."""

from __future__ import annotations

import structlog

from app.core.errors import VmGone
from app.core.messages import N_
from app.core.vms.states import VmState
from app.hypervisor import Host
from app.tasks.undo import LeftEvent, Note, Undo, declare_undo

log = structlog.get_logger(__name__)

VM = "vm"


def vm_note(uuid: str) -> dict[str, str]:
    """The note of a VM's definition."""
    return {"kind": VM, "uuid": uuid}


def _remove(host: Host, note: Note, ended: bool) -> bool:
    """A VM that runs after the end of its task is somebody's by now, and is left."""
    uuid = note["uuid"]
    try:
        if host.read_vm(uuid).state is not VmState.SHUTOFF:
            if ended:
                return False
            host.force_off(uuid)
        host.domains.undefine(uuid)
    except VmGone:
        log.info("vm_gone_already", uuid=uuid)
    return True


def _left(note: Note) -> LeftEvent:
    return LeftEvent(
        "vm.left",
        N_(
            "The VM with the UUID %(uuid)s was left on its host: the task that made it failed, but it was not off when "
            "the rest was removed. Delete it if nobody needs it."
        ),
        {"uuid": note["uuid"]},
    )


declare_undo(VM, Undo(_remove, _left))
