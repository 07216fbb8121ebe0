"""Server time of the API at 2,500 hosts and 45,000 VMs: from the request's arrival to the start of its answer.

Run: python -m tests.bench.api [hosts]. Prints figures and asserts nothing; SQLite in a temporary directory.
"""

from __future__ import annotations

import re
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from starlette.testclient import TestClient

from app.access import accounts, tokens
from app.access.context import Actor, Ctx, Services
from app.access.vault import Vault
from app.config import Settings
from app.core.access.privileges import Role
from app.core.access.specs import TokenSpec
from app.core.hosts.states import HostConnection
from app.core.inventory.reports import HostReport
from app.core.notices import Hub
from app.db import migrate, models
from app.db.session import Database
from app.logs import set_up_logs
from app.web import create_web
from tests.bench.inventory import VMS, add_hosts, listing, run, vm

ROUNDS = 60


def fill(services: Services, count: int) -> list[str]:
    """Hosts with VMs as after their first reading; returns the ids of the hosts."""
    ids = add_hosts(services, count)

    def first(number: int) -> HostReport:
        seen = tuple(vm(number, item, definition=True) for item in range(VMS))
        return HostReport(ids[number], datetime.now(UTC), HostConnection.CONNECTED, parts=listing(seen))

    run(services, ids, first)
    return ids


def token(services: Services) -> str:
    """A token of an administrator."""
    user = accounts.first_user(services, "bench", "a password of the bench")
    with services.database.begin() as session:
        ctx = Ctx(services, session, Actor(user.id, user.name, Role.ADMINISTRATOR, "cli"))
        return tokens.create_token(ctx, TokenSpec(name="bench")).token


def measure(client: TestClient, url: str) -> None:
    """Print the times of one address."""
    times = []
    for _ in range(ROUNDS):
        answer = client.get(url)
        assert answer.status_code == 200, answer.text
        times.append(float(re.findall(r"app;dur=([\d.]+)", answer.headers["server-timing"])[0]))
    times.sort()
    shown = f"median {times[len(times) // 2]:6.1f} ms   p95 {times[int(len(times) * 0.95)]:6.1f} ms"
    print(f"{url:64} {shown}   {len(answer.content) / 1024:6.0f} KiB")  # noqa: T201


def main() -> None:
    """Fill a database and measure."""
    set_up_logs("error", "text")
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        services = Services(settings, Database(settings.database), Hub(), Vault(settings.key_path))
        migrate.upgrade(services.database)
        ids = fill(services, int(sys.argv[1]) if len(sys.argv) > 1 else 2500)
        with services.database.read() as session:
            one = session.scalars(sa.select(models.Vm.id).offset(len(ids) * 9).limit(1)).one()
        headers = {"Authorization": f"Bearer {token(services)}"}
        with TestClient(create_web(services, dict), "http://localhost", headers=headers) as client:
            for url in (
                "/api/v1/session",
                "/api/v1/vms?limit=100",
                "/api/v1/vms?limit=100&state=running&sort=-cpu",
                "/api/v1/vms?limit=100&q=web-1",
                "/api/v1/vms?limit=500",
                f"/api/v1/vms?limit=100&host={ids[7]}",
                f"/api/v1/vms/{one}",
                "/api/v1/hosts?limit=100&sort=-vm_count",
                f"/api/v1/hosts/{ids[7]}",
                "/api/v1/search?q=web-1000",
                f"/api/v1/tree?parent={ids[7]}",
                "/api/v1/capacity",
                "/api/v1/tasks?limit=100",
            ):
                measure(client, url)
        services.database.close()


if __name__ == "__main__":
    main()
