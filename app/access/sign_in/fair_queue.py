"""A few slots that many want: shared in turn between groups, so that no group can keep the others out."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class _Waiter:
    group: str
    trusted: bool
    decided: threading.Event = field(default_factory=threading.Event)
    granted: bool = False


class FairQueue:
    """`slots` at a time; whoever finds none free waits, and groups are served in turn.

    A group has at most `per_group` running and waiting. `places` wait in all; a newcomer of a group that has fewer
    waiting takes the place of the last one of the group that has most. Trusted groups have as many places of their own.
    """

    def __init__(self, slots: int, *, per_group: int, places: int, wait_s: float) -> None:
        self._free = slots
        self._per_group = per_group
        self._places = places
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._inside: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[_Waiter]] = OrderedDict()

    @contextmanager
    def slot(self, group: str, refusal: Callable[[], Exception], *, trusted: bool = False) -> Iterator[None]:
        """Hold a slot. Raises what `refusal` makes when there is no place to wait, or the wait takes too long."""
        waiter = self._enter(group, trusted)
        if waiter is None:
            raise refusal()
        try:
            waiter.decided.wait(self._wait_s)
            with self._lock:
                if not waiter.granted:
                    self._leave_queue(waiter)
            if not waiter.granted:
                raise refusal()
            try:
                yield
            finally:
                self._release()
        finally:
            with self._lock:
                self._inside[group] -= 1
                if not self._inside[group]:
                    del self._inside[group]

    @property
    def waiting(self) -> int:
        """How many wait now."""
        with self._lock:
            return sum(map(len, self._waiting.values()))

    def _enter(self, group: str, trusted: bool) -> _Waiter | None:
        with self._lock:
            if self._inside[group] >= self._per_group:
                return None
            waiter = _Waiter(group, trusted)
            if self._free and not self._waiting:
                self._free -= 1
                self._grant(waiter)
            elif self._make_room(waiter):
                self._waiting.setdefault(group, deque()).append(waiter)
            else:
                return None
            self._inside[group] += 1
            return waiter

    def _make_room(self, newcomer: _Waiter) -> bool:
        queues = [queue for queue in self._waiting.values() if queue[0].trusted == newcomer.trusted]
        if sum(map(len, queues)) < self._places:
            return True
        longest = max(queues, key=len)
        if len(longest) <= len(self._waiting.get(newcomer.group, ())) + 1:
            return False
        displaced = longest[-1]
        self._leave_queue(displaced)
        displaced.decided.set()
        return True

    def _leave_queue(self, waiter: _Waiter) -> None:
        queue = self._waiting.get(waiter.group)
        if queue is not None and waiter in queue:
            queue.remove(waiter)
            if not queue:
                del self._waiting[waiter.group]

    def _release(self) -> None:
        with self._lock:
            if not self._waiting:
                self._free += 1
                return
            group, queue = next(iter(self._waiting.items()))
            waiter = queue.popleft()
            if queue:
                self._waiting.move_to_end(group)
            else:
                del self._waiting[group]
            self._grant(waiter)

    @staticmethod
    def _grant(waiter: _Waiter) -> None:
        waiter.granted = True
        waiter.decided.set()
