"""One thread that calls things when they are due. What it calls must be quick: it only hands work to the pool."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)


class Timer:
    """A heap of due times and the thread that empties it. Times are `time.monotonic()` seconds."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._wake = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="engine-timer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop calling; what is still due is forgotten."""
        with self._wake:
            self._stopped = True
            self._heap.clear()
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def at(self, due: float, call: Callable[[], None]) -> None:
        """Call `call` once, at `due` or as soon after it as possible."""
        with self._wake:
            if self._stopped:
                return
            heapq.heappush(self._heap, (due, next(self._numbers), call))
            if self._heap[0][0] == due:
                self._wake.notify()

    def soon(self, call: Callable[[], None]) -> None:
        """Call `call` once, in the timer's thread, as soon as possible."""
        self.at(time.monotonic(), call)

    def every(self, seconds: float, call: Callable[[], None]) -> None:
        """Call `call` again and again, with pauses of `seconds`."""

        def again() -> None:
            try:
                call()
            finally:
                self.at(time.monotonic() + seconds, again)

        self.at(time.monotonic() + seconds, again)

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._stopped and (not self._heap or self._heap[0][0] > time.monotonic()):
                    self._wake.wait(self._heap[0][0] - time.monotonic() if self._heap else None)
                if self._stopped:
                    return
                _, _, call = heapq.heappop(self._heap)
            try:
                call()
            except Exception:
                log.exception("timer_call_failed")
