"""What a task has really sent to its host: by this, observed changes are known as its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

NOTED_EVERY_S = 5.0


class SentNote:
    """Writes the time of what was sent into the task's row, before it is sent; takes it back when all was refused."""

    def __init__(self, note: Callable[[datetime | None], None], *, acted: bool) -> None:
        self._note = note
        self._acted = acted  # something was sent, and not refused
        self._only = False  # what was sent last is all that was
        self._noted_at = 0.0

    def sending(self) -> None:
        """Something is sent now."""
        self._only = not self._acted
        self._acted = True
        if self._only or time.monotonic() - self._noted_at > NOTED_EVERY_S:
            self._noted_at = time.monotonic()
            self._note(datetime.now(UTC))

    def refused(self) -> None:
        """The host refused what was sent last."""
        if self._only:
            self._acted = self._only = False
            self._note(None)
