"""Threads for calls to hosts: few while hosts answer, more while some hang, so that no host can starve another.

Every call to a host blocks a thread. With a fixed number of threads, as many hung hosts stop everything;
with one thread per host, 2,500 hosts cost 2,500 threads that do nothing. So:

- At most `workers` jobs count as running. That bounds the work done at once (processor, database).
- A job that has run longer than `slow_after_s` only waits for its host: it stops counting, and the next one
  starts in another thread. Hung hosts therefore cost a thread each and nobody's turn. To connect is mostly
  waiting, so jobs of suspect hosts stop counting sooner.
- Threads are capped. Jobs of suspect hosts (those not connected) may hold at most three quarters of the cap and,
  while others wait, half of the workers: even with all suspects hung, hosts that answer go on being read.
- Jobs are taken by deadline (the time they were handed in plus the slack they have), so urgent ones overtake
  and none waits for ever.

Threads are used again, and end after `idle_s` without work.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger(__name__)

SOON_S = 1.0


@dataclass(order=True, slots=True)
class _Job:
    deadline: float
    number: int
    run: Callable[[], None] = field(compare=False)
    suspect: bool = field(compare=False)
    first: bool = field(compare=False)
    started: float = field(default=0.0, compare=False)
    slow: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class ThreadPoolHealth:
    """Figures of the pool now."""

    threads: int
    running: int
    slow: int
    waiting: int


class ElasticThreadPool:
    """See the module's text. `tick` must be called a few times per second: it finds the slow jobs."""

    def __init__(
        self,
        workers: int,
        *,
        max_threads: int = 384,
        slow_after_s: float = 1.0,
        suspect_slow_after_s: float = 0.2,
        idle_s: float = 10.0,
    ) -> None:
        self._workers = workers
        self._max_threads = max(max_threads, workers)
        self._max_suspect = max(self._max_threads * 3 // 4, 1)
        self._slow_after_s = {False: slow_after_s, True: min(suspect_slow_after_s, slow_after_s)}
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._numbers = itertools.count()
        self._trusted: list[_Job] = []
        self._suspect: list[_Job] = []
        self._ready: deque[_Job] = deque()
        self._running: dict[int, _Job] = {}
        self._fast = 0
        self._fast_suspect = 0
        self._suspect_running = 0
        self._threads = 0
        self._idle = 0
        self._stopped = False

    def submit(
        self, run: Callable[[], None], *, slack_s: float = 0.0, suspect: bool = False, first: bool = False
    ) -> None:
        """Run `run` in a thread of the pool. It must handle its own errors.

        `first`: of a suspect, that it was never tried. What can wait does so until all such have begun.
        """
        with self._lock:
            job = _Job(time.monotonic() + slack_s, next(self._numbers), run, suspect, first)
            heapq.heappush(self._suspect if suspect else self._trusted, job)
            self._dispatch()

    def tick(self) -> None:
        """Stop counting jobs that have become slow, and start others in their place."""
        with self._lock:
            now = time.monotonic()
            for job in self._running.values():
                if not job.slow and now - job.started > self._slow_after_s[job.suspect]:
                    job.slow = True
                    self._uncount(job)
            self._dispatch()

    def stop(self) -> None:
        """Take no more jobs. Threads inside a call end when it returns; nobody waits for them."""
        with self._lock:
            self._stopped = True
            self._trusted.clear()
            self._suspect.clear()
            self._ready.clear()
            self._work.notify_all()

    def health(self) -> ThreadPoolHealth:
        """Figures now."""
        with self._lock:
            return ThreadPoolHealth(
                threads=self._threads,
                running=len(self._running),
                slow=len(self._running) - self._fast,
                waiting=len(self._trusted) + len(self._suspect),
            )

    def _dispatch(self) -> None:
        """Start as many waiting jobs as the limits allow. The lock is held."""
        while not self._stopped and self._fast < self._workers and len(self._running) < self._max_threads:
            job = self._next()
            if job is None:
                return
            self._fast += 1
            self._fast_suspect += job.suspect
            self._suspect_running += job.suspect
            job.started = time.monotonic()
            self._running[job.number] = job
            self._ready.append(job)
            if self._idle >= len(self._ready):
                self._work.notify()
            else:
                self._threads += 1
                threading.Thread(target=self._serve, name=f"host-{self._threads}", daemon=True).start()

    def _next(self) -> _Job | None:
        """The waiting job that is due first, of those that may start now."""
        suspect = self._suspect if self._suspect_running < self._max_suspect else []
        if suspect and self._trusted and suspect[0] < self._trusted[0]:
            if self._fast_suspect < max(self._workers // 2, 1):
                return heapq.heappop(suspect)
            # The other half is for what hosts that answer need now. What can wait would only take the processor
            # from those that connect for the first time, as at the start of a large fleet.
            if suspect[0].first and self._trusted[0].deadline > time.monotonic() + SOON_S:
                return None
            return heapq.heappop(self._trusted)
        queue = self._trusted or suspect
        return heapq.heappop(queue) if queue else None

    def _uncount(self, job: _Job) -> None:
        self._fast -= 1
        self._fast_suspect -= job.suspect

    def _serve(self) -> None:
        while (job := self._take()) is not None:
            try:
                job.run()
            except Exception:
                log.exception("host_job_failed")
            with self._lock:
                del self._running[job.number]
                self._suspect_running -= job.suspect
                if not job.slow:
                    self._uncount(job)
                self._dispatch()

    def _take(self) -> _Job | None:
        """The next job for this thread; None when it has idled long enough or the pool has stopped."""
        with self._lock:
            deadline = time.monotonic() + self._idle_s
            while not self._ready:
                left = deadline - time.monotonic()
                if self._stopped or left <= 0:
                    self._threads -= 1
                    return None
                self._idle += 1
                self._work.wait(left)
                self._idle -= 1
            return self._ready.popleft()
