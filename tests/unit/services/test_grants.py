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
from app.core.networks.nwfilters import NwfilterQuery
from app.core.networks.specs import LogicalNetworkHostsQuery, NetworkQuery
from app.core.specs import ListQuery
from app.core.storage.specs import PoolQuery, VolumeQuery
from app.core.vms.power import VmVerb
from app.core.vms.specs import BulkAction, VmQuery
from app.db.models import DeletedVm, Host, Pool, Vm, Volume
from app.services.hosts import hosts
from app.services.inventory import datacenters, search, tree
from app.services.inventory.dashboard import show_dashboard
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
    created = fill(services)
    session = ctx().session
    session.execute(sa.update(Host).values(vm_count=6))
    for host_id in created.hosts:
        session.add(
            DeletedVm(
                **{"id": f"vm_{host_id}", "name": "old", "uuid": "u", "host_id": host_id, "xml": "<domain/>"},
                **{"autostart": False, "deleted_at": ctx_now(session), "deleted_by": "ann"},
            )
        )
    ctx.commit()
    return created


def ctx_now(session: Any) -> Any:
    return session.scalar(sa.select(sa.func.max(Vm.created_at)))


@pytest.fixture
def limited(ctx: Contexts, inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> Ctx:
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
    return [item.name for item in page.items]


def test_lists(limited: Ctx, inventory: Inventory) -> None:
    shown = vms.list_vms(limited, VmQuery())
    assert (shown.total, {item.host_id for item in shown.items}) == (6, {inventory.hosts[1]})
    assert [item.id for item in hosts.list_hosts(limited, HostQuery()).items] == [inventory.hosts[1]]
    assert names(pools.list_pools(limited, PoolQuery())) == []
    assert names(volumes.list_volumes(limited, VolumeQuery())) == []
    assert names(networks.list_networks(limited, NetworkQuery())) == []
    assert names(nwfilters.list_nwfilters(limited, NwfilterQuery())) == []
    assert mac_conflicts.list_mac_conflicts(limited, ListQuery()).items == []
    assert [item.host.id for item in delete.list_deleted(limited).items] == [inventory.hosts[1]]


def test_live_rows(limited: Ctx, inventory: Inventory) -> None:
    assert len(vms.vms_by_id(limited, inventory.vms)) == 6
    assert [host.id for host in hosts.hosts_by_id(limited, inventory.hosts)] == [inventory.hosts[1]]


def test_fleet_wide_names(limited: Ctx) -> None:
    assert logical_networks.list_logical_networks(limited, ListQuery()).items == []
    with pytest.raises(NotFound):
        logical_networks.list_logical_network_hosts(limited, LogicalNetworkHostsQuery(name="default"))


def test_tree_and_counts(limited: Ctx, inventory: Inventory) -> None:
    (top,) = tree.children(limited, TreeQuery(view="storage"))
    assert top.count == 0
    below = tree.children(limited, TreeQuery(view="hosts", parent=inventory.datacenter))
    assert [item.id for item in below] == [inventory.hosts[1]]
    assert len(tree.children(limited, TreeQuery(view="vms", parent=inventory.datacenter))) == 6
    (row,) = datacenters.list_datacenters(limited, ListQuery()).items
    assert (row.host_count, row.vm_count) == (1, 6)
    for hidden in (inventory.hosts[0], inventory.pool, inventory.network):
        with pytest.raises(NotFound):
            tree.path_to(limited, hidden)


def test_dashboard(limited: Ctx) -> None:
    shown = show_dashboard(limited)
    assert (sum(shown.hosts.values()), sum(shown.vms.values()), shown.storage.total) == (1, 6, 0)
    assert shown.stale_vms == 6  # all on the host that does not answer


def test_search(limited: Ctx, inventory: Inventory) -> None:
    assert {item.where for item in search.search(limited, "web-0", 50) if item.kind == "vm"} == {"kvm-01"}
    assert [item.name for item in search.search(limited, "kvm-0", 50) if item.kind == "host"] == ["kvm-01"]
    assert [item for item in search.search(limited, "default", 50) if item.kind in ("pool", "network")] == []


def test_single_objects_and_bulk(limited: Ctx, inventory: Inventory) -> None:
    hidden = next(vm for vm in inventory.vms if limited.session.get_one(Vm, vm).host_id == inventory.hosts[0])
    with pytest.raises(NotFound):
        vms.show_vm(limited, hidden)
    with pytest.raises(NotFound):
        volumes.show_volume(limited, inventory.volume)
    done = power.act_many(limited, BulkAction(verb=VmVerb.START, ids=[hidden]))
    assert (done.tasks, [item.problem.code for item in done.refused]) == ([], ["not_found"])
    assert done.refused[0].vm.name == hidden  # not even its name is told


def test_choices_of_forms(limited: Ctx, inventory: Inventory) -> None:
    found = choices.list_choices(limited, inventory.hosts[0])
    assert (found.pools, found.networks, found.volumes, found.nwfilters) == ((), (), (), ())
    assert inventory.hosts[0] not in {host.key for host in found.hosts}
