"""Which pools are the same storage: what is kept of it, and of which pools Vigie has it found out by itself."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from app.access.context import Services
from app.core.hosts.states import HostConnection
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.db.models import Host, Pool, PoolDifference, Task
from app.hypervisor.xml.pools import source_of
from app.services.storage.pools.same_storage import unverified
from app.services.storage.pools.verify_shared import VerifyShared, due_pools, record_verified, request_due
from tests.databases import Contexts
from tests.integration.api.conftest import fill


@pytest.fixture
def pools(services: Services) -> list[str]:
    """A running pool at /vms on each of two hosts."""
    created = fill(services)
    ids = [new_id(ObjectKind.POOL) for _ in created.hosts]
    sizes = {"capacity_bytes": 10, "allocation_bytes": 0, "available_bytes": 10}
    kinds = {"kind": "dir", "state": "running", "autostart": True, "persistent": True, "target_path": "/vms"}
    with services.database.begin() as session:
        session.execute(sa.update(Host).values(connection=HostConnection.CONNECTED.value, mode="managed"))
        for pool_id, host_id in zip(ids, created.hosts, strict=True):
            session.add(Pool(id=pool_id, host_id=host_id, uuid=pool_id, name="vms", **sizes, **kinds))
    return ids


def test_who_shares_a_pool_is_found_out_without_being_asked(services: Services, pools: list[str]) -> None:
    for _ in range(2):
        request_due(services)
    with services.database.read() as session:
        (task,) = session.scalars(sa.select(Task).where(Task.kind == VerifyShared.kind))
        assert (task.target_id in pools, task.actor_name) == (True, "Vigie")


def test_a_pair_of_pools_that_was_found_to_differ_is_not_asked_about_again(
    services: Services, pools: list[str], ctx: Contexts
) -> None:
    one, other = pools
    session = ctx().session
    later = datetime.now(UTC) + timedelta(days=2)
    assert len(due_pools(session, later)) == 1
    record_verified(session, one, same=[], differing=[other])
    assert due_pools(session, later) == []
    assert session.get_one(Pool, other).verified_at is not None, "it differs from all that there are"
    record_verified(session, one, same=[other], differing=[])
    assert session.scalars(sa.select(PoolDifference)).all() == []
    assert unverified(session, session.get_one(Pool, one)) == []


@pytest.mark.parametrize(
    ("xml", "source"),
    [
        ("<pool type='dir'><target><path>/vms</path></target></pool>", None),
        (
            "<pool type='netfs'><source><host name='nas'/><dir path='/vms/'/></source></pool>",
            "netfs nas:/vms",
        ),
        (
            "<pool type='iscsi'><source><host name='10.0.0.1'/><device path='iqn.x:1'/></source></pool>",
            "iscsi iqn.x:1",
        ),
        (
            "<pool type='rbd'><source><host name='b'/><host name='a'/><name>vms</name></source></pool>",
            "rbd a,b:vms",
        ),
        ("<pool type='logical'><source><name>vg0</name></source></pool>", None),
    ],
)
def test_pools_of_a_storage_server_are_known_by_their_target_there(xml: str, source: str | None) -> None:
    assert source_of(xml) == source
