"""An engine watches the hosts that it owns, and lets go of one only when it is not connected to it any more."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa

from app.access.context import Services
from app.core.errors import Unavailable
from app.db.models import Host
from app.engine.engine import Engine
from app.engine.host_ownership import SingleProcessHostOwnership
from app.engine.hosts.coordinator import Coordinator
from tests.integration.api.conftest import fill


def test_the_only_engine_owns_every_host() -> None:
    ownership = SingleProcessHostOwnership()
    assert ownership.claim(["host_1", "host_2"]) == {"host_1", "host_2"}
    ownership.release("host_1")
    assert ownership.claim(["host_1"]) == {"host_1"}


@dataclass
class Shared:
    """Hosts that other engines own are not to be had."""

    others: set[str] = field(default_factory=set)
    released: list[str] = field(default_factory=list)

    def claim(self, host_ids: Collection[str]) -> frozenset[str]:
        return frozenset(host_ids) - self.others

    def release(self, host_id: str) -> None:
        self.released.append(host_id)


@pytest.fixture
def engine(services: Services) -> Engine:
    return Engine(services)


def test_hosts_of_other_engines_are_watched_once_they_are_free_and_left_when_lost(
    services: Services, engine: Engine
) -> None:
    hosts = set(fill(services).hosts)
    first = min(hosts)
    engine._ownership = shared = Shared(others={first})
    engine._read_registry()
    assert engine._coordinators.keys() == hosts - {first}
    kept = dict(engine._coordinators)
    shared.others.clear()
    engine._read_registry()
    assert engine._coordinators.keys() == hosts
    assert engine._coordinators.items() >= kept.items(), "those that are watched already go on"
    shared.others.add(first)
    engine._read_registry()
    assert engine._coordinators.keys() == hosts - {first}
    assert shared.released == [first]
    engine.stop()
    assert set(shared.released) == hosts


def test_a_change_of_a_host_is_not_lost_when_its_claim_fails(
    services: Services, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    host_id = min(fill(services).hosts)
    engine._read_registry()
    engine._running = True
    with services.database.begin() as session:
        session.execute(sa.update(Host).values(config_version=Host.config_version + 1))

    def fail(_host_ids: Collection[str]) -> frozenset[str]:
        raise Unavailable("The database is locked.", code="database_locked")

    configured: list[str] = []
    monkeypatch.setattr(Coordinator, "configure", lambda self, entry: configured.append(entry.id))
    with monkeypatch.context() as failing:
        failing.setattr(engine._ownership, "claim", fail)
        engine._read_registry()
    assert configured == []
    engine._read_registry()
    assert host_id in configured
    engine.stop()
