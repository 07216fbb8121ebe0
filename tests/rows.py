"""Whether tests that only look left the rows of a database that serves several of them as they found them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from app.db.models import Base
from app.db.session import Database

# Whoever asks leaves a trace in these: logins, what was tried, and answers to requests that may be repeated.
OF_ASKING = {"audit", "console_ticket", "idempotency_key", "login", "token", "user_account"}
Rows = dict[str, list[tuple[object, ...]]]


def read_rows(database: Database) -> Rows:
    """The rows of every table that looking does not change."""
    with database.engine.connect() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)
            for table in _tables()
        }


def put_rows_back(database: Database, before: Rows) -> list[str]:
    """Make the rows what they were; return the names of tables where they were not."""
    now = read_rows(database)
    changed = [name for name, rows in before.items() if rows != now[name]]
    if changed:
        with database.begin() as session:
            for table in reversed(_tables()):
                session.execute(sa.delete(table))
            for table in _tables():
                columns = table.columns.keys()
                rows = [dict(zip(columns, row, strict=True)) for row in before[table.name]]
                if rows:
                    session.execute(sa.insert(table), rows)
    return changed


def _tables() -> Sequence[sa.Table]:
    return [table for table in Base.metadata.sorted_tables if table.name not in OF_ASKING]
