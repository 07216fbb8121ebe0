"""DBOS, set up: it remembers which tasks have begun, and begins them again after a crash.

Settings that matter: a fixed application version (else a new release would not go on with old work), JSON instead
of pickle, WAL for SQLite, a bounded number of threads, our own retention. Only task ids are stored, no secrets.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypedDict

import sqlalchemy as sa
import structlog
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID

from app.core.tasks.stored import StoredError

log = structlog.get_logger(__name__)

APPLICATION = "vigie"
VERSION = "1"  # of the workflow below; it is one step, so it need not change with releases
WORKFLOW = "run_task"
STOP_S = 1.0
KEEP = timedelta(days=1)
ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")


class TaskResult(TypedDict):
    """How a task ended, as data: nothing that needs pickle."""

    state: str
    message: str | None
    params: Mapping[str, object]
    error: StoredError | None
    result: Mapping[str, object] | None


class Durable:
    """Runs `act(task_id)` once, also across crashes, and then `finish(task_id, ending)`.

    `executor_id` says whose work is recorded; a start goes on with what the executor of the same id had begun.
    `act` may be run again when the program ended in the middle of it; `finish` always is until it succeeds. Both
    run also when the log fails meanwhile.
    """

    def __init__(
        self,
        url: str,
        executor_id: str,
        *,
        threads: int,
        act: Callable[[str], TaskResult],
        finish: Callable[[str, TaskResult], None],
    ) -> None:
        self._url = url
        self._executor_id = executor_id
        self._threads = threads
        self._act = act
        self._finish = finish
        self._engine: sa.Engine | None = None

    def start(self) -> None:
        """Open the task log and go on with what a crash interrupted."""
        logging.getLogger("dbos").setLevel(logging.WARNING)
        # The registry is the library's own global: it is made anew, so that a second start in one process works.
        DBOS.destroy(destroy_registry=True)
        config: DBOSConfig = {
            "name": APPLICATION,
            "application_version": VERSION,
            "executor_id": self._executor_id,
            "system_database_url": self._url,
            "serializer": DBOSPortableJSONSerializer(),
            "max_executor_threads": self._threads,
            "run_migrations": True,
            "log_level": "WARNING",
        }
        if self._url.startswith("sqlite"):
            self._engine = _sqlite_engine(self._url)
            config["system_database_engine"] = self._engine
        DBOS(config=config)
        self._run = DBOS.workflow(name=WORKFLOW)(self._make_workflow())
        DBOS.launch()

    def _make_workflow(self) -> Callable[[str], None]:
        act, finish = self._act, self._finish

        def run_task(task_id: str) -> None:
            acted: list[TaskResult] = []

            def step() -> TaskResult:
                acted.append(act(task_id))
                return acted[0]

            try:
                ending = DBOS.run_step({"name": "act"}, step)
            except Exception:
                # The log failed, such as by a full disk, since `act` turns its own errors into endings. The work
                # counts all the same: only a crash before the row is written would have it looked at again.
                log.exception("task_log_failed", task=task_id)
                ending = acted[0] if acted else act(task_id)
            finish(task_id, ending)

        return run_task

    def begin(self, task_id: str) -> bool:
        """Run the task in a thread of its own; False, and no effect, when it has begun already, here or elsewhere."""
        with SetWorkflowID(task_id):
            handle = DBOS.start_workflow(self._run, task_id)
        return hasattr(handle, "future")  # of what this call has not begun, a handle only polls the log

    def knows(self, task_id: str) -> bool:
        """Whether the task has begun and is not known to have ended."""
        status = DBOS.get_workflow_status(task_id)
        return status is not None and status.status in ("PENDING", "ENQUEUED")

    def forget_old(self) -> None:
        """Remove what is remembered of tasks that ended some time ago; their rows tell what people need."""
        before = (datetime.now(UTC) - KEEP).isoformat()
        while True:
            old = DBOS.list_workflows(status=list(ENDED), end_time=before, limit=500)
            if not old:
                return
            DBOS.delete_workflows([item.workflow_id for item in old])

    def stop(self) -> None:
        """Close the task log. Steps that are blocked in a call to a host are left; the next start repeats them."""
        closing = threading.Thread(target=DBOS.destroy, name="tasks-close", daemon=True)
        closing.start()
        closing.join(STOP_S)
        if self._engine is not None and not closing.is_alive():
            self._engine.dispose()


def _sqlite_engine(url: str) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"check_same_thread": False, "timeout": 30})

    @sa.event.listens_for(engine, "connect")
    def connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine
