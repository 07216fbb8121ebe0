"""Filters of the list of tasks."""

from __future__ import annotations

from pydantic import Field

from app.core.specs import ListQuery, ObjectId
from app.core.tasks.states import TaskState


class TaskQuery(ListQuery):
    """Filters of the task list, newest first."""

    state: list[TaskState] = Field([])
    target: ObjectId | None = None
    host: ObjectId | None = None
    batch: str | None = Field(None, max_length=64)
    kind: str | None = Field(None, max_length=64)
