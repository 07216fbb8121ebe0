"""Save a VM: its memory is written to the host's disk, and it stops."""

from __future__ import annotations

import threading

from app.core.errors import HypervisorRefused
from app.core.messages import N_
from app.core.vms.power import VmVerb
from app.core.vms.states import VmState
from app.services.vms.operation import RunningVm
from app.services.vms.power.power_operation import ACTIVE, PowerOperation, PowerParameters, power
from app.services.vms.power.steps import SETTLE_S, not_seen, refuse_silent, refuse_wrong_state
from app.tasks.context import RESENDS, Lost, TaskContext
from app.tasks.errors import Cancelled, Interrupted
from app.tasks.operation import Outcome

POLL_S = 0.5


@power
class Save(PowerOperation):
    """Write the memory to the host's disk and stop; a save that an earlier run began is waited for."""

    verb = VmVerb.SAVE
    title = N_("Save state")
    states = ACTIVE
    cancellable = True
    needs_persistent = True
    question = N_("The guests are written to disk and stop until they are restored.")
    explains = frozenset({"vm.saved", "vm.stopped", "vm.paused", "vm.resumed"})

    def run(self, context: TaskContext, parameters: PowerParameters) -> Outcome:
        """Save it, with progress; abort the save when somebody asks."""
        vm = RunningVm(context, context.job.uuid)
        seen = vm.look()
        if seen.state is VmState.SAVED:
            vm.show(seen)
            return Outcome(N_("The VM was saved already."))
        refuse_wrong_state(type(self), seen)
        refuse_silent(context)
        context.stop_if_cancelled()
        ended = threading.Event()
        watcher = threading.Thread(
            target=_watch_save, args=(context, vm, ended), name="save-progress", daemon=True
        )
        watcher.start()
        try:
            _save_or_join(context, vm)
        except HypervisorRefused:
            if context.cancel_requested and vm.look().state is not VmState.SAVED:
                vm.show()
                raise Cancelled from None
            raise
        finally:
            ended.set()
            watcher.join()
        if not vm.wait_until(lambda found: found.state is VmState.SAVED, SETTLE_S):
            raise not_seen(vm.look())
        vm.show()
        return Outcome(N_("The VM is saved."))


def _save_or_join(context: TaskContext, vm: RunningVm) -> None:
    """Save, unless a save that an earlier run or a lost connection left behind is at work: that is waited for."""
    for left in reversed(range(RESENDS + 1)):
        try:
            while context.call(lambda host: host.job_progress(vm.uuid)) is not None:
                context.pause(POLL_S)
            if vm.look().state is not VmState.SAVED:
                context.stop_if_cancelled()
                context.host().save(vm.uuid)
            return
        except Lost:
            if not left:
                raise
            context.pause(0.2)
        except HypervisorRefused:
            # Jobs of a VM that is off cannot be asked for: it may have been saved just now.
            if vm.look().state is not VmState.SAVED:
                raise
            return


def _watch_save(context: TaskContext, vm: RunningVm, ended: threading.Event) -> None:
    """Show how far a save has come, and abort it when somebody asks."""
    while not ended.wait(POLL_S):
        try:
            if context.cancel_requested:
                context.host().abort_job(vm.uuid)
                continue
            progress = context.host().job_progress(vm.uuid)
        except Interrupted:
            return
        except Exception:  # noqa: BLE001, S112  boundary of the thread: the save itself meets the same fault and tells
            continue
        if progress is not None:
            context.say(progress, N_("Writing the memory to disk."))
