"""The power verbs of a VM: title, privilege, states they are allowed in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.core.hosts.states import HOST_STATE_TITLES, HostMode, HostState
from app.core.messages import N_
from app.core.vms.states import VM_STATE_TITLES, VmState, titles_of


class VmVerb(StrEnum):
    """Power verbs of a VM, in the words of the API."""

    START = "start"
    SHUTDOWN = "shutdown"
    REBOOT = "reboot"
    RESET = "reset"
    FORCE_OFF = "force-off"
    PAUSE = "pause"
    RESUME = "resume"
    SAVE = "save"
    RESTORE = "restore"
    AUTOSTART_ON = "autostart-on"
    AUTOSTART_OFF = "autostart-off"


@dataclass(frozen=True, slots=True)
class VmAction:
    """One verb: message id of its title, privilege, states it is allowed in, and how it behaves.

    `repeatable` says that doing it twice is harmless because the step can look first; a verb that is not
    repeatable is sent at most once, whatever happens to Vigie in between.
    """

    verb: VmVerb
    title: str
    privilege: str
    states: frozenset[VmState]
    confirm: bool = False  # asks before it acts: the guest may lose data
    cancellable: bool = False
    repeatable: bool = True
    needs_persistent: bool = False
    ends: frozenset[VmVerb] = frozenset()  # tasks of these verbs that hold the VM end for it


_PATIENT = frozenset({VmVerb.SHUTDOWN, VmVerb.REBOOT})
_ON = frozenset({VmState.RUNNING})
_OFF = frozenset({VmState.SHUTOFF, VmState.CRASHED})
_ACTIVE = frozenset({VmState.RUNNING, VmState.PAUSED, VmState.SUSPENDED})
_ANY = frozenset(
    {VmState.RUNNING, VmState.PAUSED, VmState.SUSPENDED, VmState.SHUTOFF, VmState.CRASHED, VmState.SAVED}
)


VM_ACTIONS: dict[VmVerb, VmAction] = {
    action.verb: action
    for action in (
        VmAction(VmVerb.START, N_("Start"), "vm.power", _OFF),
        VmAction(VmVerb.SHUTDOWN, N_("Shut down"), "vm.power", _ON, cancellable=True),
        VmAction(VmVerb.REBOOT, N_("Reboot"), "vm.power", _ON, cancellable=True, repeatable=False),
        VmAction(
            VmVerb.RESET, N_("Reset"), "vm.power", _ACTIVE, confirm=True, repeatable=False, ends=_PATIENT
        ),
        VmAction(VmVerb.FORCE_OFF, N_("Force off"), "vm.power", _ACTIVE, confirm=True, ends=_PATIENT),
        VmAction(VmVerb.PAUSE, N_("Pause"), "vm.power", _ON),
        VmAction(VmVerb.RESUME, N_("Resume"), "vm.power", frozenset({VmState.PAUSED, VmState.SUSPENDED})),
        VmAction(VmVerb.SAVE, N_("Save state"), "vm.power", _ACTIVE, cancellable=True, needs_persistent=True),
        VmAction(VmVerb.RESTORE, N_("Restore"), "vm.power", frozenset({VmState.SAVED})),
        VmAction(VmVerb.AUTOSTART_ON, N_("Start with the host"), "vm.configure", _ANY, needs_persistent=True),
        VmAction(
            VmVerb.AUTOSTART_OFF,
            N_("Do not start with the host"),
            "vm.configure",
            _ANY,
            needs_persistent=True,
        ),
    )
}

BULK_QUESTIONS: dict[VmVerb, str] = {
    VmVerb.SHUTDOWN: N_("The guests are asked to shut down, as by their power button."),
    VmVerb.REBOOT: N_("The guests are asked to restart."),
    VmVerb.RESET: N_("The guests get no warning: what they have not written to their disks is lost."),
    VmVerb.FORCE_OFF: N_("The guests get no warning: what they have not written to their disks is lost."),
    VmVerb.PAUSE: N_("The guests stand still until they are resumed."),
    VmVerb.SAVE: N_("The guests are written to disk and stop until they are restored."),
}
"""What is said before a verb stops or interrupts many guests at once; the others do not ask."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an action cannot be done now: a stable code, a message id with parameters, and what to do.

    The parameters are lists of message ids.
    """

    code: str
    reason: str
    params: dict[str, list[str]]
    hint: str


HOST_OBSERVED = Refusal(
    "host_observed",
    N_("The host is in observe mode: Vigie changes nothing on it."),
    {},
    N_("Switch the host to managed mode first."),
)


def refuse_vm_action(
    verb: VmVerb,
    *,
    vm_state: VmState,
    vm_persistent: bool,
    autostart: bool,
    host_state: HostState,
    host_mode: HostMode,
) -> Refusal | None:
    """Return why `verb` cannot be done on a VM in this state on a host in this state, or None when it can.

    Privileges are not looked at here: services ask for them.
    """
    action = VM_ACTIONS[verb]
    if host_mode is HostMode.OBSERVE:
        return HOST_OBSERVED
    if not host_state.is_usable:
        return Refusal(
            "host_not_connected",
            N_("The host is not connected (%(state)s), so the VM's real state is not known."),
            {"state": [HOST_STATE_TITLES[host_state]]},
            N_("Wait until the host answers again, or look at the host's page for the reason."),
        )
    if vm_state not in action.states:
        return Refusal(
            "wrong_state",
            N_("The VM's state is “%(state)s”; this needs: %(allowed)s."),
            {"state": [VM_STATE_TITLES[vm_state]], "allowed": titles_of(action.states)},
            N_("Bring the VM to one of these states first."),
        )
    if action.needs_persistent and not vm_persistent:
        return Refusal(
            "not_persistent",
            N_("The VM is transient: the host forgets it when it stops."),
            {},
            N_("Define the VM on its host first, for example with virsh define."),
        )
    if (verb is VmVerb.AUTOSTART_ON and autostart) or (verb is VmVerb.AUTOSTART_OFF and not autostart):
        return Refusal("already_so", N_("This is set so already."), {}, N_("Nothing needs to be done."))
    return None
