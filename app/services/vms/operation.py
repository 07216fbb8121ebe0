"""What operations on a VM have in common: where the VM is, and how it is looked at while they run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.access.context import Ctx
from app.access.find import ref
from app.core.errors import Conflict, VmGone
from app.core.hosts.states import AdminState, HostMode
from app.core.messages import N_
from app.core.vms.observations import VmObservation
from app.db.models import Host, Vm
from app.inventory.collectors.vms import VMS
from app.inventory.vms.readings import VmReadings
from app.tasks.context import LOOK_EVERY_S, TaskContext
from app.tasks.errors import TaskFailed
from app.tasks.operation import Location, Operation, P, Plan, Touch


class VmOperation(Operation[P]):
    """An operation on a VM of the inventory. `privilege` is what it takes on the VM."""

    privilege: ClassVar[str]

    def touches(self, parameters: P) -> tuple[Touch, ...]:
        """The VM."""
        return (Touch(Vm, parameters.target_id, self.privilege),)

    def check(self, ctx: Ctx, parameters: P) -> Plan:
        """The VM on its host, held alone."""
        vm, host = vm_and_host(ctx.session, parameters.target_id)
        return Plan(ref(vm), ref(host))

    def locate(self, session: Session, parameters: P) -> Location:
        """The host that has the VM now. Raises TaskFailed (vm_gone)."""
        columns = (Vm.host_id, Host.mode, Host.admin_state, Vm.uuid)
        query = sa.select(*columns).join(Host, Host.id == Vm.host_id)
        row = session.execute(query.where(Vm.id == parameters.target_id)).one_or_none()
        if row is None:
            raise TaskFailed("vm_gone", N_("The VM is not in the inventory any more."))
        return Location(row.host_id, HostMode(row.mode), AdminState(row.admin_state), row.uuid)


def vm_and_host(session: Session, vm_id: str) -> tuple[Vm, Host]:
    """The rows of a VM that was found, and of its host."""
    vm = session.get_one(Vm, vm_id)
    return vm, session.get_one(Host, vm.host_id)


def vm_on_host(context: TaskContext, uuid: str) -> VmObservation | None:
    """The VM on the host of the task; None when it is not there."""
    try:
        return context.call(lambda host: host.read_vm(uuid))
    except VmGone:
        return None


def vm_missing() -> Conflict:
    """The refusal of what takes a VM that its host still has."""
    return Conflict(
        N_("The VM is not on its host any more."),
        hint=N_("Remove it from the inventory, or undelete it."),
        code="vm_missing",
    )


class RunningVm:
    """A VM as an operation sees it on its host. `saw_transient`: when last looked at, its host would forget it."""

    def __init__(self, context: TaskContext, uuid: str) -> None:
        self.uuid = uuid
        self.saw_transient = False
        self._context = context

    def look(self) -> VmObservation:
        """The VM as it is on its host now. Raises VmGone."""
        vm = self._context.call(lambda host: host.read_vm(self.uuid))
        self.saw_transient = not vm.persistent
        return vm

    def wait_until(self, done: Callable[[VmObservation], bool], timeout_s: float) -> bool:
        """Look again and again until `done`; False when that takes too long."""
        deadline = time.monotonic() + timeout_s
        while not done(self.look()):
            self._context.stop_if_cancelled()
            if time.monotonic() > deadline:
                return False
            self._context.pause(LOOK_EVERY_S)
        return True

    def show(self, vm: VmObservation | None = None) -> None:
        """Have the VM as it is written into the mirror, so that pages are right when the task ends."""
        self._context.report(VMS.part(VmReadings.single(vm or self.look())))
