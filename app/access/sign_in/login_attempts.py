"""How many wrong guesses at passwords there were lately, and how many guesses are being checked now."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from app.core.errors import TooManyRequests
from app.core.messages import N_

WINDOW_MINUTES = 5

# Whose guesses count together, such as ("address", "192.0.2.7").
Key = tuple[str, ...]
# How many wrong guesses are allowed in five minutes, of each key that a guess counts for.
Allowed = Mapping[Key, int]


class LoginAttempts(Protocol):
    """Counts guesses at passwords, of everybody who may guess at this Vigie. Thread-safe."""

    def begin(self, allowed: Allowed) -> None:
        """Count a guess that is checked from now on; every one is ended.

        Raises TooManyRequests, and counts nothing, when a key has no wrong guess left, or has none left should all
        that are being checked be wrong.
        """

    def end(self, allowed: Allowed, *, wrong: bool = False, forget: bool = False) -> None:
        """The guess was checked, or could not be. `wrong` counts it; `forget` forgets the wrong ones of its keys."""


class SingleProcessLoginAttempts:
    """Counts in memory: a restart forgives everybody, and every process counts for itself."""

    def __init__(self) -> None:
        # A window that is fixed is forgotten by the storage when it ends; of a moving one it keeps the key for ever.
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._lock = threading.Lock()
        self._checking: Counter[Key] = Counter()

    def begin(self, allowed: Allowed) -> None:
        """Count a guess that is being checked."""
        with self._lock:
            for key, attempts in allowed.items():
                window = self._limiter.get_window_stats(_item(attempts), *key)
                if window.remaining <= 0:
                    raise too_many_attempts(window.reset_time - time.time())
                if window.remaining <= self._checking[key]:
                    raise too_busy()
            self._checking.update(allowed.keys())

    def end(self, allowed: Allowed, *, wrong: bool = False, forget: bool = False) -> None:
        """Count it as wrong, or forget those that were."""
        with self._lock:
            for key, attempts in allowed.items():
                self._checking[key] -= 1
                if not self._checking[key]:
                    del self._checking[key]
                if wrong:
                    self._limiter.hit(_item(attempts), *key)
                elif forget:
                    self._limiter.clear(_item(attempts), *key)


def _item(attempts: int) -> RateLimitItemPerMinute:
    return RateLimitItemPerMinute(attempts, WINDOW_MINUTES)


def too_many_attempts(again_in_s: float) -> TooManyRequests:
    """No guess is left until the window ends, in so many seconds."""
    return TooManyRequests(
        N_("Too many attempts to sign in."),
        retry_after_s=max(1, round(again_in_s)),
        hint=N_("Wait a few minutes. An administrator can look in the audit for who tried."),
    )


def too_busy() -> TooManyRequests:
    """Too many guesses are being checked."""
    return TooManyRequests(
        N_("Too many people sign in at this moment."),
        retry_after_s=5,
        hint=N_("Try again in a few seconds."),
    )
