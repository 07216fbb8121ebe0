"""How tasks that failed end, as data: message ids, and what the hypervisor said for those who may see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.core.errors import VigieError
from app.core.messages import N_
from app.core.tasks.states import TaskState
from app.engine.durable import TaskResult
from app.tasks import lifecycle
from app.tasks.errors import TaskFailed


def failed(error: VigieError) -> TaskResult:
    """The ending of a task that this error ended."""
    kept = lifecycle.error_of(error)
    return TaskResult(state=TaskState.FAILED.value, message=None, params={}, error=kept, result=None)


def with_left(ending: TaskResult, left: Sequence[Mapping[str, str]]) -> TaskResult:
    """The ending, with the volumes that stay because the task may not have created them itself."""
    if not left:
        return ending
    ending = ending.copy()
    ending["message"] = N_(
        "Volumes were left in their pool, since it is not certain that this task made them: %(names)s."
    )
    ending["params"] = {"names": ", ".join(item["name"] for item in left)}
    return ending


def internal() -> VigieError:
    """A fault of the program."""
    return TaskFailed(
        "internal",
        N_("Vigie made a mistake; the task was ended."),
        hint=N_("Look at the VM before you try again, and at the log of the server."),
    )


def restored() -> VigieError:
    """The database is an older copy: what its tasks did since it was made is not known."""
    return TaskFailed(
        "interrupted",
        N_("The task was under way when the copy of the database was made that is in use now."),
        why=N_("The database was restored from it; doing again what may have been done since could do harm."),
        hint=N_("Look at what the task was to change, and do it again if it is still needed."),
    )


def log_lost() -> VigieError:
    """The log of running tasks was lost, so nobody knows how far this one came."""
    return TaskFailed(
        "interrupted",
        N_("The task was lost; how far it came is not known."),
        why=N_("Vigie ended while it ran, and its log of running tasks does not know it."),
        hint=N_("Look at the VM, and do it again if it is still needed."),
    )
