"""The power verbs of a VM: each looks first, acts, and looks again until it sees what was asked for."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from functools import partial

from app.core.errors import HypervisorRefused, VigieError, VmGone
from app.core.inventory.conditions import NOT_ANSWERING
from app.core.messages import N_
from app.core.vms.actions import VM_ACTIONS, VmVerb
from app.core.vms.observations import VmObservation
from app.core.vms.specs import ActionOptions, Restoring
from app.core.vms.states import VM_STATE_TITLES, VmState, titles_of
from app.engine import volume_checks, volume_use
from app.engine.operations import operation
from app.engine.run import RESENDS, Cancelled, Interrupted, Lost, Outcome, Run, TaskFailed
from app.engine.sending import SETTLE_S, Seen, deliver
from app.hypervisor import Host
from app.hypervisor.xml.domains.disks import written_alone, written_together
from app.hypervisor.xml.domains.read import UnreadableXml
from app.inventory.conditions import holds
from app.services.storage.volume_dependents import dependents
from app.services.vms.host_access import adds_host_access

SAVE_POLL_S = 0.5
# Verbs that the VM's QEMU process itself carries out, beside those that have steps of their own.
NEEDS_QEMU = frozenset({VmVerb.PAUSE, VmVerb.RESUME})
OFF = frozenset({VmState.SHUTOFF, VmState.CRASHED, VmState.SAVED})


def _or_forgotten(work: Callable[[Run], Outcome]) -> Callable[[Run], Outcome]:
    """For what stops a VM: a transient one is gone from its host when it has stopped."""

    @functools.wraps(work)
    def wrapped(run: Run) -> Outcome:
        try:
            return work(run)
        except VmGone:
            if not run.saw_transient:
                raise
            return Outcome(N_("The VM has left its host, which forgets it when it stops."))

    return wrapped


def _bring(
    run: Run, verb: VmVerb, done: Seen, send: Callable[[Host], None], *, already: str, now: str
) -> Outcome:
    """Do a repeatable verb: nothing when it is done already, else send it and see that it is done."""
    vm = run.look()
    if done(vm):
        run.show(vm)
        return Outcome(already)
    _refuse_wrong_state(verb, vm)
    if verb in NEEDS_QEMU:
        _refuse_silent(run)
    run.stop_if_asked()
    try:
        sent = deliver(run, done, send)
    except (HypervisorRefused, TaskFailed) as error:
        _say_if_silent(run, error)
        raise
    if not run.wait_until(done, SETTLE_S):
        raise _not_seen(run.look())
    run.show(run.look())
    return Outcome(now if sent else already)


def _refuse_wrong_state(verb: VmVerb, vm: VmObservation) -> None:
    allowed = VM_ACTIONS[verb].states
    if vm.state not in allowed:
        raise TaskFailed(
            "wrong_state",
            N_("The VM changed in between."),
            why=N_("Its state is “%(state)s” now; this needs: %(allowed)s."),
            hint=N_("Look at the VM and choose what it needs now."),
            params={"state": [VM_STATE_TITLES[vm.state]], "allowed": titles_of(allowed)},
        )


def _refuse_silent(run: Run) -> None:
    """Raise TaskFailed (vm_not_answering) when the VM's QEMU process is known not to answer."""
    if run.write(partial(holds, object_id=run.job.target_id, code=NOT_ANSWERING)):
        raise TaskFailed(
            "vm_not_answering",
            N_("The VM does not answer."),
            why=N_("Its QEMU process on the host gives no statistics and takes no commands."),
            hint=N_("Check the QEMU process and the storage on the host, or force the VM off."),
            next_verb=VmVerb.FORCE_OFF.value,
        )


def _say_if_silent(run: Run, error: VigieError) -> None:
    """What the host calls busy, or does not end, may be a QEMU process that does not answer: then say that."""
    if error.code in ("vm_busy", "outcome_unknown"):
        _refuse_silent(run)


def _not_seen(vm: VmObservation) -> TaskFailed:
    return TaskFailed(
        "not_seen",
        N_("The host said that it was done, but the VM does not show it."),
        why=N_("The VM's state is “%(state)s”."),
        hint=N_("Look at the VM and at the host's log."),
        params={"state": [VM_STATE_TITLES[vm.state]]},
    )


@operation("vm.start")
def start(run: Run) -> Outcome:
    """Start a VM that is off, unless it would write to what others depend on."""
    if run.look().state in VM_ACTIONS[VmVerb.START].states:
        _refuse_depended_on(run, run.call(lambda host: host.machines.xml(run.job.uuid, saved=True)))
    return _bring(
        run,
        VmVerb.START,
        lambda vm: vm.state.is_active,
        lambda host: host.start(run.job.uuid),
        already=N_("The VM was running already."),
        now=N_("The VM is running."),
    )


@operation("vm.restore")
def restore(run: Run) -> Outcome:
    """Start a VM from its saved memory, with the definition that it had then."""
    if run.look().state is VmState.SAVED:
        _check_saved(run)
    return _bring(
        run,
        VmVerb.RESTORE,
        lambda vm: vm.state.is_active,
        lambda host: host.restore(run.job.uuid),
        already=N_("The VM was running already."),
        now=N_("The VM goes on where it was saved."),
    )


def _check_saved(run: Run) -> None:
    """What was saved may neither reach the host in ways, nor have disks, that the definition lost since.

    What cannot be read is for those only who may have guests reach their hosts. Raises TaskFailed, HypervisorRefused.
    """
    may_reach = run.asked(Restoring).host_access
    try:
        saved = run.call(lambda host: host.machines.saved_state_xml(run.job.uuid))
        defined = run.call(lambda host: host.machines.xml(run.job.uuid, saved=True))
        adds = run.write(partial(adds_host_access, host_id=run.job.host_id, before=defined, after=saved))
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
    volume_use.refuse_disks_in_use(run, run.job.uuid, saved, defined)
    _refuse_depended_on(run, saved)
    volume_checks.check_existing(run, saved, defined)


def _refuse_depended_on(run: Run, xml: str) -> None:
    """Raise TaskFailed (volume_in_use) when a VM with this definition writes to a base of volumes, or to an image.

    A definition that cannot be read names no disk of which anybody knows.
    """
    try:
        sources = [*written_alone(xml), *written_together(xml)]
    except UnreadableXml:
        return
    found = run.write(partial(dependents, host_id=run.job.host_id, sources=sources))
    for volume, names in found.items():
        raise TaskFailed(
            "volume_in_use",
            N_("The volume is in use."),
            why=N_("The VM would write to %(volume)s, on which these depend: %(names)s."),
            hint=N_("Give the VM another disk, such as a clone, or delete what depends on this one."),
            params={"volume": volume, "names": ", ".join(names[:5])},
        )


def _host_access_needed(title: str) -> TaskFailed:
    return TaskFailed(
        "host_access_needed",
        title,
        why=N_("Whoever asked for this does not hold the privilege vm.host-access."),
        hint=N_("Ask an administrator to start it, or to discard the saved state."),
    )


@operation("vm.force-off")
@_or_forgotten
def force_off(run: Run) -> Outcome:
    """Pull the plug."""
    return _bring(
        run,
        VmVerb.FORCE_OFF,
        lambda vm: vm.state in OFF,
        lambda host: host.force_off(run.job.uuid),
        already=N_("The VM was off already."),
        now=N_("The VM is off."),
    )


@operation("vm.pause")
def pause(run: Run) -> Outcome:
    """Stop the vCPUs."""
    return _bring(
        run,
        VmVerb.PAUSE,
        lambda vm: vm.state is VmState.PAUSED,
        lambda host: host.pause(run.job.uuid),
        already=N_("The VM was paused already."),
        now=N_("The VM is paused."),
    )


@operation("vm.resume")
def resume(run: Run) -> Outcome:
    """Let the vCPUs go on."""
    return _bring(
        run,
        VmVerb.RESUME,
        lambda vm: vm.state is VmState.RUNNING,
        lambda host: host.resume(run.job.uuid),
        already=N_("The VM was running already."),
        now=N_("The VM is running."),
    )


@operation("vm.autostart-on")
def autostart_on(run: Run) -> Outcome:
    """Start the VM with its host."""
    return _autostart(run, VmVerb.AUTOSTART_ON, on=True, message=N_("The VM starts with its host."))


@operation("vm.autostart-off")
def autostart_off(run: Run) -> Outcome:
    """Do not start the VM with its host."""
    return _autostart(run, VmVerb.AUTOSTART_OFF, on=False, message=N_("The VM does not start with its host."))


def _autostart(run: Run, verb: VmVerb, *, on: bool, message: str) -> Outcome:
    return _bring(
        run,
        verb,
        lambda vm: vm.autostart is on,
        lambda host: host.set_autostart(run.job.uuid, on),
        already=message,
        now=message,
    )


@operation("vm.reset")
def reset(run: Run) -> Outcome:
    """Press the reset button, once."""
    return _once(run, VmVerb.RESET, lambda host: host.reset(run.job.uuid), N_("The VM was reset."))


@operation("vm.reboot")
def reboot(run: Run) -> Outcome:
    """Ask the guest to reboot, once."""
    method = run.asked(ActionOptions).method
    return _once(
        run,
        VmVerb.REBOOT,
        lambda host: host.reboot(run.job.uuid, method),
        N_("The guest was asked to reboot."),
    )


def _once(run: Run, verb: VmVerb, send: Callable[[Host], None], message: str) -> Outcome:
    if not run.job.sent:
        _refuse_wrong_state(verb, run.look())
        _refuse_silent(run)
    try:
        run.send_once(send)
    except HypervisorRefused as error:
        _say_if_silent(run, error)
        raise
    run.show(run.look())
    return Outcome(message)


@operation("vm.shutdown")
@_or_forgotten
def shutdown(run: Run) -> Outcome:
    """Ask the guest to shut down and wait until it has; force it off after that only when asked to."""
    vm, options = run.look(), run.asked(ActionOptions)
    if vm.state in OFF:
        run.show(vm)
        return Outcome(N_("The VM was off already."))
    _refuse_wrong_state(VmVerb.SHUTDOWN, vm)
    _refuse_silent(run)
    instance = vm.domain_id

    def gone(seen: VmObservation) -> bool:
        # A guest that is back with another id was off in between: somebody started it again.
        return seen.state in OFF or seen.domain_id != instance

    run.stop_if_asked()
    deliver(run, gone, lambda host: host.shutdown(run.job.uuid, options.method))
    run.say(None, N_("The guest was asked to shut down."))
    if not run.wait_until(gone, options.timeout_s):
        _force_or_fail(run, gone)
        run.show(run.look())
        return Outcome(N_("The guest did not react and was forced off."))
    run.show(run.look())
    return Outcome(N_("The guest has shut down."))


def _force_or_fail(run: Run, gone: Seen) -> None:
    options = run.asked(ActionOptions)
    if not options.force_after_timeout:
        raise TaskFailed(
            "guest_not_reacting",
            N_("The guest did not shut down."),
            why=N_("It was still running after %(seconds)d seconds."),
            hint=N_("Look at its console, wait and try again, or force it off."),
            params={"seconds": options.timeout_s},
            next_verb=VmVerb.FORCE_OFF.value,
        )
    deliver(run, gone, lambda host: host.force_off(run.job.uuid))
    if not run.wait_until(gone, SETTLE_S):
        raise _not_seen(run.look())


@operation("vm.save")
def save(run: Run) -> Outcome:
    """Write the memory to the host's disk and stop; a save that an earlier run began is waited for."""
    vm = run.look()
    if vm.state is VmState.SAVED:
        run.show(vm)
        return Outcome(N_("The VM was saved already."))
    _refuse_wrong_state(VmVerb.SAVE, vm)
    _refuse_silent(run)
    run.stop_if_asked()
    ended = threading.Event()
    watcher = threading.Thread(target=_watch_save, args=(run, ended), name="save-progress", daemon=True)
    watcher.start()
    try:
        _save_or_join(run)
    except HypervisorRefused:
        if run.cancel_asked and run.look().state is not VmState.SAVED:
            run.show(run.look())
            raise Cancelled from None
        raise
    finally:
        ended.set()
        watcher.join()
    if not run.wait_until(lambda seen: seen.state is VmState.SAVED, SETTLE_S):
        raise _not_seen(run.look())
    run.show(run.look())
    return Outcome(N_("The VM is saved."))


def _save_or_join(run: Run) -> None:
    """Save, unless a save that an earlier run or a lost connection left behind is at work: that is waited for."""
    for left in reversed(range(RESENDS + 1)):
        try:
            while run.call(lambda host: host.job_progress(run.job.uuid)) is not None:
                run.pause(SAVE_POLL_S)
            if run.look().state is not VmState.SAVED:
                run.stop_if_asked()
                run.host().save(run.job.uuid)
            return
        except Lost:
            if not left:
                raise
            run.pause(0.2)
        except HypervisorRefused:
            # Jobs of a VM that is off cannot be asked for: it may have been saved just now.
            if run.look().state is not VmState.SAVED:
                raise
            return


def _watch_save(run: Run, ended: threading.Event) -> None:
    """Show how far a save has come, and abort it when somebody asks."""
    while not ended.wait(SAVE_POLL_S):
        try:
            if run.cancel_asked:
                run.host().abort_job(run.job.uuid)
                continue
            progress = run.host().job_progress(run.job.uuid)
        except Interrupted:
            return
        except Exception:  # noqa: BLE001, S112  boundary of the thread: the save itself meets the same fault and tells
            continue
        if progress is not None:
            run.say(progress, N_("Writing the memory to disk."))
