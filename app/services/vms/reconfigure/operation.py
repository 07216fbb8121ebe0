"""Change a VM's hardware: at once where the hypervisor can, else after the next power-off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.access.context import Ctx
from app.core.errors import HypervisorRefused
from app.core.messages import N_
from app.core.tasks.records import TaskRecord
from app.db.models import Vm, VmDefinition
from app.hypervisor.domains.effects import Effect
from app.services.storage.volumes.locks import disk_locks
from app.services.vms.definitions.version import seen_digest
from app.services.vms.operation import RunningVm, VmOperation, vm_and_host
from app.services.vms.reconfigure.any_change import AnyChange
from app.services.vms.reconfigure.editable_vm import require_editable
from app.services.vms.reconfigure.guard import DefinitionGuard
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.errors import changed_meanwhile
from app.tasks.operation import Outcome, Parameters, Plan, Touch
from app.tasks.submit import submit
from app.tasks.tasks import HOST_SAID


class ReconfigureParameters(Parameters):
    """The changes, in order. `digest` is that of the saved definition which the submitter saw, if any."""

    uuid: str
    digest: str | None = None
    steps: tuple[AnyChange, ...]


@declare
class Reconfigure(VmOperation[ReconfigureParameters]):
    """Do each change in the saved definition and, where the hypervisor can, on the VM that runs."""

    kind = "vm.reconfigure"
    title = N_("Change the hardware")
    parameters = ReconfigureParameters
    privilege = "vm.edit"
    redefines = True
    explains = frozenset({"vm.changed"})

    def touches(self, parameters: ReconfigureParameters) -> tuple[Touch, ...]:
        """The VM, and what the changes give to it."""
        on_vm = dict.fromkeys(change.privilege for change in parameters.steps)
        touched = [Touch(Vm, parameters.target_id, privilege) for privilege in on_vm]
        return (*touched, *(touch for change in parameters.steps for touch in change.touches()))

    def check(self, ctx: Ctx, parameters: ReconfigureParameters) -> Plan:
        """The definition can be changed, and the disks are free. Raises Conflict."""
        plan = super().check(ctx, parameters)
        vm, host = vm_and_host(ctx.session, parameters.target_id)
        require_editable(ctx, vm)
        disks = [change.disk_plan for change in parameters.steps if change.disk_plan is not None]
        return replace(plan, locks=disk_locks(ctx.session, host.id, disks))

    def run(self, context: TaskContext, parameters: ReconfigureParameters) -> Outcome:
        """Do one after the other, unless the definition is not what the submitter saw any more."""
        vm = RunningVm(context, parameters.uuid)
        guard = DefinitionGuard(context, parameters.uuid, parameters.digest)
        effects: list[tuple[str, Effect]] = []
        try:
            guard.look()
            for number, change in enumerate(parameters.steps):
                context.say(100 * number // len(parameters.steps), N_("Changing the definition."))
                effects.append((change.part, change.apply(context, parameters.uuid, guard)))
        except HypervisorRefused as error:
            if error.code == "changed_meanwhile":
                vm.show()
                raise changed_meanwhile() from None
            raise
        vm.show()
        return _outcome(effects)


def submit_changes(
    ctx: Ctx, vm: Vm, definition: VmDefinition, version: int | None, changes: Sequence[AnyChange]
) -> TaskRecord:
    """Have a task do the changes. Raises what the operation's check raises, Busy."""
    parameters = ReconfigureParameters(
        target_id=vm.id,
        host_id=vm.host_id,
        uuid=vm.uuid,
        digest=seen_digest(definition, version),
        steps=tuple(changes),
    )
    return tasks.record_of(ctx, submit(ctx, Reconfigure, parameters))


def _outcome(effects: list[tuple[str, Effect]]) -> Outcome:
    """Which parts count now, which after the next power-off, and why."""
    now = list(dict.fromkeys(part for part, effect in effects if effect.now))
    later = list(dict.fromkeys(part for part, effect in effects if not effect.now))
    if not later:
        return Outcome(N_("It is changed."))
    refusals = [effect.refusal for _, effect in effects if effect.refusal is not None]
    why = list(dict.fromkeys(text for refusal in refusals for text in (refusal.title, refusal.hint) if text))
    answer_text = [refusal.detail for refusal in refusals if refusal.detail]
    message = {
        (False, False): N_("Saved. After the next power-off: %(later)s."),
        (False, True): N_("Saved. After the next power-off: %(later)s. %(why)s"),
        (True, False): N_("Saved. Now: %(now)s. After the next power-off: %(later)s."),
        (True, True): N_("Saved. Now: %(now)s. After the next power-off: %(later)s. %(why)s"),
    }[bool(now), bool(why)]
    params = {"now": now, "later": later, "why": [why]}
    return Outcome(message, params, result={HOST_SAID: "\n".join(answer_text)} if answer_text else None)
