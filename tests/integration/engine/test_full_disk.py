"""The disk of the data directory is full: pages go on, changes are refused with the reason, and it mends itself."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.lab.process import run
from app.lab.registration import make_administrator
from app.lab.rest import Rest
from app.lab.server import Server

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


def test_a_full_data_directory_refuses_changes_and_serves_pages(small_disk: Path) -> None:
    server = Server(small_disk / "server", settings={"log_level": "info"})
    server.prepare()
    token = make_administrator(server, "tester", "a long password")
    server.start()
    try:
        with closing(Rest(server.url, token)) as rest:
            rest.call("POST", "/datacenters", {"name": "before"})
            filler = fill(small_disk)
            refused = [rest.ask("POST", "/api/v1/datacenters", {"name": f"full {n}"}) for n in range(3)]
            assert {(answer.status, answer.data["code"]) for answer in refused} == {(503, "storage_full")}
            assert "Free space" in refused[0].data["hint"]
            for path in ("/api/v1/datacenters", "/", "/vms", "/tasks"):
                assert rest.ask("GET", path).status == 200, path
            filler.unlink()
            rest.call("POST", "/datacenters", {"name": "after"})
            names = {row["name"] for row in rest.call("GET", "/datacenters")["items"]}
            assert {"before", "after"} <= names
            assert not any(name.startswith("full") for name in names)
    finally:
        server.stop()
