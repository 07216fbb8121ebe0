"""Databases for tests: an empty, migrated one for each test, on SQLite and on PostgreSQL.

The PostgreSQL cluster is made once per session in a temporary folder and listens on a unix socket only. Each
test's database is a copy: of a file, or of a template database.
"""

import glob
import itertools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
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


class Cluster:
    """A throwaway PostgreSQL server. `url(name)` is the SQLAlchemy URL of one of its databases."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self._programs = programs
        self._run(
            "initdb",
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
        self._run(
            "pg_ctl",
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

    def url(self, name: str) -> str:
        """The SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def execute(self, statement: str) -> None:
        """Run a statement as the administrator of the cluster."""
        with self._admin.connect() as connection:
            connection.exec_driver_sql(statement)

    def stop(self) -> None:
        """End the server and remove its folder."""
        self._admin.dispose()
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "-s", "stop")
        shutil.rmtree(self.folder)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command]
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, timeout=60)


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
    folder = Path(tempfile.mkdtemp(prefix="vigie-pg-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    made = Cluster(folder, programs)
    yield made
    made.stop()


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
    name = f"test_{next(_numbers)}"
    cluster.execute(f"CREATE DATABASE {name} TEMPLATE empty STRATEGY FILE_COPY")
    yield cluster.url(name)
    cluster.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty, migrated database, once on SQLite and once on PostgreSQL."""
    made = Database(database_url)
    yield made
    made.close()


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
    made = Contexts(services, actor)
    yield made
    made.roll_back()
