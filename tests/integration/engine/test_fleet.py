"""Many simulated hosts, most of which hang from the start."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from app.core.hosts.states import HostConnection
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.notices import HOSTS
from app.db.models import Datacenter, Host, Vm
from app.lab.fleets.fleet import Fleet
from tests.integration.conftest import MakeSite
from tests.integration.site import Site, eventually

pytestmark = pytest.mark.timeout(360)

WELL, SICK = 20, 480


def register(site: Site, fleet: Fleet) -> None:
    """Write the rows of all hosts of the fleet, as registration would."""
    now = datetime.now(UTC)
    datacenter = new_id(ObjectKind.DATACENTER)
    with site.services.database.begin() as session:
        session.add(Datacenter(id=datacenter, name="fleet", name_key="fleet", created_at=now))
        session.flush()
        for number in range(1, fleet.state.hosts + 1):
            session.add(
                Host(
                    id=new_id(ObjectKind.HOST),
                    datacenter_id=datacenter,
                    name=f"host-{number:04d}",
                    name_key=f"host-{number:04d}",
                    transport="simulated",
                    address=str(fleet.node_path(number)),
                    port=0,
                    user="",
                    socket=str(fleet.socket(fleet.group_of(number))),
                    mode="managed",
                    connection="connecting",
                    created_at=now,
                )
            )
    site.services.hub.publish([HOSTS])


def count(site: Site, connection: HostConnection) -> int:
    with site.services.database.read() as session:
        return (
            session.scalar(sa.select(sa.func.count()).select_from(Host).where(Host.connection == connection))
            or 0
        )


def test_hundreds_of_hung_hosts_starve_nobody(make_site: MakeSite, make_fleet: Callable[..., Fleet]) -> None:
    fleet = make_fleet(WELL + SICK, 5, victims=SICK, frozen=True)
    site = make_site(refresh_s=1.0, connect_deadline_s=3.0)
    before = threading.active_count()
    register(site, fleet)
    eventually(lambda: count(site, HostConnection.CONNECTED) == WELL, 60, "the hosts that answer are in sync")
    eventually(lambda: count(site, HostConnection.NOT_ANSWERING) == SICK, 90, "the others are known to hang")
    assert threading.active_count() - before < 400

    def fresh() -> bool:
        with site.services.database.read() as session:
            oldest = session.scalar(
                sa.select(sa.func.min(Host.observed_at)).where(Host.connection == HostConnection.CONNECTED)
            )
        return oldest is not None and (datetime.now(UTC) - oldest).total_seconds() < 4

    eventually(fresh, 10, "all that answer were read just now")
    fleet.thaw()
    eventually(lambda: count(site, HostConnection.CONNECTED) == WELL + SICK, 150, "all are back")
    with site.services.database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Vm)) == (WELL + SICK) * 5
