"""What is answered about tasks."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from app.core.records import Problem, Record, Ref
from app.core.tasks.states import TaskState


class TaskBrief(Record):
    """A task as shown beside its target."""

    id: str
    kind: str
    title: str
    state: TaskState
    progress: int | None


class TaskRecord(Record):
    """Work that was asked for."""

    id: str
    kind: str
    title: str
    state: TaskState
    progress: int | None = Field(ge=0, le=100, description="Percent; null while it cannot be told.")
    message: str | None = None
    target: Ref | None = None
    host: Ref | None = None
    actor: str
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    cancellable: bool
    batch_id: str | None = Field(None, description="Tasks of one bulk request share it.")
    result: dict[str, str | int | float | bool | None] | None = None
    error: TaskError | None = None

    @property
    def may_be_cancelled(self) -> bool:
        """True while somebody who may can still ask for its end."""
        return self.cancellable and self.state in (TaskState.QUEUED, TaskState.RUNNING)

    @property
    def shows_progress(self) -> bool:
        """True when it is under way and has got somewhere."""
        return self.state in (TaskState.RUNNING, TaskState.CANCELLING) and bool(self.progress)

    @property
    def running_progress(self) -> int | None:
        """Percent while it runs."""
        return self.progress if self.state is TaskState.RUNNING else None

    @property
    def next_verb(self) -> str | None:
        """The action on its target that would go further, once it has failed."""
        return self.error.next_verb if self.error is not None and self.target is not None else None

    @property
    def waited_s(self) -> float | None:
        """Seconds from the request to its beginning, once it has begun."""
        return None if self.started_at is None else (self.started_at - self.created_at).total_seconds()

    @property
    def took_s(self) -> float | None:
        """Seconds from its beginning to its end, once it has ended."""
        if self.started_at is None or self.finished_at is None:
            return None
        return round((self.finished_at - self.started_at).total_seconds(), 1)


class TaskError(Record):
    """Why a task failed and what to do."""

    code: str
    title: str
    why: str | None = None
    hint: str | None = None
    detail: str | None = Field(
        None, description="What the hypervisor said; only with the privilege host.view-diagnostics."
    )
    next_verb: str | None = Field(None, description="The action that would go further, such as force-off.")


class BulkRefusal(Record):
    """A VM of a bulk request that got no task, and why."""

    vm: Ref
    problem: Problem


class BulkRecord(Record):
    """Answer to a bulk request: a task for each VM that allows the action, a reason for each other."""

    batch_id: str
    tasks: list[TaskRecord]
    refused: list[BulkRefusal]
