"""Databases for tests: an empty, migrated one for each test, on SQLite and on PostgreSQL.

The PostgreSQL cluster is made once per session in a temporary directory and listens on a unix socket only. Each
test's database is a copy: of a file, or of a template database. A copy of the latter costs 100 ms, so it is emptied
and used again.
"""

from __future__ import annotations

import glob
import itertools
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.access.context import Actor, Ctx, Services, Via
from app.access.vault import Vault
from app.config import Settings
from app.core.access.privileges import Role
from app.core.notices import Hub
from app.db import migrate
from app.db.session import Database

_numbers = itertools.count(1)
FOLDERS = "/tmp/vigie-pg-"
USES = 50  # of one database, before what deleted rows leave behind slows it down
# What a test may have changed beside rows.
SCHEMA = """
SELECT (SELECT string_agg(version_num, ',') FROM alembic_version),
       (SELECT md5(string_agg(c.relname || a.attname || a.atttypid, ',' ORDER BY c.relname, a.attnum))
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'public'::regnamespace AND NOT a.attisdropped)
"""


class Cluster:
    """A throwaway PostgreSQL server. `url(name)` is the SQLAlchemy URL of one of its databases."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self._programs = programs
        self._free: list[Copy] = []
        _run(
            programs / "initdb",
            "-D",
            str(folder / "data"),
            "-U",
            "postgres",
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        )
        options = f"-c listen_addresses='' -k {folder} -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200"
        _run(
            programs / "pg_ctl",
            "-D",
            str(folder / "data"),
            "-w",
            "-s",
            "-l",
            str(folder / "log"),
            "-o",
            options,
            "start",
        )
        self._admin = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        self.execute("CREATE DATABASE empty")
        template = Database(self.url("empty"))
        migrate.upgrade(template)
        template.close()

    @contextmanager
    def copy(self) -> Iterator[str]:
        """The URL of an empty, migrated database that nobody else has."""
        copy = self._free.pop() if self._free else Copy(self, f"test_{next(_numbers)}")
        yield self.url(copy.name)
        if copy.can_be_emptied():
            self._free.append(copy)
        else:
            copy.drop()

    def template_copy(self) -> str:
        """The URL of an empty, migrated database that is not used again: for what outlives the test's own fixtures."""
        name = f"test_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE empty STRATEGY FILE_COPY")
        return self.url(name)

    def url(self, name: str) -> str:
        """The SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def execute(self, statement: str) -> None:
        """Run a statement as the administrator of the cluster."""
        with self._admin.connect() as connection:
            connection.exec_driver_sql(statement)

    def disconnect(self) -> None:
        """End this process's connections."""
        for copy in self._free:
            copy.disconnect()
        self._admin.dispose()


class Copy:
    """A copy of the template database, with a connection of its own to look after it."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.name = name
        self._cluster = cluster
        self._uses = 0
        cluster.execute(f"CREATE DATABASE {name} TEMPLATE empty STRATEGY FILE_COPY")
        self._engine = sa.create_engine(cluster.url(name), isolation_level="AUTOCOMMIT")
        with self._engine.connect() as connection:
            self._schema = connection.exec_driver_sql(SCHEMA).one()
            tables = [name for name in sa.inspect(connection).get_table_names() if name != "alembic_version"]
        deletes = "".join(f'DELETE FROM "{table}";' for table in tables)
        self._empty = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid();"
            # Foreign keys are not looked at meanwhile: every row goes.
            f"SET session_replication_role = replica; {deletes} RESET session_replication_role;"
            "SELECT setval(format('%I', sequencename)::regclass, 1, false) FROM pg_sequences;"
        )

    def can_be_emptied(self) -> bool:
        """Empty it; False when a test changed more than rows, or when it was used often enough."""
        self._uses += 1
        with self._engine.connect() as connection:
            if self._uses >= USES or connection.exec_driver_sql(SCHEMA).one() != self._schema:
                return False
            connection.exec_driver_sql(self._empty.replace("%", "%%"))
        return True

    def drop(self) -> None:
        """Remove it, whoever is connected."""
        self.disconnect()
        self._cluster.execute(f"DROP DATABASE {self.name} WITH (FORCE)")

    def disconnect(self) -> None:
        """End its connection."""
        self._engine.dispose()


def _run(program: Path, *arguments: str, check: bool = True) -> None:
    command = [str(program), *arguments]
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command]
    subprocess.run(command, check=check, cwd="/", stdout=subprocess.DEVNULL, timeout=60)


def _end(folder: Path, programs: Path) -> None:
    """End the server of a directory, if it runs, and remove the directory."""
    if (folder / "data/postmaster.pid").exists():
        _run(
            programs / "pg_ctl",
            "-D",
            str(folder / "data"),
            "-m",
            "immediate",
            "-w",
            "-s",
            "stop",
            check=False,
        )
    shutil.rmtree(folder)


def remove_orphans(programs: Path, own: Path, folders: str = FOLDERS) -> None:
    """Remove the servers of test sessions that were killed: their directories say which process made them.

    Workers find the same orphan at once. Whoever renames it first, to the directory of its `own`, removes it, or leaves
    it as an orphan of its own.
    """
    for path in map(Path, glob.glob(f"{folders}*")):
        maker = str(path).removeprefix(folders)
        if path != own and (not maker.isdecimal() or os.path.exists(f"/proc/{maker}")):
            continue
        try:
            path.rename(own)
        except FileNotFoundError:
            continue
        _end(own, programs)


def _programs() -> Path | None:
    """The newest installed PostgreSQL; by full path, since another pg_ctl may come first in PATH."""
    found = glob.glob("/usr/lib/postgresql/*/bin/initdb")
    newest = max(found, key=lambda path: int(re.findall(r"/(\d+)/bin", path)[0]), default=None)
    return Path(newest).parent if newest else None


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The session's PostgreSQL."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt install postgresql")
    folder = Path(f"{FOLDERS}{os.getpid()}")
    remove_orphans(programs, folder)
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    try:
        created = Cluster(folder, programs)
        yield created
        created.disconnect()
    finally:
        _end(folder, programs)


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    path = tmp_path_factory.mktemp("template") / "empty.db"
    database = Database(f"sqlite:///{path}")
    migrate.upgrade(database)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty, migrated database of the test's own, once on each kind."""
    if request.param == "sqlite":
        path = tmp_path / "vigie.db"
        shutil.copy(request.getfixturevalue("empty_sqlite"), path)
        yield f"sqlite:///{path}"
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    with cluster.copy() as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty, migrated database, once on SQLite and once on PostgreSQL."""
    created = Database(database_url)
    yield created
    created.close()


@pytest.fixture
def services(database: Database, tmp_path: Path) -> Services:
    """The program around service functions, on the test's database and with a key of its own."""
    settings = Settings(
        data_dir=tmp_path, database_url=database.url.render_as_string(hide_password=False), lab=True
    )  # type: ignore[arg-type]
    return Services(settings, database, Hub(), Vault(settings.key_path))


@pytest.fixture
def actor() -> Callable[..., Actor]:
    """Makes actors: `actor("viewer")`, `actor(user_id=…)`."""

    def make(
        role: str = "administrator", user_id: str | None = None, name: str = "tester", via: Via = "api"
    ) -> Actor:
        return Actor(user_id, name, Role(role), via, "192.0.2.1")

    return make


class Contexts:
    """Makes contexts by role: `ctx("viewer")`. Each opens a transaction, and commits the one before it."""

    def __init__(self, services: Services, actor: Callable[..., Actor]) -> None:
        self._services = services
        self._actor = actor
        self._open = ExitStack()

    def __call__(self, role: str = "administrator", **fields: object) -> Ctx:
        self.commit()
        session = self._open.enter_context(self._services.database.begin())
        return Ctx(self._services, session, self._actor(role, **fields))

    def commit(self) -> None:
        """End the open transaction, before something else wants to write."""
        self._open.close()

    def roll_back(self) -> None:
        """End the open transaction as an error would."""
        with suppress(_RolledBack), self._open:
            raise _RolledBack


class _RolledBack(Exception):
    pass


@pytest.fixture
def ctx(services: Services, actor: Callable[..., Actor]) -> Iterator[Contexts]:
    """A maker of contexts; what is open at the end of the test is rolled back."""
    contexts = Contexts(services, actor)
    yield contexts
    contexts.roll_back()
