"""Start a VM from its saved memory, once what was saved is known to be allowed."""

from __future__ import annotations

from functools import partial

from app.access.context import Ctx
from app.core.errors import HypervisorRefused
from app.core.messages import N_
from app.core.vms.power import VmVerb
from app.core.vms.states import VmState
from app.hypervisor.xml.domains.read import UnreadableXml
from app.services.storage.volumes.checks import task_checks, task_use
from app.services.vms.host_access import adds_host_access
from app.services.vms.operation import RunningVm
from app.services.vms.power.power_operation import PowerOperation, PowerParameters, power
from app.services.vms.power.start import plan_start, refuse_depended_on
from app.services.vms.power.steps import bring
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed
from app.tasks.operation import Outcome, Plan


@power
class Restore(PowerOperation):
    """Start a VM from its saved memory, with the definition that it had then."""

    verb = VmVerb.RESTORE
    title = N_("Restore")
    states = frozenset({VmState.SAVED})
    explains = frozenset({"vm.started", "vm.resumed"})

    def check(self, ctx: Ctx, parameters: PowerParameters) -> Plan:
        """As for a start: it holds its disks, and its memory counts from now on."""
        return plan_start(ctx.session, super().check(ctx, parameters))

    def run(self, context: TaskContext, parameters: PowerParameters) -> Outcome:
        """Check what was saved, and start from it."""
        vm = RunningVm(context, context.job.uuid)
        if vm.look().state is VmState.SAVED:
            check_saved(context, vm, may_reach=parameters.host_access)
        return bring(
            context,
            vm,
            type(self),
            lambda seen: seen.state.is_active,
            lambda host: host.restore(vm.uuid),
            already=N_("The VM was running already."),
            now=N_("The VM goes on where it was saved."),
        )


def check_saved(context: TaskContext, vm: RunningVm, *, may_reach: bool) -> None:
    """What was saved may neither reach the host in ways, nor have disks, that the definition lost since.

    What cannot be read is for those only who may have guests reach their hosts. Raises TaskFailed, HypervisorRefused.
    """
    try:
        saved = context.call(lambda host: host.domains.saved_state_xml(vm.uuid))
        defined = context.call(lambda host: host.domains.xml(vm.uuid, saved=True))
        adds = context.write(
            partial(adds_host_access, host_id=context.job.host_id, before=defined, after=saved)
        )
    except (HypervisorRefused, UnreadableXml) as error:
        if isinstance(error, HypervisorRefused) and error.code != "unreadable_answer":
            raise
        if not may_reach:
            raise _host_access_needed(N_("What the saved state gives the VM cannot be read.")) from None
        return
    if adds and not may_reach:
        raise _host_access_needed(
            N_("The saved state gives the VM host access that its definition does not have any more.")
        )
    task_use.refuse_disks_in_use(context, vm.uuid, saved, defined)
    refuse_depended_on(context, saved)
    task_checks.check_existing(context, saved, defined)


def _host_access_needed(title: str) -> TaskFailed:
    return TaskFailed(
        "host_access_needed",
        title,
        why=N_("Whoever asked for this does not hold the privilege vm.host-access."),
        hint=N_("Ask an administrator to start it, or to discard the saved state."),
    )
