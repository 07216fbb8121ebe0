"""How many attempts to reconnect are made per second, over all hosts."""

from __future__ import annotations

import threading
import time

BACK_OFF_S = 0.25
QUICK_ATTEMPTS = (
    10  # a daemon that restarts is back within a second or two; a dead host costs little meanwhile
)


def back_off_s(attempts: int, longest_s: float) -> float:
    """Seconds until a lost host is tried again after so many attempts: the same at first, then doubled each time."""
    return min(BACK_OFF_S * 2.0 ** min(max(attempts - QUICK_ATTEMPTS, 0), 10), longest_s)


class RateLimiter:
    """A bucket of `rate` attempts per second. It keeps a dead network segment from causing a storm."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._left = rate
        self._at = time.monotonic()

    def claim(self) -> float:
        """Take one attempt: 0 when it may be made now, else the seconds after which to ask again."""
        with self._lock:
            now = time.monotonic()
            self._left = min(self._left + (now - self._at) * self._rate, self._rate)
            self._at = now
            if self._left >= 1.0:
                self._left -= 1.0
                return 0.0
            return (1.0 - self._left) / self._rate
