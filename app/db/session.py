"""Connections and transactions. The only commit of the program is in `Database.begin`.

SQLite runs in WAL mode: readers never wait. Its writers take the lock at once (BEGIN IMMEDIATE), so that a
read-then-write cannot fail half-way; a lock that stays taken becomes `Unavailable`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from app.core.casefold import fold
from app.db import epoch
from app.db.failures import DatabaseFile, as_unavailable

BUSY_TIMEOUT_MS = 5000
# Each connection of SQLite keeps up to 16 MiB of pages and 128 prepared statements: few stay open, the ones used last
# are used first, and those beyond are closed when nobody needs them.
SQLITE_CONNECTIONS = 6
MAX_CONNECTIONS = 40


class Database:
    """One database: SQLite file or PostgreSQL. `epoch_file` follows the steps of its tasks (see db.epoch)."""

    def __init__(
        self,
        url: str,
        *,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
        epoch_file: Path | None = None,
    ) -> None:
        self.epoch = epoch.EpochFile(epoch_file) if epoch_file else None
        self.url = sa.make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._path = Path(self.url.database) if self.is_sqlite and self.url.database else None
        self._file = DatabaseFile(self._path) if self._path else None
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        stay = SQLITE_CONNECTIONS if self.is_sqlite else MAX_CONNECTIONS // 2
        options: dict[str, Any] = {
            "pool_size": stay,
            "max_overflow": MAX_CONNECTIONS - stay,
            "pool_timeout": 5,
        }
        options["pool_use_lifo"] = True
        options["hide_parameters"] = True  # errors are logged; parameters may be hashes and sealed secrets
        if not self.is_sqlite:
            options |= {"pool_pre_ping": True, "connect_args": {"connect_timeout": 5}}
        self.engine = sa.create_engine(self.url, **options)
        if self.is_sqlite:
            _set_up_sqlite(self.engine, busy_timeout_ms, self._file)
        else:
            _hide_rows(self.engine)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False, autoflush=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that is rolled back at the end. Raises Unavailable when the database cannot be reached."""
        with as_unavailable(self._path), self._sessions() as session:
            yield session
            session.rollback()

    @contextmanager
    def begin(self, *, wait_ms: int | None = None) -> Iterator[Session]:
        """A session that is committed at the end, or rolled back on any error.

        The transaction begins, and SQLite's lock is taken, with the first use of the session.
        `wait_ms`: how long SQLite waits for its lock, when that is less than usual.

        Functions put with `after_commit` run once the commit is done, in order. Raises Unavailable when the
        database is locked, full, read-only or gone.
        """
        if self._file is not None:
            self._file.check()
        writing = self.engine.execution_options(vigie_write=True, vigie_wait_ms=wait_ms)
        with as_unavailable(self._path), self._sessions(bind=writing) as session:
            try:
                yield session
                mark = epoch.grow(session)
                session.commit()
            except BaseException:
                session.rollback()
                raise
            todo: list[Callable[[], None]] = session.info.pop("after_commit", [])
        if mark is not None and self.epoch is not None:
            self.epoch.follow(mark)
        for item in todo:
            item()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


class folded(FunctionElement[str]):
    """A text column without regard to case, to be compared with what core.casefold made of the searched text.

    SQLite's connections have core.casefold.fold itself; PostgreSQL a function that was made from the same tables of
    Python (migration 0007). What is ASCII needs neither. So both databases find the same.
    """

    type = sa.String()
    inherit_cache = True


@compiles(folded)
def _lower(element: folded, compiler: SQLCompiler, **options: object) -> str:
    text = compiler.process(element.clauses, **options)
    plain = f"octet_length({text}) = char_length({text})"
    return f'CASE WHEN {plain} THEN lower({text} COLLATE "C") ELSE vigie_fold({text}) END'


@compiles(folded, "sqlite")
def _fold(element: folded, compiler: SQLCompiler, **options: object) -> str:
    text = compiler.process(element.clauses, **options)
    plain = f"length({text}) = length(CAST({text} AS BLOB))"
    return f"CASE WHEN {plain} THEN lower({text}) ELSE vigie_fold({text}) END"


class unindexed(FunctionElement[str]):
    """A text column as it is, which SQLite then does not look up in an index."""

    type = sa.String()
    inherit_cache = True


@compiles(unindexed)
def _plain(element: unindexed, compiler: SQLCompiler, **options: object) -> str:
    return compiler.process(element.clauses, **options)


@compiles(unindexed, "sqlite")
def _plus(element: unindexed, compiler: SQLCompiler, **options: object) -> str:
    # A unary plus does nothing else: https://www.sqlite.org/optoverview.html#disqualifying_where_clause_terms
    return f"+{compiler.process(element.clauses, **options)}"


def _folded_value(value: str | None) -> str | None:
    return None if value is None else fold(value)


def after_commit(session: Session, effect: Callable[[], None]) -> None:
    """Run `effect` once the transaction of `session` is committed; never when it is rolled back."""
    session.info.setdefault("after_commit", []).append(effect)


def _set_up_sqlite(engine: sa.Engine, busy_timeout_ms: int, file: DatabaseFile | None) -> None:
    if file is not None:
        _guard(engine, file)

    @sa.event.listens_for(engine, "connect")
    def connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # transactions are begun below, by name
        connection.create_function("vigie_fold", 1, _folded_value, deterministic=True)
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            f"busy_timeout={busy_timeout_ms}",
            "foreign_keys=ON",
            "cache_size=-16384",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        if not options.get("vigie_write"):
            connection.exec_driver_sql("BEGIN")
            return
        wait_ms = options.get("vigie_wait_ms")
        connection.exec_driver_sql(
            f"PRAGMA busy_timeout={busy_timeout_ms if wait_ms is None else int(wait_ms)}"
        )
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _guard(engine: sa.Engine, file: DatabaseFile) -> None:
    """Open nothing but the file that was opened first: SQLite would make an empty one in place of a missing one."""

    @sa.event.listens_for(engine, "do_connect")
    def before(*_: object) -> None:
        file.check()

    @sa.event.listens_for(engine, "connect")
    def after(*_: object) -> None:
        file.remember()


def _hide_rows(engine: sa.Engine) -> None:
    """Cut off the part of PostgreSQL's errors that shows the row, for the reason that parameters are hidden."""

    @sa.event.listens_for(engine, "handle_error")
    def cut(context: sa.engine.ExceptionContext) -> None:
        for error in (context.original_exception, context.sqlalchemy_exception):
            if error is not None and error.args:
                error.args = (str(error.args[0]).partition("\nDETAIL:")[0], *error.args[1:])
