"""The power verbs that need no more than a call or two: each looks first, acts, and looks again."""

from __future__ import annotations

from app.core.hosts.refusals import Refusal
from app.core.messages import N_
from app.core.vms.power import VmVerb
from app.core.vms.states import VmState
from app.services.vms.operation import RunningVm
from app.services.vms.power import steps
from app.services.vms.power.power_operation import (
    ACTIVE,
    KNOWN,
    RUNNING,
    PowerFacts,
    PowerOperation,
    PowerParameters,
    power,
)
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed
from app.tasks.operation import Outcome

LOSES_DATA = N_("The guests get no warning: what they have not written to their disks is lost.")
ALREADY_SO = Refusal("already_so", N_("This is set so already."), {}, N_("Nothing needs to be done."))


@power
class Shutdown(PowerOperation):
    """Ask the guest to shut down and wait until it has; force it off after that only when asked to."""

    verb = VmVerb.SHUTDOWN
    title = N_("Shut down")
    states = RUNNING
    cancellable = True
    question = N_("The guests are asked to shut down, as by their power button.")
    explains = frozenset({"vm.stopped", "vm.ended"})

    def run(self, context: TaskContext, parameters: PowerParameters) -> Outcome:
        """Ask, wait, and force it off if that was asked for."""
        vm = RunningVm(context, context.job.uuid)
        return steps.or_forgotten(vm, lambda: self._shut_down(context, vm, parameters))

    def _shut_down(self, context: TaskContext, vm: RunningVm, parameters: PowerParameters) -> Outcome:
        seen = vm.look()
        if seen.state in steps.NOT_RUNNING:
            vm.show(seen)
            return Outcome(N_("The VM was off already."))
        steps.refuse_wrong_state(type(self), seen)
        steps.refuse_silent(context)
        gone = _gone_since(seen.domain_id)
        context.stop_if_cancelled()
        steps.deliver(context, vm, gone, lambda host: host.shutdown(vm.uuid, parameters.method))
        context.say(None, N_("The guest was asked to shut down."))
        forced = not vm.wait_until(gone, parameters.timeout_s)
        if forced:
            _force_or_fail(context, vm, parameters, gone)
        vm.show()
        if forced:
            return Outcome(N_("The guest did not react and was forced off."))
        return Outcome(N_("The guest has shut down."))


def _gone_since(instance: int | None) -> steps.Seen:
    """Off, or back with another id: then it was off in between, and somebody started it again."""
    return lambda seen: seen.state in steps.NOT_RUNNING or seen.domain_id != instance


def _force_or_fail(
    context: TaskContext, vm: RunningVm, parameters: PowerParameters, gone: steps.Seen
) -> None:
    if not parameters.force_after_timeout:
        raise TaskFailed(
            "guest_not_reacting",
            N_("The guest did not shut down."),
            why=N_("It was still running after %(seconds)d seconds."),
            hint=N_("Look at its console, wait and try again, or force it off."),
            params={"seconds": parameters.timeout_s},
            next_verb=VmVerb.FORCE_OFF.value,
        )
    steps.deliver(context, vm, gone, lambda host: host.force_off(vm.uuid))
    if not vm.wait_until(gone, steps.SETTLE_S):
        raise steps.not_seen(vm.look())


@power
class Reboot(PowerOperation):
    """Ask the guest to reboot, once."""

    verb = VmVerb.REBOOT
    title = N_("Reboot")
    states = RUNNING
    cancellable = True
    question = N_("The guests are asked to restart.")
    explains = frozenset({"vm.rebooted"})

    def run(self, context: TaskContext, parameters: PowerParameters) -> Outcome:
        """Ask for it; a second run does not ask again."""
        vm = RunningVm(context, context.job.uuid)
        return steps.once(
            context,
            vm,
            type(self),
            lambda host: host.reboot(vm.uuid, parameters.method),
            N_("The guest was asked to reboot."),
        )


@power
class Reset(PowerOperation):
    """Press the reset button, once."""

    verb = VmVerb.RESET
    title = N_("Reset")
    states = ACTIVE
    confirm = True
    question = LOSES_DATA
    supersedes = (Shutdown, Reboot)
    explains = frozenset({"vm.rebooted"})

    def run(self, context: TaskContext, parameters: PowerParameters) -> Outcome:
        """Press it; a second run does not press it again."""
        vm = RunningVm(context, context.job.uuid)
        return steps.once(context, vm, type(self), lambda host: host.reset(vm.uuid), N_("The VM was reset."))


@power
class ForceOff(PowerOperation):
    """Pull the plug."""

    verb = VmVerb.FORCE_OFF
    title = N_("Force off")
    states = ACTIVE
    confirm = True
    question = LOSES_DATA
    supersedes = (Shutdown, Reboot)
    explains = frozenset({"vm.stopped", "vm.ended"})

    def run(self, context: TaskContext, parameters: PowerParameters) -> Outcome:
        """Pull it."""
        vm = RunningVm(context, context.job.uuid)
        return steps.or_forgotten(
            vm,
            lambda: steps.bring(
                context,
                vm,
                type(self),
                lambda seen: seen.state in steps.NOT_RUNNING,
                lambda host: host.force_off(vm.uuid),
                already=N_("The VM was off already."),
                now=N_("The VM is off."),
            ),
        )


@power
class InjectNmi(PowerOperation):
    """Send the guest a non-maskable interrupt, once: most guests answer with a crash dump, if they are set to."""

    verb = VmVerb.INJECT_NMI
    title = N_("Send NMI")
    states = RUNNING
    confirm = True
    question = N_(
        "The guests get a non-maskable interrupt. Many are set to stop and write a crash dump then."
    )

    def run(self, context: TaskContext, parameters: PowerParameters) -> Outcome:
        """Send it; a second run does not send it again."""
        vm = RunningVm(context, context.job.uuid)
        return steps.once(
            context,
            vm,
            type(self),
            lambda host: host.inject_nmi(vm.uuid),
            N_("The NMI was sent to the guest."),
        )


@power
class Pause(PowerOperation):
    """Stop the vCPUs."""

    verb = VmVerb.PAUSE
    title = N_("Pause")
    states = RUNNING
    needs_qemu = True
    question = N_("The guests stand still until they are resumed.")
    explains = frozenset({"vm.paused"})

    def run(self, context: TaskContext, parameters: PowerParameters) -> Outcome:
        """Stop them."""
        vm = RunningVm(context, context.job.uuid)
        return steps.bring(
            context,
            vm,
            type(self),
            lambda seen: seen.state is VmState.PAUSED,
            lambda host: host.pause(vm.uuid),
            already=N_("The VM was paused already."),
            now=N_("The VM is paused."),
        )


@power
class Resume(PowerOperation):
    """Let the vCPUs go on."""

    verb = VmVerb.RESUME
    title = N_("Resume")
    states = frozenset({VmState.PAUSED, VmState.SUSPENDED})
    needs_qemu = True
    explains = frozenset({"vm.resumed"})

    def run(self, context: TaskContext, parameters: PowerParameters) -> Outcome:
        """Let them."""
        vm = RunningVm(context, context.job.uuid)
        return steps.bring(
            context,
            vm,
            type(self),
            lambda seen: seen.state is VmState.RUNNING,
            lambda host: host.resume(vm.uuid),
            already=N_("The VM was running already."),
            now=N_("The VM is running."),
        )


class _Autostart(PowerOperation):
    """Whether the VM starts with its host. `on` is what it is to be, `done` what is said then."""

    privilege = "vm.configure"
    states = KNOWN
    needs_persistent = True
    explains = frozenset({"vm.autostart"})
    on: bool
    done: str

    @classmethod
    def refuse_needless(cls, vm: PowerFacts) -> Refusal | None:
        """It is so already."""
        return ALREADY_SO if vm.autostart is cls.on else None

    def run(self, context: TaskContext, parameters: PowerParameters) -> Outcome:
        """Set it."""
        vm = RunningVm(context, context.job.uuid)
        return steps.bring(
            context,
            vm,
            type(self),
            lambda seen: seen.autostart is self.on,
            lambda host: host.set_autostart(vm.uuid, self.on),
            already=self.done,
            now=self.done,
        )


@power
class AutostartOn(_Autostart):
    """Start the VM with its host."""

    verb = VmVerb.AUTOSTART_ON
    title = N_("Start with the host")
    on = True
    done = N_("The VM starts with its host.")


@power
class AutostartOff(_Autostart):
    """Do not start the VM with its host."""

    verb = VmVerb.AUTOSTART_OFF
    title = N_("Do not start with the host")
    on = False
    done = N_("The VM does not start with its host.")
