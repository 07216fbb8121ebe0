"""Each cause for which nothing can be written has a code of its own."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.core.errors import Unavailable
from app.db.models import Datacenter
from app.db.session import Database


def refused(database: Database) -> str:
    with pytest.raises(Unavailable) as reported, database.begin(wait_ms=10) as session:
        session.execute(sa.delete(Datacenter))
    assert reported.value.texts().why
    assert reported.value.texts().hint
    return reported.value.code


@pytest.fixture
def file(empty_sqlite: Path, tmp_path: Path) -> Path:
    path = tmp_path / "vigie.db"
    path.write_bytes(empty_sqlite.read_bytes())
    return path


def test_a_lock_that_another_program_holds(file: Path) -> None:
    database = Database(f"sqlite:///{file}")
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert refused(database) == "database_locked"
    database.close()


def test_a_file_that_is_no_database(file: Path) -> None:
    file.write_bytes(b"not a database, but long enough to look like one " * 200)
    database = Database(f"sqlite:///{file}")
    assert refused(database) == "database_damaged"
    database.close()


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_not_there_any_more_or_another_one(
    file: Path, empty_sqlite: Path, replaced: bool
) -> None:
    database = Database(f"sqlite:///{file}")
    with database.begin() as session:
        session.execute(sa.delete(Datacenter))
    file.rename(file.with_name("away"))
    if replaced:
        file.write_bytes(empty_sqlite.read_bytes())
    assert refused(database) == "database_missing"
    database.engine.dispose()  # the next use opens a file: not an empty new one
    with pytest.raises(Unavailable) as reported, database.read() as session:
        session.execute(sa.select(Datacenter.id))
    assert reported.value.code == "database_missing"
    assert file.exists() is replaced
    database.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_server_that_takes_no_changes_or_does_not_answer(database: Database) -> None:
    read_only = database.url.update_query_dict({"options": "-c default_transaction_read_only=on"})
    other = Database(read_only.render_as_string(hide_password=False))
    assert refused(other) == "database_read_only"
    other.close()
    gone = database.url.update_query_dict({"host": "/nowhere"})
    with pytest.raises(Unavailable) as reported, Database(gone.render_as_string()).read() as session:
        session.execute(sa.select(1))
    assert reported.value.code == "database_gone"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_two_changes_that_wait_for_each_other(database: Database) -> None:
    both_hold = threading.Barrier(2)

    def change(first: int, then: int) -> str:
        try:
            with database.begin() as session:
                session.execute(sa.select(sa.func.pg_advisory_xact_lock(first)))
                both_hold.wait(timeout=10)
                session.execute(sa.select(sa.func.pg_advisory_xact_lock(then)))
        except Unavailable as refused:
            return refused.code
        return "done"

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(change, (1, 2), (2, 1))) == ["database_locked", "done"]


def test_connections_that_many_needed_at_once_do_not_stay_open_with_their_caches(file: Path) -> None:
    database = Database(f"sqlite:///{file}")
    held = [database.engine.connect() for _ in range(30)]
    for item in held:
        item.close()
    pool = database.engine.pool
    assert isinstance(pool, sa.pool.QueuePool)
    assert pool.checkedin() <= 6
    used = set()
    for _ in range(12):  # one after the other: always the same one, so that the others keep small
        with database.engine.connect() as connection:
            used.add(id(connection.connection.dbapi_connection))
    assert len(used) == 1
    database.close()
