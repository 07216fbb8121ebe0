"""The catalogue of what can be asked of a VM: title, privilege, allowed states. Declared once, used by all.

Buttons, API, bulk actions and task re-checks all read this; a test demands a title in both languages,
a privilege and an integration test for each entry.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from app.core.messages import N_
from app.core.states import HostMode, HostState, TaskState, VmState


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

VM_STATE_TITLES: dict[VmState, str] = {
    VmState.RUNNING: N_("Running"),
    VmState.PAUSED: N_("Paused"),
    VmState.SHUTOFF: N_("Shut off"),
    VmState.CRASHED: N_("Crashed"),
    VmState.SAVED: N_("Saved"),
    VmState.SUSPENDED: N_("Suspended"),
    VmState.MISSING: N_("Missing"),
    VmState.UNKNOWN: N_("Unknown"),
}

VM_REASON_TITLES: dict[str, str] = {
    "booted": N_("started"),
    "migrated": N_("migrated"),
    "restored": N_("restored from its saved state"),
    "from_snapshot": N_("from a snapshot"),
    "unpaused": N_("resumed"),
    "migration_canceled": N_("a migration was cancelled"),
    "save_canceled": N_("saving was cancelled"),
    "wakeup": N_("woken up"),
    "crashed": N_("its process ended by itself"),
    "postcopy": N_("post-copy migration"),
    "postcopy_failed": N_("post-copy migration failed"),
    "user": N_("paused by somebody"),
    "migration": N_("being migrated"),
    "save": N_("being saved"),
    "dump": N_("memory is being dumped"),
    "io_error": N_("an error of its disk"),
    "watchdog": N_("its watchdog"),
    "shutting_down": N_("shutting down"),
    "snapshot": N_("a snapshot is being made"),
    "starting_up": N_("starting up"),
    "shutdown": N_("shut down by the guest"),
    "destroyed": N_("forced off"),
    "saved": N_("saved"),
    "failed": N_("its start failed"),
    "daemon": N_("libvirt was restarted"),
    "panicked": N_("the guest's kernel panicked"),
}

HOST_STATE_TITLES: dict[HostState, str] = {
    HostState.CONNECTING: N_("Connecting"),
    HostState.CONNECTED: N_("Connected"),
    HostState.NOT_ANSWERING: N_("Not answering"),
    HostState.AUTH_FAILED: N_("Sign-in refused"),
    HostState.IDENTITY_CHANGED: N_("Identity changed"),
    HostState.MAINTENANCE: N_("Maintenance"),
    HostState.DISABLED: N_("Disabled"),
}


TASK_STATE_TITLES: dict[TaskState, str] = {
    TaskState.QUEUED: N_("Waiting"),
    TaskState.RUNNING: N_("Under way"),
    TaskState.CANCELLING: N_("Cancelling"),
    TaskState.SUCCEEDED: N_("Done"),
    TaskState.FAILED: N_("Failed"),
    TaskState.CANCELLED: N_("Cancelled"),
}


POOL_STATE_TITLES: dict[str, str] = {
    "inactive": N_("Inactive"),
    "building": N_("Being built"),
    "running": N_("Running"),
    "degraded": N_("Degraded"),
    "inaccessible": N_("Out of reach"),
}
VOLUME_CONDITION_TITLES: dict[str, str] = {
    "incomplete": N_("Incomplete"),
    "format_disagrees": N_("Format mismatch"),
    "refused": N_("Refused"),
}


def titles_of(states: Collection[VmState]) -> list[str]:
    """Message ids of the states' titles, in their usual order."""
    return [title for state, title in VM_STATE_TITLES.items() if state in states]


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
