"""The disk of the data directory is full: pages go on, changes are refused with the reason, and it mends itself."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.access.context import Services
from app.access.vault import Vault
from app.config import Settings
from app.core.errors import Unavailable
from app.core.notices import Hub
from app.db import migrate
from app.db.models import Datacenter
from app.db.session import Database
from app.lab.process import run
from app.lab.registration import make_administrator
from app.lab.rest import Rest
from app.services.inventory.readiness import Readiness
from tests.commands import QuickServer
from tests.integration.site import eventually

pytestmark = pytest.mark.lab  # root, for a disk of its own


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory with 24 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=24m", "vigie-test", str(disk)])
    try:
        yield disk
    finally:
        run(["umount", str(disk)])


def fill(disk: Path) -> Path:
    """Use every byte that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                os.write(file.fileno(), b"x" * 4096)
        except OSError:
            return filler


def not_ready(rest: Rest) -> str | None:
    """The code with which Vigie says that it is not ready; None when it is."""
    answer = rest.ask("GET", "/readyz")
    return None if answer.status == 200 else str(answer.data["code"])


def test_a_full_data_directory_refuses_changes_and_serves_pages(small_disk: Path) -> None:
    server = QuickServer(small_disk / "server", settings={"log_level": "info"})
    server.prepare()
    token = make_administrator(server, "tester", "a long password")
    server.start()
    try:
        with closing(Rest(server.url, token)) as rest:
            rest.call("POST", "/datacenters", {"name": "before"})
            assert rest.ask("GET", "/readyz").status == 200
            filler = fill(small_disk)
            eventually(lambda: not_ready(rest) == "storage_full", 10, "it says that it is not ready")
            refused = [rest.ask("POST", "/api/v1/datacenters", {"name": f"full {n}"}) for n in range(3)]
            assert {(answer.status, answer.data["code"]) for answer in refused} == {(503, "storage_full")}
            assert "Free space" in refused[0].data["hint"]
            for path in ("/api/v1/datacenters", "/", "/vms", "/tasks"):
                assert rest.ask("GET", path).status == 200, path
            filler.unlink()
            eventually(lambda: not_ready(rest) is None, 10, "it is ready again")
            rest.call("POST", "/datacenters", {"name": "after"})
            names = {row["name"] for row in rest.call("GET", "/datacenters")["items"]}
            assert {"before", "after"} <= names
            assert not any(name.startswith("full") for name in names)
    finally:
        server.stop()


def test_a_database_file_that_was_moved_away_takes_no_changes_and_is_not_made_anew(tmp_path: Path) -> None:
    server = QuickServer(tmp_path / "server", settings={"log_level": "info"})
    server.prepare()
    token = make_administrator(server, "tester", "a long password")
    server.start()
    try:
        with closing(Rest(server.url, token)) as rest:
            rest.call("POST", "/datacenters", {"name": "before"})
            path = server.directory / "vigie.db"
            path.rename(tmp_path / "away.db")
            refused = rest.ask("POST", "/api/v1/datacenters", {"name": "lost"})
            assert (refused.status, refused.data["code"]) == (503, "database_missing")
            assert rest.ask("GET", "/vms").status == 200
            eventually(lambda: not_ready(rest) == "database_missing", 10, "it says that it is not ready")
            assert not path.exists()
            (tmp_path / "away.db").rename(path)
            eventually(lambda: not_ready(rest) is None, 10, "it is ready again")
            rest.call("POST", "/datacenters", {"name": "after"})
            assert "lost" not in {row["name"] for row in rest.call("GET", "/datacenters")["items"]}
    finally:
        server.stop()


@pytest.mark.parametrize("what", ["file system", "file"])
def test_a_read_only_place_has_its_own_reason(small_disk: Path, what: str) -> None:
    settings = Settings(data_dir=small_disk)
    services = Services(settings, Database(settings.database), Hub(), Vault(settings.key_path))
    migrate.upgrade(services.database)
    services.database.close()
    path = small_disk / "vigie.db"
    if what == "file":
        run(["mount", "--bind", str(path), str(path)])
    run(
        [
            "mount",
            "-o",
            "remount,ro,bind" if what == "file" else "remount,ro",
            str(path if what == "file" else small_disk),
        ]
    )
    database = Database(settings.database)
    try:
        with pytest.raises(Unavailable) as reported, database.begin() as session:
            session.execute(sa.delete(Datacenter))
        assert reported.value.code == "database_read_only"
        looking = Readiness(Services(settings, database, Hub(), services.vault), dict)
        with pytest.raises(Unavailable) as requested:
            looking.check()
        assert requested.value.code == "database_read_only"
    finally:
        database.close()
        if what == "file":
            run(["umount", str(path)])
