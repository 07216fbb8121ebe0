"""Grants on a part of the tree: put into SQL in one place, they limit every list, count, search and verb.

Here they are those of somebody who holds each privilege on one host and on what is below it.
"""

from typing import Any

import pytest
import sqlalchemy as sa

from app.access import find
from app.access.context import Ctx, Services
from app.core.errors import NotFound
from app.core.hosts.specs import HostQuery
from app.core.inventory.specs import TreeQuery
from app.core.networks.networks import NetworkQuery, PlacesQuery
from app.core.networks.nwfilters import FilterQuery
from app.core.specs import ListQuery
from app.core.storage.specs import PoolQuery, VolumeQuery
from app.core.vms.power import VmVerb
from app.core.vms.specs import BulkAction, VmQuery
from app.db.models import Host, Pool, RemovedVm, Vm, Volume
from app.services.hosts import hosts
from app.services.inventory import datacenters, search, tree
from app.services.inventory.dashboard import overview
from app.services.networks import logical_networks, mac_conflicts, networks
from app.services.networks.nwfilters import nwfilters
from app.services.storage.pools import pools
from app.services.storage.volumes import volumes
from app.services.vms import power, vms
from app.services.vms.create import choices
from app.services.vms.delete import delete
from tests.databases import Contexts
from tests.integration.api.conftest import Inventory, fill


@pytest.fixture
def inventory(services: Services, ctx: Contexts) -> Inventory:
    """Two hosts with six VMs each and a deleted one; a pool, a network and a filter are on the first."""
    made = fill(services)
    session = ctx().session
    session.execute(sa.update(Host).values(vm_count=6))
    for host_id in made.hosts:
        session.add(
            RemovedVm(
                **{"id": f"vm_{host_id}", "name": "old", "uuid": "u", "host_id": host_id, "xml": "<domain/>"},
                **{"autostart": False, "removed_at": ctx_now(session), "removed_by": "ann"},
            )
        )
    ctx.commit()
    return made


def ctx_now(session: Any) -> Any:
    return session.scalar(sa.select(sa.func.max(Vm.created_at)))


@pytest.fixture
def asked(ctx: Contexts, inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> Ctx:
    """Somebody with grants on the second host."""
    own = inventory.hosts[1]

    def granted(ctx: Ctx, model: Any, privilege: str) -> sa.ColumnElement[bool] | None:
        if model is Host:
            return Host.id == own
        if model is Volume:
            return Volume.pool_id.in_(sa.select(Pool.id).where(Pool.host_id == own))
        return model.host_id == own if hasattr(model, "host_id") else None

    monkeypatch.setattr(find, "granted", granted)
    return ctx()


def names(page: Any) -> list[str]:
    return [each.name for each in page.items]


def test_lists(asked: Ctx, inventory: Inventory) -> None:
    shown = vms.list_vms(asked, VmQuery())
    assert (shown.total, {each.host_id for each in shown.items}) == (6, {inventory.hosts[1]})
    assert [each.id for each in hosts.list_hosts(asked, HostQuery()).items] == [inventory.hosts[1]]
    assert names(pools.list_pools(asked, PoolQuery())) == []
    assert names(volumes.list_volumes(asked, VolumeQuery())) == []
    assert names(networks.list_networks(asked, NetworkQuery())) == []
    assert names(nwfilters.list_filters(asked, FilterQuery())) == []
    assert mac_conflicts.list_duplicates(asked, ListQuery()).items == []
    assert [each.host.id for each in delete.list_removed(asked).items] == [inventory.hosts[1]]


def test_live_rows(asked: Ctx, inventory: Inventory) -> None:
    assert len(vms.vms_by_id(asked, inventory.vms)) == 6
    assert [each.id for each in hosts.hosts_by_id(asked, inventory.hosts)] == [inventory.hosts[1]]


def test_fleet_wide_names(asked: Ctx) -> None:
    assert logical_networks.list_names(asked, ListQuery()).items == []
    with pytest.raises(NotFound):
        logical_networks.list_places(asked, PlacesQuery(name="default"))


def test_tree_and_counts(asked: Ctx, inventory: Inventory) -> None:
    (top,) = tree.children(asked, TreeQuery(view="storage"))
    assert top.count == 0
    below = tree.children(asked, TreeQuery(view="hosts", parent=inventory.datacenter))
    assert [each.id for each in below] == [inventory.hosts[1]]
    assert len(tree.children(asked, TreeQuery(view="vms", parent=inventory.datacenter))) == 6
    (row,) = datacenters.list_datacenters(asked, ListQuery()).items
    assert (row.host_count, row.vm_count) == (1, 6)
    for hidden in (inventory.hosts[0], inventory.pool, inventory.network):
        with pytest.raises(NotFound):
            tree.path_to(asked, hidden)


def test_dashboard(asked: Ctx) -> None:
    shown = overview(asked)
    assert (sum(shown.hosts.values()), sum(shown.vms.values()), shown.storage.total) == (1, 6, 0)
    assert shown.stale_vms == 6  # all on the host that does not answer


def test_search(asked: Ctx, inventory: Inventory) -> None:
    assert {each.where for each in search.search(asked, "web-0", 50) if each.kind == "vm"} == {"kvm-01"}
    assert [each.name for each in search.search(asked, "kvm-0", 50) if each.kind == "host"] == ["kvm-01"]
    assert [each for each in search.search(asked, "default", 50) if each.kind in ("pool", "network")] == []


def test_single_objects_and_bulk(asked: Ctx, inventory: Inventory) -> None:
    hidden = next(
        each for each in inventory.vms if asked.session.get_one(Vm, each).host_id == inventory.hosts[0]
    )
    with pytest.raises(NotFound):
        vms.show_vm(asked, hidden)
    with pytest.raises(NotFound):
        volumes.show_volume(asked, inventory.volume)
    done = power.act_many(asked, BulkAction(verb=VmVerb.START, ids=[hidden]))
    assert (done.tasks, [each.problem.code for each in done.refused]) == ([], ["not_found"])
    assert done.refused[0].vm.name == hidden  # not even its name is told


def test_choices_of_forms(asked: Ctx, inventory: Inventory) -> None:
    found = choices.list_choices(asked, inventory.hosts[0])
    assert (found.pools, found.networks, found.volumes, found.filters) == ((), (), (), ())
    assert inventory.hosts[0] not in {each.key for each in found.hosts}
