"""Verbs whose arrival may stay unknown: never sent again while the first may still be at work on the host.

libvirtd carries out what it has received, also after its client is gone: a start that hangs in a hook script runs
when the script ends, and a second one, sent meanwhile, would run after it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from app.core.errors import HypervisorRefused
from app.core.messages import N_
from app.core.vms.observations import VmObservation
from app.engine.run import LOOK_EVERY_S, Lost, Run, TaskFailed
from app.hypervisor import Host

SETTLE_S = 20.0  # how long a host may take to show what it said is done
OUTCOME_WAIT_S = 60.0  # how long is waited, while the host answers, for what may have arrived
CALM_S = 3.0  # a host that answers and shows nothing for so long is not at work on it

Seen = Callable[[VmObservation], bool]


def deliver(run: Run, done: Seen, send: Callable[[Host], None]) -> bool:
    """Send; False when the host refused because somebody else has just done it.

    Sent a second time only when the connection ended by itself (the daemon or the network died, so that what was
    under way died with it) and the host, back again, shows nothing of the first. Raises TaskFailed
    (outcome_unknown), HypervisorRefused.
    """
    if run.job.acted and _arrived(run, done):
        return True  # an earlier run of the task sent it
    try:
        return _send(run, done, send)
    except Lost as error:
        if _arrived(run, done):
            return True
        if error.code != "connection_ended":
            raise outcome_unknown() from None
    try:
        send(run.host())
    except HypervisorRefused:
        if not run.wait_until(done, SETTLE_S):
            raise
    except Lost:
        if not _arrived(run, done):
            raise outcome_unknown() from None
    return True


def _send(run: Run, done: Seen, send: Callable[[Host], None]) -> bool:
    try:
        send(run.host())
    except HypervisorRefused:
        if not done(run.look()):
            raise
        return False
    return True


def _arrived(run: Run, done: Seen) -> bool:
    """Whether what was sent has its effect; False once the host has shown for a while that it is not at work on it.

    Raises TaskFailed: outcome_unknown, or host_lost while the host does not come back.
    """
    deadline = time.monotonic() + OUTCOME_WAIT_S
    calm_since: float | None = None
    while True:
        try:
            if done(run.look()):
                return True
            calm_since = calm_since or time.monotonic()
        except Lost:
            calm_since = None
        if calm_since is not None and time.monotonic() - calm_since >= CALM_S:
            return False
        if time.monotonic() > deadline:
            raise outcome_unknown()
        run.pause(LOOK_EVERY_S)


def outcome_unknown() -> TaskFailed:
    """What was sent may have its effect yet, or not."""
    return TaskFailed(
        "outcome_unknown",
        N_("How this ended is not known."),
        why=N_("It was sent to the host, which then stopped answering and shows nothing of it."),
        hint=N_(
            "Look at the VM and at the host's log before you try again. If it happens later, its event names this task."
        ),
    )
