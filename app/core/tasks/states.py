"""States of a task and their titles."""

from __future__ import annotations

from enum import StrEnum

from app.core.messages import N_


class TaskState(StrEnum):
    """Life of a task. The last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """True when the task will not change any more."""
        return self in (TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED)


ACTIVE_TASK_STATES = (TaskState.QUEUED, TaskState.RUNNING, TaskState.CANCELLING)


TASK_STATE_TITLES: dict[TaskState, str] = {
    TaskState.QUEUED: N_("Waiting"),
    TaskState.RUNNING: N_("Under way"),
    TaskState.CANCELLING: N_("Cancelling"),
    TaskState.SUCCEEDED: N_("Done"),
    TaskState.FAILED: N_("Failed"),
    TaskState.CANCELLED: N_("Cancelled"),
}
