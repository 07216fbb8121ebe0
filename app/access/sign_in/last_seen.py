"""How often it is written when a login or a token was last used."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from app.core.errors import Unavailable

WRITE_EVERY_S = 60


class LastSeenThrottle:
    """Decides when "last seen" is written: at most once a minute each, whether or not the writing worked."""

    def __init__(self) -> None:
        self._tried: dict[str, float] = {}
        self._lock = threading.Lock()

    def write(self, identifier: str, age_s: float, write: Callable[[], None]) -> None:
        """Call `write` when the kept time is a minute old and nobody tried within the last minute."""
        now = time.monotonic()
        with self._lock:
            if age_s < WRITE_EVERY_S or now - self._tried.get(identifier, -WRITE_EVERY_S) < WRITE_EVERY_S:
                return
            if len(self._tried) > 10_000:
                self._tried.clear()
            self._tried[identifier] = now
        try:
            write()
        except Unavailable:
            return  # who reads must not suffer from a database that cannot be written


LAST_SEEN = LastSeenThrottle()
