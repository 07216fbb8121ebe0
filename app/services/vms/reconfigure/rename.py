"""Rename a VM."""

from __future__ import annotations

from dataclasses import replace

from app.access.context import Ctx
from app.access.find import ref
from app.access.names import look_alikes
from app.core.errors import Conflict
from app.core.messages import N_
from app.core.tasks.records import TaskRecord
from app.core.vms.devices import RenameSpec
from app.core.vms.states import VmState
from app.db.models import Vm
from app.services.vms.definitions.version import seen_digest
from app.services.vms.names import refuse_taken_name, vm_name_lock
from app.services.vms.operation import RunningVm, VmOperation, vm_and_host
from app.services.vms.reconfigure.editable_vm import find_editable, require_editable
from app.services.vms.reconfigure.guard import DefinitionGuard
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.operation import Locks, Outcome, Parameters, Plan
from app.tasks.submit import submit


class RenameParameters(Parameters):
    """The new name. `digest` is that of the saved definition which the submitter saw, if any."""

    uuid: str
    digest: str | None = None
    name: str


@declare
class Rename(VmOperation[RenameParameters]):
    """Give a VM another name; it must be off."""

    kind = "vm.rename"
    title = N_("Rename the VM")
    parameters = RenameParameters
    privilege = "vm.edit"
    redefines = True
    explains = frozenset({"vm.renamed"})

    def check(self, ctx: Ctx, parameters: RenameParameters) -> Plan:
        """Raises Conflict (vm_active, name_taken)."""
        plan = super().check(ctx, parameters)
        vm, host = vm_and_host(ctx.session, parameters.target_id)
        require_editable(ctx, vm)
        if not ctx.begins and vm.state not in (VmState.SHUTOFF, VmState.CRASHED):
            raise Conflict(
                N_("The VM is not off."),
                hint=N_("Shut it down first: hosts rename only what is off."),
                code="vm_active",
            )
        refuse_taken_name(ctx, host, parameters.name)
        return replace(plan, locks=Locks(holds={vm_name_lock(host.id, parameters.name)}))

    def run(self, context: TaskContext, parameters: RenameParameters) -> Outcome:
        """Rename it, unless an earlier run has."""
        vm = RunningVm(context, parameters.uuid)
        if vm.look().name != parameters.name:
            DefinitionGuard(context, parameters.uuid, parameters.digest).begin()
            context.call(lambda host: host.domains.rename(parameters.uuid, parameters.name))
        vm.show()
        return Outcome(N_("It is called %(name)s now."), {"name": parameters.name})


def rename_vm(ctx: Ctx, vm_id: str, spec: RenameSpec, version: int | None = None) -> TaskRecord:
    """Ask for another name. Raises Conflict (vm_active, name_taken), EditConflict, Busy."""
    vm, host, definition = find_editable(ctx, vm_id, version)
    parameters = RenameParameters(
        target_id=vm.id,
        host_id=host.id,
        uuid=vm.uuid,
        name=spec.name,
        digest=seen_digest(definition, version),
    )
    task = submit(ctx, Rename, parameters)
    look_alikes.record_warning(ctx, Vm, spec.name, target=ref(vm), host=ref(host), task_id=task.id)
    return tasks.record_of(ctx, task)
