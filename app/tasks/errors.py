"""The ways in which a running operation ends before its end."""

from __future__ import annotations

from collections.abc import Mapping

from app.core.errors import VigieError
from app.core.messages import N_


class Cancelled(Exception):
    """The task was asked to stop, and has."""


class Interrupted(BaseException):
    """The server stops. Not an error of the task: it stays as it is, and the next start goes on with it."""


class TaskFailed(VigieError):
    """The task could not do what was asked. `next_verb` names what a person can do instead."""

    code = "task_failed"

    def __init__(
        self,
        code: str,
        title: str,
        *,
        why: str | None = None,
        hint: str | None = None,
        params: Mapping[str, object] | None = None,
        next_verb: str | None = None,
    ) -> None:
        super().__init__(title, why=why, hint=hint, code=code, params=params)
        self.next_verb = next_verb


def maybe_sent() -> TaskFailed:
    """A step that must not be repeated was interrupted."""
    return TaskFailed(
        "interrupted",
        N_("This was interrupted; it may or may not have been sent to the host."),
        why=N_("Doing it a second time would do harm, so it was not repeated."),
        hint=N_("Look at the VM, and do it again if it is still needed."),
    )


def changed_meanwhile() -> TaskFailed:
    """What was to be changed is not what the asker saw."""
    return TaskFailed(
        "changed_meanwhile",
        N_("Somebody changed the definition in between."),
        why=N_("On its host it is not what you saw when you asked."),
        hint=N_("Load it again and repeat your change."),
    )


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
