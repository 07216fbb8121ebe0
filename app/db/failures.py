"""What database errors mean to people, when they are no fault of the program: each cause has a code and a way out."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError

from app.core.errors import Unavailable
from app.core.messages import N_

# Of PostgreSQL: https://www.postgresql.org/docs/current/errcodes-appendix.html
_DISK_FULL, _READ_ONLY, _LOCK_NOT_AVAILABLE, _DEADLOCK = "53100", "25006", "55P03", "40P01"
_PRIMARY = 0xFF  # of SQLite's extended codes, which say more in the bits above


class DatabaseFile:
    """The file of a SQLite database. SQLite goes on writing to one that was deleted, and makes an empty new one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: tuple[int, int] | None = None

    def remember(self) -> None:
        """Take the file that is there now for the right one, unless one is known."""
        if self._known is None:
            self._known = self._now()

    def check(self) -> None:
        """Raise Unavailable (database_missing) when the file is not the one that was opened."""
        if self._known is not None and self._now() != self._known:
            raise _missing()

    def _now(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


@contextmanager
def as_unavailable(path: Path | None) -> Iterator[None]:
    """Raise Unavailable in place of database errors that are no fault of the program. `path`: the SQLite file."""
    try:
        yield
    except (DBAPIError, sa.exc.TimeoutError) as error:
        reported = _told(error, path)
        if reported is None:
            raise
        raise reported from error


def _told(error: DBAPIError | sa.exc.TimeoutError, path: Path | None) -> Unavailable | None:
    cause = getattr(error, "orig", None)
    if isinstance(cause, sqlite3.Error):
        return _of_sqlite(getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR), path)
    state = getattr(cause, "sqlstate", None)
    if state == _DISK_FULL:
        return full()
    if state == _READ_ONLY:
        return _read_only()
    if state == _LOCK_NOT_AVAILABLE:
        return _locked()
    if state == _DEADLOCK:
        return _crossed()
    lost = isinstance(error, OperationalError | sa.exc.TimeoutError)
    return _gone() if lost or getattr(error, "connection_invalidated", False) else None


def _of_sqlite(code: int, path: Path | None) -> Unavailable | None:
    simple: dict[int, Callable[[], Unavailable]] = {
        sqlite3.SQLITE_BUSY: _locked,
        sqlite3.SQLITE_LOCKED: _locked,
        sqlite3.SQLITE_FULL: full,
        sqlite3.SQLITE_READONLY: _read_only,
        sqlite3.SQLITE_CORRUPT: _damaged,
        sqlite3.SQLITE_NOTADB: _damaged,
    }
    if code == sqlite3.SQLITE_READONLY_DBMOVED:
        return _missing()
    if code & _PRIMARY in simple:
        return simple[code & _PRIMARY]()
    if code & _PRIMARY in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
        return _of_place(path)
    return None


def _of_place(path: Path | None) -> Unavailable:
    """SQLite could not open, read or write a file and does not say why: look at where it lies."""
    if path is None:
        return _failing()
    try:
        path.stat()
        place = os.statvfs(path.parent)
    except FileNotFoundError:
        return _missing()
    except OSError:
        return _failing()
    if place.f_flag & os.ST_RDONLY or not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        return _read_only()
    return full() if place.f_bavail == 0 or (place.f_files and place.f_favail == 0) else _failing()


def full() -> Unavailable:
    """There is no space for a change."""
    return Unavailable(
        N_("The disk of the database is full."),
        why=N_("The last write did not fit."),
        hint=N_("Free space in the data directory, or on the server of PostgreSQL; nothing was changed."),
        code="storage_full",
    )


def _locked() -> Unavailable:
    return Unavailable(
        N_("The database is busy."),
        why=N_("Another program holds its lock."),
        hint=N_("Try again in a moment; if it stays, look for a backup or a shell that holds the file open."),
        code="database_locked",
    )


def _crossed() -> Unavailable:
    """PostgreSQL undid one of two transactions that waited for each other."""
    return Unavailable(
        N_("The database is busy."),
        why=N_("Two changes waited for each other; this one was undone."),
        hint=N_("Try again in a moment."),
        code="database_locked",
    )


def _read_only() -> Unavailable:
    return Unavailable(
        N_("The database cannot be written to."),
        why=N_("Its file, its file system or its server is read-only."),
        hint=N_(
            "Look in the kernel's log whether the disk failed, give Vigie's account the right to write to the "
            "data directory, or point to the primary server of PostgreSQL; nothing was changed."
        ),
        code="database_read_only",
    )


def _missing() -> Unavailable:
    return Unavailable(
        N_("The file of the database is missing."),
        why=N_("It was deleted, moved or replaced while Vigie ran; what would be written now would be lost."),
        hint=N_("Stop Vigie, put the file back, from a backup if there is no other way, and start again."),
        code="database_missing",
    )


def _damaged() -> Unavailable:
    return Unavailable(
        N_("The file of the database is damaged."),
        why=N_("SQLite finds its content inconsistent."),
        hint=N_("Stop Vigie and keep the files; check the disk, then restore a backup."),
        code="database_damaged",
    )


def _failing() -> Unavailable:
    return Unavailable(
        N_("The disk of the database fails."),
        why=N_("Its file could not be read or written, and there is space left."),
        hint=N_("Look in the kernel's log; move the data directory to another disk if this one is broken."),
        code="disk_failing",
    )


def _gone() -> Unavailable:
    return Unavailable(
        N_("The database cannot be reached."),
        hint=N_("Check that it runs and that VIGIE_DATABASE_URL is right."),
        code="database_gone",
    )
