"""Tells a database that is an older copy of itself from the one that this server worked on last.

A number in the database grows with every step of a task: it begins, notes something, ends. After the commit the
same number is written to a file beside the database. A number in the file that is ahead of the database's means
that the database was restored from an older copy. So does a file that is missing, or that was itself copied: it
holds the time of its own making by the clock of its file system (ctime), which no copy can keep.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from app.db.models import Epoch

log = structlog.get_logger(__name__)

_ROW = 1
_SLACK_NS = 1_000_000_000
_TRIES = 5
_GROWS = "epoch_grows"


@dataclass(frozen=True, slots=True)
class Mark:
    """Which database, and how far it was."""

    database: str
    number: int


def note_step(session: Session) -> None:
    """Have the number grow with this transaction."""
    session.info[_GROWS] = True


def grow(session: Session) -> Mark | None:
    """Let the number grow if that was noted; called last before the commit, since it locks one row for all tasks."""
    if not session.info.pop(_GROWS, False):
        return None
    query = sa.update(Epoch).where(Epoch.id == _ROW).values(number=Epoch.number + 1)
    row = session.execute(query.returning(Epoch.database, Epoch.number)).one_or_none()
    return None if row is None else Mark(*row)


class EpochFile:
    """The file beside the database. Failing to write it is logged: it then says less than it could, never wrong."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def read(self) -> Mark | None:
        """What it says; None when it is missing, unreadable or a copy."""
        try:
            text, changed_ns = self._path.read_text(), self._path.stat().st_ctime_ns
            found = json.loads(text)
            mark = Mark(str(found["database"]), int(found["number"]))
            made_ns = int(found["made_ns"])
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return mark if abs(changed_ns - made_ns) <= _SLACK_NS else None

    def follow(self, mark: Mark) -> None:
        """Write the number of a commit unless a later one is there. A file that was taken away stays away."""
        with self._lock:
            known = self.read()
            if self.exists and (
                known is None or known.database != mark.database or known.number < mark.number
            ):
                self._write(mark)

    def make(self, mark: Mark) -> None:
        """Write it, whatever was there."""
        with self._lock:
            self._write(mark)

    def remove(self) -> None:
        """Take it away: the next start takes the database for a restored copy."""
        self._path.unlink(missing_ok=True)

    @property
    def exists(self) -> bool:
        """Whether there is a file, whatever it says."""
        return self._path.exists()

    def _write(self, mark: Mark) -> None:
        new = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            for _ in range(_TRIES):  # again when the machine stood still in between
                with new.open("w") as file:
                    made_ns = os.fstat(file.fileno()).st_ctime_ns
                    json.dump(asdict(mark) | {"made_ns": made_ns}, file)
                new.replace(self._path)
                if self._path.stat().st_ctime_ns - made_ns < _SLACK_NS // 2:
                    return
        except OSError as error:
            log.warning("epoch_not_written", error=error.strerror)
            with suppress(OSError):
                new.unlink()


def is_restored(session: Session, file: EpochFile) -> bool:
    """Whether the database is an older copy, or nobody can tell; False for one that no server has worked on yet."""
    row, mark = session.get(Epoch, _ROW), file.read()
    if row is None:
        return file.exists
    return mark is None or mark.database != row.database or mark.number > row.number


def settle(session: Session, file: EpochFile) -> Mark:
    """Have the database ahead of every copy of it, and return what the file must say once that is committed."""
    row, mark = session.get(Epoch, _ROW), file.read()
    if row is None:
        row = Epoch(id=_ROW, database=secrets.token_hex(8), number=0)
        session.add(row)
    row.number = max(row.number, mark.number if mark else 0) + 1
    session.flush()
    return Mark(row.database, row.number)
