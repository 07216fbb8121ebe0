"""Dispatch queued tasks: choose which begins next and when, run its operation durably, write how it ends.

The task table is the queue (docs/decisions/0002-task-queue.md): whoever asks for work writes a row, and the
dispatcher here starts it as soon as its host and the server have room. DBOS remembers what has begun, so that a
task that a crash interrupted is taken up again by the next start.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import structlog

from app.access.context import Services
from app.core.errors import HostError, Unavailable, VigieError
from app.core.inventory.reports import HostReport
from app.core.messages import N_
from app.core.storage.created_volumes import REQUESTED
from app.core.tasks.states import TaskState
from app.db import epoch
from app.engine.durable import Durable, TaskResult
from app.engine.sent_note import SentNote
from app.engine.task_claims import SingleProcessTaskClaims, TaskClaims
from app.engine.task_results import failed, internal, log_lost, restored, with_left
from app.hypervisor import Host
from app.hypervisor.sent_commands import watched_by
from app.services.storage.uploads.abandoned import forget_uploads
from app.tasks import lifecycle, queue, undo
from app.tasks.context import TaskContext
from app.tasks.errors import Cancelled, Interrupted
from app.tasks.journal import Journal

log = structlog.get_logger(__name__)
T = TypeVar("T")

SCAN_S = 2.0  # how often the table is looked at without being told to
WRITE_S = 3.0  # how long a task waits for the mirror to show its result
RETRY_S = 0.3
LATE_S = 5.0  # after a host's return, before what it may have been asked for is looked for
CLEAN_AGAIN_S = (2.0, 60.0)  # doubled from the first to the second while a host keeps what is to be removed
ENDED_BEFORE = TaskResult(state="", message=None, params={}, error=None, result=None)
CANCELLED = TaskResult(
    state=TaskState.CANCELLED.value, message=N_("Cancelled."), params={}, error=None, result=None
)


@dataclass(frozen=True, slots=True)
class TasksHealth:
    """Figures of the dispatcher now."""

    running: int
    queued: int


@dataclass(frozen=True, slots=True)
class _Engine:
    """What running tasks need of the engine."""

    host: Callable[[str], Host | None]
    observe_in_time: Callable[[HostReport, float], bool]

    def observe(self, report: HostReport) -> bool:
        """Have a report written into the mirror; False when that takes too long."""
        return self.observe_in_time(report, WRITE_S)


class TaskDispatcher:
    """Begins queued tasks, oldest first, at most so many per host and in all as the settings say, and runs them."""

    def __init__(
        self,
        services: Services,
        host: Callable[[str], Host | None],
        observe: Callable[[HostReport, float], bool],
    ) -> None:
        self._services = services
        self._settings = services.settings
        self._stopping = threading.Event()
        self._poke = threading.Event()
        self._claims: TaskClaims = SingleProcessTaskClaims()
        self._lock = threading.Lock()
        self._strays: set[str] = set()
        self._cleaning: set[str] = set()
        self._clean_waits: dict[str, float] = {}  # task id: seconds before what it left is tried again
        self._queued = 0
        self._engine = _Engine(host, observe)
        self._journal = Journal(services, self._stopping)
        threads = services.settings.tasks_total + 4
        self._durable = Durable(
            services.settings.task_database,
            services.replicas.own_id,
            threads=threads,
            act=self._act,
            finish=self._finish,
        )
        self._thread = threading.Thread(target=self._dispatch, name="engine-tasks", daemon=True)

    def start(self) -> None:
        """Go on with what a crash interrupted, then take what is queued. Nothing is gone on with in a restored copy."""
        self._settle_epoch()
        self._durable.start()
        self._thread.start()

    def _settle_epoch(self) -> None:
        """End what was under way in a database that was restored from an older copy."""
        file = self._services.database.epoch
        if file is None:
            return
        with self._services.database.begin() as session:
            if epoch.is_restored(session, file):
                lifecycle.end_restored(session, self._services.hub, lifecycle.error_of(restored()))
                forget_uploads(session)
            mark = epoch.settle(session, file)
        file.make(mark)

    def stop(self) -> None:
        """Take nothing more. Tasks that wait are interrupted and stay as they are, for the next start."""
        self._stopping.set()
        self._poke.set()
        self._durable.stop()

    def poke(self) -> None:
        """Something was queued."""
        self._poke.set()

    def forget_old(self) -> None:
        """Remove what is remembered of tasks that ended long ago."""
        self._durable.forget_old()

    @property
    def health(self) -> TasksHealth:
        """Figures now."""
        return TasksHealth(running=len(self._claims.held()), queued=self._queued)

    # -- dispatcher --------------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        scanned = 0.0
        while not self._stopping.is_set():
            self._poke.wait(SCAN_S)
            self._poke.clear()
            try:
                self._start_queued()
                if time.monotonic() - scanned > SCAN_S:
                    self._end_strays()
                    self._roll_back_ended()
                    scanned = time.monotonic()
            except Unavailable as error:
                log.warning("tasks_wait_for_database", reason=error.code)
                self._stopping.wait(RETRY_S)
            except Exception:
                log.exception("dispatch_failed")
                self._stopping.wait(SCAN_S)

    def _start_queued(self) -> None:
        live = self._claims.held()
        room = self._settings.tasks_total - len(live)
        busy = Counter(live.values())
        full = [host for host, count in busy.items() if count >= self._settings.tasks_per_host]
        with self._services.database.read() as session:
            self._queued = queue.count_queued(session)
            limit = room * 4 + len(live) if room > 0 else 0
            queued = queue.next_queued(session, limit=limit, full_hosts=full)
        for task_id, host_id in queued:
            if task_id in live or busy[host_id] >= self._settings.tasks_per_host:
                continue
            if room <= 0:
                return
            if self._start_one(task_id, host_id):
                busy[host_id] += 1
                room -= 1

    def _start_one(self, task_id: str, host_id: str) -> bool:
        """Begin a task; False when somebody else has it, or had it before: then it takes no slot here."""
        if not self._claims.claim(task_id, host_id):
            return False
        begun = False
        try:
            begun = self._durable.begin(task_id)
        finally:
            if not begun:
                self._claims.withdraw(task_id)
        return begun

    def _end_strays(self) -> None:
        """End tasks that count as running though nothing runs them: their log was lost. Twice seen is certain."""
        with self._services.database.read() as session:
            running = set(lifecycle.running(session))
        strays = running - self._claims.held().keys()
        lost = {task_id for task_id in strays & self._strays if not self._durable.knows(task_id)}
        self._strays = strays
        for task_id in lost:
            self._forget_created(task_id)
            self._finish(task_id, failed(log_lost()))

    def _forget_created(self, task_id: str) -> None:
        """Leave what a task created of which nobody knows how far it came: it may be whole, and in use."""
        with self._services.database.begin() as session:
            created = lifecycle.forget_created(session, task_id)
        if created:
            log.warning("begun_and_not_removed", task=task_id, created_resources=created)

    def _roll_back_ended(self) -> None:
        """Roll back what ended tasks left on hosts that were lost then and answer now."""
        with self._services.database.read() as session:
            left = lifecycle.created_by_ended_tasks(session)
        for task_id, host_id, created in left:
            host = self._engine.host(host_id)
            with self._lock:
                if host is None or task_id in self._cleaning:
                    continue
                self._cleaning.add(task_id)
            clean = partial(self._clean, task_id, host, created)
            threading.Thread(target=clean, name="engine-clean", daemon=True).start()

    def _clean(self, task_id: str, host: Host, created: list[dict[str, str]]) -> None:
        try:
            # A call that was on its way when the host was lost may be carried out only now that it is back.
            if any(item.get("state") == REQUESTED for item in created) and self._stopping.wait(LATE_S):
                return
            for note in undo.roll_back(host, created, ended=True):
                self._journal.leave(task_id, note)
            self._journal.note_created(task_id, [])
            self._clean_waits.pop(task_id, None)
            log.info("leftovers_removed", task=task_id, count=len(created))
        except HostError as error:
            log.warning("leftovers_stay", task=task_id, code=error.code)
            wait_s = self._clean_waits.get(task_id, CLEAN_AGAIN_S[0])
            self._clean_waits[task_id] = min(2 * wait_s, CLEAN_AGAIN_S[1])
            self._stopping.wait(wait_s)
        except Interrupted:
            return
        finally:
            with self._lock:
                self._cleaning.discard(task_id)

    # -- one task ------------------------------------------------------------------------------------------

    def _act(self, task_id: str) -> TaskResult:
        """Run the operation of a task and say how it ended. Runs again after a crash."""
        job = self._journal.patiently(partial(self._begin, task_id))
        if job is None:
            return ENDED_BEFORE
        self._claims.run(task_id, job.host_id)
        run = TaskContext(job, self._services, self._journal, self._engine, self._stopping)
        try:
            with watched_by(SentNote(partial(self._journal.note_acted, task_id), acted=job.acted)):
                outcome = job.operation.run(run, job.parameters)
        except Cancelled:
            return with_left(CANCELLED, run.left)
        except VigieError as error:
            return with_left(failed(error), run.left)
        except Interrupted:
            raise
        except Exception:
            log.exception("task_failed", task=task_id, kind=job.kind)
            return failed(internal())
        return TaskResult(
            state=TaskState.SUCCEEDED.value,
            message=outcome.message,
            params=outcome.params,
            error=None,
            result=outcome.result,
        )

    def _finish(self, task_id: str, ending: TaskResult) -> None:
        """Write how the task ended, and make room for the next."""
        try:
            if ending["state"]:
                self._journal.patiently(partial(self._write_ending, task_id, ending))
        finally:
            self._claims.release(task_id)
            self._poke.set()

    def _begin(self, task_id: str) -> lifecycle.Job | None:
        """Mark the task as running and read what it is to do; None when it has ended already."""
        with self._services.database.begin() as session:
            return lifecycle.begin_task(self._services, session, task_id)

    def _write_ending(self, task_id: str, ending: TaskResult) -> None:
        with self._services.database.begin() as session:
            lifecycle.finish_task(
                session,
                self._services.hub,
                task_id,
                lifecycle.Ending(
                    TaskState(ending["state"]),
                    message=ending["message"],
                    params=ending["params"],
                    error=ending["error"],
                    result=ending.get("result"),  # endings that an earlier version stored have none
                ),
            )
