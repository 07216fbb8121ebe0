"""Events of one host that wait to be followed up.

The first event after a pause is followed at once, what comes close behind it together. What happens to one VM
again and again (a guest that reboots in a loop) is followed up only so often: each kind of event of an object has
BURST follow-ups in hand and gets one more each EVERY_S. What happened meanwhile waits and is told together.
This is the generic cell rate algorithm of ITU-T I.371, with the events that do not conform kept, not dropped.
"""

from __future__ import annotations

from app.core.inventory.reports import Hint

COALESCE_S = 0.05
BURST = 5
EVERY_S = 1.0
# These change nothing that is kept of a VM: they are for the event log and for questions to the guest.
SELDOM_S = {"rebooted": 30.0, "watchdog": 30.0, "io_error": 30.0}

_Key = tuple[str, str | None, str]


class EventDebouncer:
    """Keeps events in their order. Times are those of time.monotonic(). The caller locks."""

    def __init__(self) -> None:
        self._waiting: list[Hint] = []
        self._paid_until: dict[_Key, float] = {}
        self._taken_at = 0.0

    def add(self, hint: Hint, now: float) -> float:
        """Take an event in. Returns when it is to be followed up."""
        self._waiting.append(hint)
        return max(self._due(hint, now), self._taken_at + COALESCE_S)

    def take(self, now: float) -> list[Hint]:
        """Hand out what is to be followed up now."""
        due = [hint for hint in self._waiting if self._due(hint, now) <= now]
        self._waiting = [hint for hint in self._waiting if self._due(hint, now) > now]
        self._paid_until = {key: until for key, until in self._paid_until.items() if until > now}
        for key in {_key(hint) for hint in due}:
            self._paid_until[key] = max(now, self._paid_until.get(key, now)) + _every_s(key)
        return due

    def followed(self, now: float) -> float | None:
        """Note that what was taken has been followed up. Returns when the next is due."""
        self._taken_at = now
        if not self._waiting:
            return None
        return max(min(self._due(hint, now) for hint in self._waiting), now + COALESCE_S)

    def clear(self) -> None:
        """Forget all that waits."""
        self._waiting.clear()

    def _due(self, hint: Hint, now: float) -> float:
        key = _key(hint)
        return max(now, self._paid_until.get(key, now) - (BURST - 1) * _every_s(key))


def _key(hint: Hint) -> _Key:
    return hint.kind, hint.uuid, hint.what


def _every_s(key: _Key) -> float:
    return SELDOM_S.get(key[2], EVERY_S)
