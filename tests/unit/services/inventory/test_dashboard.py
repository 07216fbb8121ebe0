"""The dashboard: nothing of what the asker may not see, and titles of states in its sentences."""

import pytest
import sqlalchemy as sa

from app.access import find
from app.access.context import Services
from app.core.hosts.states import HOST_CONNECTION_TITLES, HostConnection
from app.db.models import Host, Pool, Vm
from app.services.inventory.dashboard import MAX_NAMED, show_dashboard
from tests.databases import Contexts
from tests.integration.api.conftest import Inventory, fill


@pytest.fixture
def inventory(services: Services, ctx: Contexts) -> Inventory:
    """Hosts, VMs and a pool that all need a look."""
    created = fill(services)
    session = ctx().session
    session.execute(sa.update(Pool).values(allocation_bytes=99))
    session.execute(sa.update(Vm).values(duplicate=True, cpu_percent=50))
    session.execute(sa.update(Host).values(worst_check="fail"))
    ctx.commit()
    return created


def test_an_overview_counts_only_what_the_asker_sees(
    ctx: Contexts, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeing = ctx()
    seen = show_dashboard(seeing)
    assert len(seen.attention) == 6
    assert (seen.storage.total, sum(seen.vms.values()), sum(seen.hosts.values())) == (100, 12, 2)
    monkeypatch.setattr(find, "granted", lambda ctx, model, privilege: sa.false())
    blind = show_dashboard(seeing)
    assert (blind.attention, blind.busiest, blind.hosts, blind.vms) == ([], [], {}, {})
    assert (blind.storage.total, blind.cpu.total, blind.memory.total, blind.cpus) == (0, 0, 0, 0)
    assert (blind.stale_vms, blind.duplicate_vms, blind.vcpus_allocated) == (0, 0, 0)


def test_more_hosts_in_a_state_are_told_by_its_title(ctx: Contexts, inventory: Inventory) -> None:
    context = ctx()
    first = context.session.get_one(Host, inventory.hosts[0])
    plain = {column.key: getattr(first, column.key) for column in Host.__table__.columns}
    for number in range(MAX_NAMED + 1):
        own = {"id": f"host_{number}", "name": f"lost-{number}", "name_key": f"lost-{number}"}
        state = {"libvirt_uuid": None, "connection": HostConnection.AUTH_FAILED.value}
        context.session.add(Host(**plain | own | state))
    reported = [item.message for item in show_dashboard(context).attention]
    assert (
        f"More hosts are in the same state: {HOST_CONNECTION_TITLES[HostConnection.AUTH_FAILED]}." in reported
    )


def test_a_disabled_host_is_counted_as_such_and_needs_no_look(ctx: Contexts, inventory: Inventory) -> None:
    context = ctx()
    before = show_dashboard(context)
    assert before.hosts == {"connected": 1, "not_answering": 1}
    context.session.execute(sa.update(Host).values(worst_check=None))
    lost = sa.update(Host).where(Host.connection == HostConnection.NOT_ANSWERING)
    context.session.execute(lost.values(admin_state="disabled"))
    after = show_dashboard(context)
    assert after.hosts == {"connected": 1, "disabled": 1}
    assert any("does not answer" in item.message for item in before.attention)
    assert not any("does not answer" in item.message for item in after.attention)


def test_storage_that_hosts_report_alike_is_counted_once(ctx: Contexts, inventory: Inventory) -> None:
    context = ctx()
    first = context.session.get_one(Pool, inventory.pool)
    plain = {column.key: getattr(first, column.key) for column in Pool.__table__.columns}
    plain |= {"uuid": "shared", "kind": "netfs", "target_path": "/srv/shared", "capacity_bytes": 1000}
    a, b = inventory.hosts
    context.session.add(Pool(**plain | {"id": "pool_1", "host_id": a, "allocation_bytes": 300}))
    context.session.add(Pool(**plain | {"id": "pool_2", "host_id": b, "allocation_bytes": 310}))
    context.session.flush()
    assert (show_dashboard(context).storage.used, show_dashboard(context).storage.total) == (
        99 + 310,
        100 + 1000,
    )
    context.session.execute(sa.update(Pool).where(Pool.id == "pool_2").values(target_path="/srv/other"))
    assert show_dashboard(context).storage.total == 100 + 2000
    context.session.execute(sa.update(Pool).where(Pool.id == "pool_2").values(kind="dir"))
    context.session.execute(sa.update(Pool).where(Pool.id == "pool_2").values(target_path="/srv/shared"))
    assert show_dashboard(context).storage.total == 100 + 2000
    context.session.execute(sa.update(Pool).where(Pool.id == "pool_2").values(kind="netfs", uuid="own"))
    assert show_dashboard(context).storage.total == 100 + 2000
