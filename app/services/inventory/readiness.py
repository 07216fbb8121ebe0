"""Whether Vigie can work: the engine runs, and what is asked for can be written."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import sqlalchemy as sa

from app.access.context import Services
from app.core.errors import Unavailable
from app.core.messages import N_
from app.db.failures import full
from app.db.models import Epoch

Health = Callable[[], Mapping[str, object]]
"""How the engine is: numbers, and numbers by state; `running` is False while it cannot work."""

PROBE_EVERY_S = 1.0
_WAIT_MS = 2000
_PROBE_BYTES = 64 * 1024


class Readiness:
    """Answers for everybody who asks within a second with one look, since nobody needs to sign in to ask."""

    def __init__(self, services: Services, health: Health) -> None:
        self._services = services
        self._health = health
        self._lock = threading.Lock()
        self._looked_at: float | None = None
        self._found: Unavailable | None = None

    def check(self) -> None:
        """Raise Unavailable with the first reason why Vigie cannot work."""
        health = self._health()
        if not health.get("running", True):
            raise Unavailable(
                N_("Vigie is starting or stopping."), hint=N_("Try again in a moment."), code="not_running"
            )
        self._look()
        if self._found is not None:
            raise self._found.with_traceback(None)
        if health.get("writer_failing"):
            raise Unavailable(
                N_("What hosts say cannot be written to the database."),
                why=N_("The engine tries again and again; pages show the state from before."),
                hint=N_("Read the log of the server."),
                code="engine_not_writing",
            )

    def _look(self) -> None:
        first = self._looked_at is None
        if not self._lock.acquire(blocking=first):
            return  # somebody looks at this moment: what was found before counts
        try:
            if self._looked_at is None or time.monotonic() - self._looked_at >= PROBE_EVERY_S:
                self._found = self._probe()
                self._looked_at = time.monotonic()
        finally:
            self._lock.release()

    def _probe(self) -> Unavailable | None:
        """Write to the database, and to the data directory, where the task log and the epoch lie."""
        try:
            with self._services.database.begin(wait_ms=_WAIT_MS) as session:
                session.execute(sa.update(Epoch).values(number=Epoch.number))
            _write_to(self._services.settings.data_dir)
        except Unavailable as found:
            found.__cause__ = found.__context__ = None  # it is kept, without what led to it
            return found
        return None


def _write_to(directory: Path) -> None:
    """Make a small file there and remove it. Raises Unavailable."""
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            os.posix_fallocate(file.fileno(), 0, _PROBE_BYTES)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise full() from None
        raise Unavailable(
            N_("The data directory cannot be written to."),
            why=N_("It is missing, read-only, or belongs to somebody else."),
            hint=N_(
                "Give Vigie's account the right to write there; look in the kernel's log for a failed disk."
            ),
            code="data_dir_unwritable",
        ) from None
