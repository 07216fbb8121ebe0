"""A console over real hosts, with people of every role who try what they should not be able to do."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from app.access.context import Services
from app.access.vault import Vault
from app.config import Settings
from app.core.access.privileges import Role
from app.core.notices import Hub
from app.db.models import Task
from app.db.session import Database
from app.engine import Engine
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.lab.paths import POOLS
from app.web import create_web
from tests.integration.api.conftest import HEALTH, Console, make_users
from tests.integration.site import Site, eventually

SECRET = "root-only-content-of-the-host"
SECRET_FILE = "/var/lib/secret-of-root"
Json = dict[str, Any]


@dataclass
class Attack:
    """One person of a role, by API or as a browser, and an administrator who looks."""

    role: Role
    by_page: bool
    client: TestClient
    admin: TestClient
    host: LabHost
    other: LabHost
    site: Site

    def id_of(self, path: str, name: str, **filters: str) -> str:
        """The id of the object of this name, once it is seen."""

        def found() -> list[str]:
            rows = self.admin.get(f"/api/v1{path}", params={**filters, "limit": "500"}).json()["items"]
            return [row["id"] for row in rows if row["name"] == name]

        eventually(found, 30, f"{name} in {path}")
        return found()[0]

    def pool(self, name: str = "local", host: LabHost | None = None) -> str:
        """The id of a pool."""
        return self.id_of("/pools", name, host=self.site.host_ids[(host or self.host).name])

    def post(self, api_path: str, body: Json, page: str | None = None, form: Json | None = None) -> int:
        """Ask for something by the person's door; what has no page of its own is asked of the API by the browser."""
        if self.by_page and page is not None:
            status = self.client.post(page, data=form or {}).status_code
        else:
            status = self.client.post(f"/api/v1{api_path}", json=body).status_code
        self.wait()
        return status

    def wait(self) -> None:
        """Wait until every task has ended."""

        def idle() -> bool:
            active = self.admin.get(
                "/api/v1/tasks", params={"state": ["queued", "running", "cancelling"]}
            ).json()
            return all(task["kind"] == "volume.upload" for task in active["items"])

        eventually(idle, 60, "all tasks end")

    def leaks(self, name: str) -> list[str]:
        """Files of this name in the pools of the host, or of one made from it, that hold the secret."""
        found = self.host.exec("grep", "-rlaF", SECRET, *POOLS.values(), check=False)
        return [path for path in found.stdout.split() if name in path]


def has_tasks(site: Site) -> bool:
    """Whether tasks wait or run."""
    with site.services.database.read() as session:
        return session.scalar(sa.select(Task.id).where(Task.finished_at.is_(None)).limit(1)) is not None


@pytest.fixture(scope="module")
def target(
    lab: Lab, empty_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, Console]]:
    """An engine over two hosts of the lab, and the console over it."""
    folder = tmp_path_factory.mktemp("attacks")
    shutil.copy(empty_sqlite, folder / "vigie.db")
    settings = Settings(data_dir=folder, lab=True)
    services = Services(settings, Database(settings.database), Hub(), Vault(settings.key_path))
    engine = Engine(services)
    engine.start()
    site = Site(services, engine)
    for host in lab.hosts[:2]:
        host.exec("sh", "-c", f"printf {SECRET} > {SECRET_FILE}; chmod 600 {SECRET_FILE}")
        site.add(host)
    # Pools of hosts that were just added are proven to be shared, by tasks that make files in them.
    eventually(lambda: not has_tasks(site), 60, "all tasks end")
    console = Console(create_web(services, lambda: HEALTH), services, make_users(services))
    yield site, console
    for client in console.clients:
        client.close()
    engine.stop()
    services.database.close()
    for host in lab.hosts[:2]:
        host.exec("rm", "-f", SECRET_FILE)


@pytest.fixture(
    params=list(itertools.product(Role, ("api", "page"))), ids=lambda item: f"{item[0]}-{item[1]}"
)
def attack(request: pytest.FixtureRequest, fresh_lab: Lab, target: tuple[Site, Console]) -> Attack:
    """An attack on the lab's first host by a person of each role, by the API or as a browser."""
    role, door = request.param
    site, console = target
    client = console.browser(role) if door == "page" else console.client(role)
    host, other = fresh_lab.hosts[:2]
    return Attack(role, door == "page", client, console.client(Role.ADMINISTRATOR), host, other, site)
