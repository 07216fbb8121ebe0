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
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from app.core.errors import Unavailable
from app.core.folding import fold
from app.core.messages import N_
from app.db import epoch

BUSY_TIMEOUT_MS = 5000


class Database:
    """One database: SQLite file or PostgreSQL. `epoch_file` follows the steps of its tasks (see db.epoch)."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 20,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
        epoch_file: Path | None = None,
    ) -> None:
        self.epoch = epoch.EpochFile(epoch_file) if epoch_file else None
        self.url = sa.make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 20, "pool_timeout": 5}
        options["hide_parameters"] = True  # errors are logged; parameters may be hashes and sealed secrets
        if not self.is_sqlite:
            options |= {"pool_pre_ping": True, "connect_args": {"connect_timeout": 5}}
        self.engine = sa.create_engine(self.url, **options)
        if self.is_sqlite:
            _set_up_sqlite(self.engine, busy_timeout_ms)
        else:
            _hide_rows(self.engine)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False, autoflush=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that is rolled back at the end. Raises Unavailable when the database cannot be reached."""
        with _as_unavailable(), self._sessions() as session:
            yield session
            session.rollback()

    @contextmanager
    def begin(self, *, wait_ms: int | None = None) -> Iterator[Session]:
        """A session that is committed at the end, or rolled back on any error.

        The transaction begins, and SQLite's lock is taken, with the first use of the session.
        `wait_ms`: how long SQLite waits for its lock, when that is less than usual.

        Functions put with `after_commit` run once the commit is done, in order. Raises Unavailable when the
        database is locked, full or gone.
        """
        writing = self.engine.execution_options(vigie_write=True, vigie_wait_ms=wait_ms)
        with _as_unavailable(), self._sessions(bind=writing) as session:
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
        for each in todo:
            each()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


class folded(FunctionElement[str]):
    """A text column without regard to case, to be compared with what core.folding made of the searched text.

    SQLite's own lower() knows ASCII only, so its connections have our `fold`; PostgreSQL's knows every letter.
    """

    type = sa.String()
    inherit_cache = True


@compiles(folded)
def _lower(element: folded, compiler: SQLCompiler, **options: Any) -> str:
    return f"lower({compiler.process(element.clauses, **options)})"


@compiles(folded, "sqlite")
def _fold(element: folded, compiler: SQLCompiler, **options: Any) -> str:
    return f"vigie_fold({compiler.process(element.clauses, **options)})"


class unindexed(FunctionElement[str]):
    """A text column as it is, which SQLite then does not look up in an index."""

    type = sa.String()
    inherit_cache = True


@compiles(unindexed)
def _plain(element: unindexed, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(unindexed, "sqlite")
def _plus(element: unindexed, compiler: SQLCompiler, **options: Any) -> str:
    # A unary plus does nothing else: https://www.sqlite.org/optoverview.html#disqualifying_where_clause_terms
    return f"+{compiler.process(element.clauses, **options)}"


def _folded_value(value: str | None) -> str | None:
    if value is None:
        return None
    return value.lower() if value.isascii() else fold(value)


def after_commit(session: Session, effect: Callable[[], None]) -> None:
    """Run `effect` once the transaction of `session` is committed; never when it is rolled back."""
    session.info.setdefault("after_commit", []).append(effect)


def _set_up_sqlite(engine: sa.Engine, busy_timeout_ms: int) -> None:
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


def _hide_rows(engine: sa.Engine) -> None:
    """Cut off the part of PostgreSQL's errors that shows the row, for the reason that parameters are hidden."""

    @sa.event.listens_for(engine, "handle_error")
    def cut(context: sa.engine.ExceptionContext) -> None:
        for error in (context.original_exception, context.sqlalchemy_exception):
            if error is not None and error.args:
                error.args = (str(error.args[0]).partition("\nDETAIL:")[0], *error.args[1:])


@contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, sa.exc.TimeoutError) as error:
        told = _unavailable(error)
        if told is None:
            raise
        raise told from error


def _unavailable(error: Exception) -> Unavailable | None:
    """What to tell people about a database error that is not a fault of the program; None when it is one."""
    said = str(getattr(error, "orig", error)).lower()
    if "locked" in said or "busy" in said:
        return Unavailable(
            N_("The database is busy."),
            why=N_("Another program holds its lock."),
            hint=N_(
                "Try again in a moment; if it stays, look for a backup or a shell that holds the file open."
            ),
            code="database_locked",
        )
    if "full" in said or "no space" in said or "disk i/o" in said:
        return Unavailable(
            N_("The disk of the database is full."),
            why=N_("The last write did not fit."),
            hint=N_("Free space in the data directory; nothing was changed."),
            code="storage_full",
        )
    if isinstance(error, (OperationalError, sa.exc.TimeoutError)) or getattr(
        error, "connection_invalidated", False
    ):
        return Unavailable(
            N_("The database cannot be reached."),
            hint=N_("Check that it runs and that VIGIE_DATABASE_URL is right."),
            code="database_gone",
        )
    return None
