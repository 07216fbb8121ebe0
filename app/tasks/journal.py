"""What a running task writes into the database: patiently, since the database may be locked or full for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

import structlog
from sqlalchemy.orm import Session

from app.access.context import Services
from app.core.errors import Unavailable
from app.tasks import lifecycle
from app.tasks.errors import Interrupted
from app.tasks.undo import left_event

log = structlog.get_logger(__name__)
T = TypeVar("T")

RETRY_S = 0.3


class Journal:
    """The task's door to the database. Each method is a transaction, repeated while the database takes nothing.

    Every method raises Interrupted when the server stops meanwhile.
    """

    def __init__(self, services: Services, stopping: threading.Event) -> None:
        self._services = services
        self._stopping = stopping

    def write(self, step: Callable[[Session], T]) -> T:
        """Do a step in a transaction of its own."""

        def write() -> T:
            with self._services.database.begin() as session:
                return step(session)

        return self.patiently(write)

    def read(self, look: Callable[[Session], T]) -> T:
        """Look at the database."""

        def read() -> T:
            with self._services.database.read() as session:
                return look(session)

        return self.patiently(read)

    def progress(
        self, task_id: str, percent: int | None, message: str | None, params: Mapping[str, object]
    ) -> None:
        """Show progress; a database that is busy just now misses one step of it."""
        try:
            with self._services.database.begin() as session:
                lifecycle.report_progress(
                    session, self._services.hub, task_id, percent, message, dict(params)
                )
        except Unavailable as error:
            log.debug("progress_not_shown", task=task_id, reason=error.code)

    def mark_sent(self, task_id: str) -> None:
        """Note that a step which must not be repeated is sent now."""
        self.write(lambda session: lifecycle.mark_sent(session, task_id))

    def note_acted(self, task_id: str, at: datetime | None) -> None:
        """Note that a change is sent to the host; None: all that was sent was refused."""
        self.write(lambda session: lifecycle.note_acted(session, task_id, at))

    def note_created(self, task_id: str, created: Sequence[dict[str, str]]) -> None:
        """Replace the undo notes of the task."""
        self.write(lambda session: lifecycle.note_created(session, task_id, list(created)))

    def leave(self, task_id: str, note: Mapping[str, str]) -> None:
        """Write an event of what the task leaves where it is, because it may be somebody else's or is in use."""
        self.write(
            lambda session: lifecycle.publish_left(session, self._services.hub, task_id, left_event(note))
        )

    def is_cancelled(self, task_id: str) -> bool:
        """Whether somebody asked the task to stop."""
        return self.read(lambda session: lifecycle.is_cancelled(session, task_id))

    def patiently(self, step: Callable[[], T]) -> T:
        """Do a step on the database, again and again while it takes nothing."""
        while True:
            try:
                return step()
            except Unavailable:
                if self._stopping.wait(RETRY_S):
                    raise Interrupted from None
