"""The steps of power verbs: look first, act, and look again until the VM shows what was asked for.

What is sent may stay unknown: it is never sent again while the first may still be at work on the host. libvirtd carries
out what it has received, also after its client is gone: a start that hangs in a hook script runs when the script ends,
and a second one, sent meanwhile, would run after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from app.core.errors import HypervisorRefused, VigieError, VmGone
from app.core.inventory.conditions import NOT_ANSWERING
from app.core.messages import N_
from app.core.vms.observations import VmObservation
from app.core.vms.power import VmVerb
from app.core.vms.states import VM_STATE_TITLES, VmState, titles_of
from app.hypervisor import Host
from app.inventory.condition_rows import holds
from app.services.vms.operation import RunningVm
from app.services.vms.power.power_operation import PowerOperation
from app.tasks.context import CALM_S, LOOK_EVERY_S, OUTCOME_WAIT_S, Lost, TaskContext
from app.tasks.errors import TaskFailed, outcome_unknown
from app.tasks.operation import Outcome

SETTLE_S = 20.0  # how long a host may take to show what it said is done

NOT_RUNNING = frozenset({VmState.SHUTOFF, VmState.CRASHED, VmState.SAVED})

Seen = Callable[[VmObservation], bool]


def deliver(context: TaskContext, vm: RunningVm, done: Seen, send: Callable[[Host], None]) -> bool:
    """Send; False when the host refused because somebody else has just done it.

    Sent a second time only when the connection ended by itself (the daemon or the network died, so that what was
    under way died with it) and the host, back again, shows nothing of the first. Raises TaskFailed
    (outcome_unknown), HypervisorRefused.
    """
    if context.job.acted and _arrived(context, vm, done):
        return True  # an earlier run of the task sent it
    try:
        return _send(context, vm, done, send)
    except Lost as error:
        if _arrived(context, vm, done):
            return True
        if error.code != "connection_ended":
            raise outcome_unknown() from None
    try:
        send(context.host())
    except HypervisorRefused:
        if not vm.wait_until(done, SETTLE_S):
            raise
    except Lost:
        if not _arrived(context, vm, done):
            raise outcome_unknown() from None
    return True


def _send(context: TaskContext, vm: RunningVm, done: Seen, send: Callable[[Host], None]) -> bool:
    try:
        send(context.host())
    except HypervisorRefused:
        if not done(vm.look()):
            raise
        return False
    return True


def _arrived(context: TaskContext, vm: RunningVm, done: Seen) -> bool:
    """Whether what was sent has its effect; False once the host has shown for a while that it is not at work on it.

    Raises TaskFailed: outcome_unknown, or host_lost while the host does not come back.
    """
    deadline = time.monotonic() + OUTCOME_WAIT_S
    calm_since: float | None = None
    while True:
        try:
            if done(vm.look()):
                return True
            calm_since = calm_since or time.monotonic()
        except Lost:
            calm_since = None
        if calm_since is not None and time.monotonic() - calm_since >= CALM_S:
            return False
        if time.monotonic() > deadline:
            raise outcome_unknown()
        context.pause(LOOK_EVERY_S)


def bring(
    context: TaskContext,
    vm: RunningVm,
    operation: type[PowerOperation],
    done: Seen,
    send: Callable[[Host], None],
    *,
    already: str,
    now: str,
) -> Outcome:
    """Do a repeatable verb: nothing when it is done already, else send it and see that it is done."""
    seen = vm.look()
    if done(seen):
        vm.show(seen)
        return Outcome(already)
    refuse_wrong_state(operation, seen)
    if operation.needs_qemu:
        refuse_silent(context)
    context.stop_if_cancelled()
    try:
        sent = deliver(context, vm, done, send)
    except (HypervisorRefused, TaskFailed) as error:
        explain_if_silent(context, error)
        raise
    if not vm.wait_until(done, SETTLE_S):
        raise not_seen(vm.look())
    vm.show()
    return Outcome(now if sent else already)


def once(
    context: TaskContext,
    vm: RunningVm,
    operation: type[PowerOperation],
    send: Callable[[Host], None],
    message: str,
) -> Outcome:
    """Do a verb that must not be repeated."""
    if not context.job.sent:
        refuse_wrong_state(operation, vm.look())
        refuse_silent(context)
    try:
        context.send_once(send)
    except HypervisorRefused as error:
        explain_if_silent(context, error)
        raise
    vm.show()
    return Outcome(message)


def or_forgotten(vm: RunningVm, work: Callable[[], Outcome]) -> Outcome:
    """For what stops a VM: a transient one is gone from its host when it has stopped."""
    try:
        return work()
    except VmGone:
        if not vm.saw_transient:
            raise
        return Outcome(N_("The VM has left its host, which forgets it when it stops."))


def refuse_wrong_state(operation: type[PowerOperation], vm: VmObservation) -> None:
    """Raise TaskFailed (wrong_state) when the VM, as its host shows it, does not allow the verb."""
    allowed = operation.states
    if vm.state not in allowed:
        raise TaskFailed(
            "wrong_state",
            N_("The VM changed in between."),
            why=N_("Its state is “%(state)s” now; this needs: %(allowed)s."),
            hint=N_("Look at the VM and choose what it needs now."),
            params={"state": [VM_STATE_TITLES[vm.state]], "allowed": titles_of(allowed)},
        )


def refuse_silent(context: TaskContext) -> None:
    """Raise TaskFailed (vm_not_answering) when the VM's QEMU process is known not to answer."""
    if context.write(partial(holds, object_id=context.job.target_id, code=NOT_ANSWERING)):
        raise TaskFailed(
            "vm_not_answering",
            N_("The VM does not answer."),
            why=N_("Its QEMU process on the host gives no statistics and takes no commands."),
            hint=N_("Check the QEMU process and the storage on the host, or force the VM off."),
            next_verb=VmVerb.FORCE_OFF.value,
        )


def explain_if_silent(context: TaskContext, error: VigieError) -> None:
    """What the host calls busy, or does not end, may be a QEMU process that does not answer: then say that."""
    if error.code in ("vm_busy", "outcome_unknown"):
        refuse_silent(context)


def not_seen(vm: VmObservation) -> TaskFailed:
    """What was sent has no effect that the VM shows."""
    return TaskFailed(
        "not_seen",
        N_("The host said that it was done, but the VM does not show it."),
        why=N_("The VM's state is “%(state)s”."),
        hint=N_("Look at the VM and at the host's log."),
        params={"state": [VM_STATE_TITLES[vm.state]]},
    )
