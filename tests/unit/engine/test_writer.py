"""The writer on a real database that is locked, breaks and comes back."""

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.access.context import Services
from app.access.vault import Vault
from app.config import Settings
from app.core.hosts.states import HostConnection
from app.core.inventory.reports import HostReport
from app.core.inventory.usage import Usage
from app.core.notices import Hub
from app.db.models import Datacenter, Host
from app.db.session import Database
from app.engine.writer import Writer
from app.inventory.collectors.usage import USAGE
from tests.unit.inventory.parts import parts_of

HOST = "host_aaaaaaaaaaaaaaaa"
NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def services(tmp_path: Path, empty_sqlite: Path) -> Iterator[Services]:
    settings = Settings(data_dir=tmp_path)
    shutil.copy(empty_sqlite, tmp_path / "vigie.db")
    database = Database(settings.database, busy_timeout_ms=50)
    with database.begin() as session:
        session.add(Datacenter(id="dc_aaaaaaaaaaaaaaaa", name="d", name_key="d", created_at=NOW))
        session.flush()
        session.add(
            Host(
                id=HOST,
                datacenter_id="dc_aaaaaaaaaaaaaaaa",
                name="h",
                name_key="h",
                transport="local",
                address="",
                port=0,
                user="",
                socket="/s",
                mode="managed",
                connection="connecting",
                created_at=NOW,
            )
        )
    yield Services(settings, database, Hub(), Vault(settings.key_path))
    database.close()


@pytest.fixture
def writer(services: Services) -> Iterator[Writer]:
    created = Writer(services)
    created.start()
    yield created
    created.stop()


def state(services: Services) -> str:
    with services.database.read() as session:
        return session.get_one(Host, HOST).connection


def report_of(what: HostConnection) -> HostReport:
    return HostReport(HOST, NOW, connection=what)


def measured(percent: float) -> HostReport:
    return HostReport(HOST, NOW, parts=parts_of(host_usage=Usage(cpu_percent=percent), vm_usage={}))


def eventually(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_first_report_is_written_at_once(services: Services, writer: Writer) -> None:
    begun = time.monotonic()
    assert writer.put_and_wait(report_of(HostConnection.CONNECTED), 30)
    assert time.monotonic() - begun < 0.5
    assert state(services) == "connected"
    assert (writer.lag_s, writer.waiting) == (0.0, 0)


def test_a_lock_is_waited_for_and_nothing_is_lost(services: Services, writer: Writer) -> None:
    with sqlite3.connect(services.settings.data_dir / "vigie.db", isolation_level=None) as holder:
        holder.execute("BEGIN IMMEDIATE")
        writer.put(report_of(HostConnection.NOT_ANSWERING))
        for percent in range(100):
            writer.put(measured(float(percent)))
        eventually(lambda: writer.failing)
        assert writer.waiting < 20, "usage that newer usage overtook is not kept"
        assert writer.lag_s > 0
        holder.execute("ROLLBACK")
    assert writer.put_and_wait(measured(7.0), 30)
    assert not writer.failing
    assert state(services) == "not_answering"


def test_a_report_that_breaks_does_not_hold_up_the_others(services: Services, writer: Writer) -> None:
    broken = HostReport(HOST, NOW, parts=USAGE.part("no usage at all"))  # type: ignore[arg-type]
    writer.put(broken)
    assert writer.put_and_wait(report_of(HostConnection.CONNECTED), 30)
    assert state(services) == "connected"


def test_reports_of_hosts_that_are_gone_are_passed_over(services: Services, writer: Writer) -> None:
    assert writer.put_and_wait(
        HostReport("host_bbbbbbbbbbbbbbbb", NOW, connection=HostConnection.CONNECTED), 30
    )


def test_stop_writes_what_waits(services: Services, writer: Writer) -> None:
    writer.put(measured(1.0))
    writer.put(report_of(HostConnection.CONNECTED))
    writer.stop()
    assert state(services) == "connected"
