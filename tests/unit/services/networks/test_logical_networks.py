"""The fleet view of networks, MAC addresses that are there twice, and the users of network filters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from app.access.context import Ctx
from app.core.errors import Conflict, InvalidInput, NotFound
from app.core.hosts.states import HostConnection, HostMode
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.networks.nwfilters import NwfilterPatch, NwfilterQuery, NwfilterSpec
from app.core.networks.records import LogicalNetworkHost
from app.core.networks.specs import LogicalNetworkHostsQuery
from app.core.specs import ListQuery
from app.core.vms.states import VmState
from app.db import models
from app.services.networks import logical_networks, mac_conflicts
from app.services.networks.nwfilters import nwfilters
from app.services.networks.nwfilters.change import change_nwfilter
from app.services.networks.nwfilters.create import create_nwfilter
from app.services.networks.nwfilters.delete import delete_nwfilter

MakeCtx = Callable[..., Ctx]
NOW = datetime.now(UTC)
MAC = "52:54:00:00:00:01"


def add_hosts(ctx: Ctx, count: int) -> list[models.Host]:
    datacenter = models.Datacenter(id=new_id(ObjectKind.DATACENTER), name="dc", name_key="dc", created_at=NOW)
    ctx.session.add(datacenter)
    ctx.session.flush()
    hosts = [
        models.Host(
            id=new_id(ObjectKind.HOST),
            datacenter_id=datacenter.id,
            name=f"kvm-{number}",
            name_key=f"kvm-{number}",
            transport="local",
            address="",
            port=0,
            user="",
            socket=f"/s{number}",
            mode=HostMode.MANAGED,
            connection=HostConnection.CONNECTED,
            observed_at=NOW,
            created_at=NOW,
        )
        for number in range(count)
    ]
    ctx.session.add_all(hosts)
    ctx.session.flush()
    return hosts


def add_network(ctx: Ctx, host: models.Host, name: str, **more: object) -> models.Network:
    fields = {"active": True, "bridge": "virbr1", "forward_mode": "nat", "addresses": ["192.0.2.1/24"]}
    network = models.Network(
        id=new_id(ObjectKind.NETWORK),
        host_id=host.id,
        uuid=new_id(ObjectKind.NETWORK),
        name=name,
        autostart=True,
        persistent=True,
        **(fields | more),
    )
    ctx.session.add(network)
    ctx.session.flush()
    return network


def add_vm(ctx: Ctx, host: models.Host, name: str, mac: str, traffic: str | None = None) -> models.Vm:
    vm = models.Vm(
        id=new_id(ObjectKind.VM),
        host_id=host.id,
        uuid=new_id(ObjectKind.VM),
        name=name,
        name_key=name,
        state=VmState.RUNNING,
        persistent=True,
        autostart=False,
        created_at=NOW,
    )
    ctx.session.add(vm)
    ctx.session.flush()
    parsed = {"nics": [{"mac": mac, "kind": "network", "source": "shop", "filter": traffic}]}
    ctx.session.add(models.VmDefinition(vm_id=vm.id, digest="", xml="", parsed=parsed, read_at=NOW))
    ctx.session.flush()
    return vm


def places(ctx: Ctx, **requested: object) -> list[LogicalNetworkHost]:
    return logical_networks.list_logical_network_hosts(
        ctx, LogicalNetworkHostsQuery.model_validate({"name": "shop", **requested})
    ).items


def test_a_name_across_the_fleet(ctx: MakeCtx) -> None:
    mine = ctx()
    hosts = add_hosts(mine, 5)
    for host in hosts[:2]:
        add_network(mine, host, "shop")
    add_network(mine, hosts[2], "shop", mtu=9000, active=False)
    add_network(mine, hosts[3], "shop", forward_mode="route", addresses=["198.51.100.1/24"])
    add_network(mine, hosts[0], "other", bridge=None, forward_mode="bridge", addresses=[])
    page = logical_networks.list_logical_networks(mine, ListQuery(limit=1, sort="-hosts"))
    assert (page.total, page.items[0].name) == (2, "shop")
    shop = page.items[0]
    assert (shop.hosts, shop.missing, shop.active, shop.differing, shop.variants) == (4, 1, 3, 2, 3)
    assert (shop.mode, shop.addresses, shop.mtu) == ("nat", ["192.0.2.1/24"], None)
    rest = logical_networks.list_logical_networks(mine, ListQuery(limit=1, sort="-hosts", cursor=page.next))
    assert [item.name for item in rest.items] == ["other"]
    assert [place.host.name for place in places(mine)] == [f"kvm-{number}" for number in range(5)]
    assert [place.host.name for place in places(mine, show="missing")] == ["kvm-4"]
    assert [(place.host.name, place.differs) for place in places(mine, show="differs")] == [
        ("kvm-2", ["mtu"]),
        ("kvm-3", ["mode", "addresses"]),
    ]
    assert [place.host.name for place in places(mine, show="inactive")] == ["kvm-2"]
    assert [place.host.name for place in places(mine, q="KVM-1")] == ["kvm-1"]
    with pytest.raises(NotFound):
        logical_networks.list_logical_network_hosts(mine, LogicalNetworkHostsQuery(name="nowhere"))


def test_addresses_that_two_vms_have(ctx: MakeCtx) -> None:
    mine = ctx()
    hosts = add_hosts(mine, 2)
    add_vm(mine, hosts[0], "web", MAC)
    add_vm(mine, hosts[1], "shop", MAC.upper())
    add_vm(mine, hosts[1], "db", "52:54:00:00:00:02")
    page = mac_conflicts.list_mac_conflicts(mine, ListQuery())
    assert page.total == 1
    assert [(user.vm.name, user.host.name) for user in page.items[0].users] == [
        ("shop", "kvm-1"),
        ("web", "kvm-0"),
    ]
    assert mac_conflicts.list_mac_conflicts(mine, ListQuery(q="00:00:02")).total == 0


def add_filter(ctx: Ctx, host: models.Host, name: str, body: str = "") -> models.Nwfilter:
    created = models.Nwfilter(
        id=new_id(ObjectKind.NWFILTER),
        host_id=host.id,
        uuid=new_id(ObjectKind.NWFILTER),
        name=name,
        xml=f"<filter name='{name}' chain='root'>{body}</filter>",
    )
    ctx.session.add(created)
    ctx.session.flush()
    return created


def test_filters_that_are_used_stay(ctx: MakeCtx) -> None:
    mine = ctx()
    host = add_hosts(mine, 1)[0]
    used, base = add_filter(mine, host, "used"), add_filter(mine, host, "base")
    add_filter(mine, host, "top", "<filterref filter='base'/>")
    own = add_filter(mine, host, "clean-traffic")
    add_vm(mine, host, "web", MAC, "used")
    for item, code in ((used, "filter_in_use"), (base, "filter_in_use"), (own, "built_in")):
        with pytest.raises(Conflict) as refused:
            delete_nwfilter(mine, item.id)
        assert refused.value.code == code
    assert [user.name for user in nwfilters.show_nwfilter(mine, used.id).users] == ["web"]
    assert [item.name for item in nwfilters.show_nwfilter(mine, base.id).referenced_by] == ["top"]
    assert [item.name for item in nwfilters.list_nwfilters(mine, NwfilterQuery(built_in=True)).items] == [
        "clean-traffic"
    ]


def test_references_exist_and_never_go_in_circles(ctx: MakeCtx) -> None:
    mine = ctx()
    host = add_hosts(mine, 1)[0]
    base = add_filter(mine, host, "base")
    add_filter(mine, host, "top", "<filterref filter='base'/>")
    with pytest.raises(InvalidInput, match=r"references\.0: leads back"):
        change_nwfilter(mine, base.id, NwfilterPatch(references=["top"]))
    with pytest.raises(InvalidInput, match=r"references\.0: names no network filter"):
        create_nwfilter(mine, NwfilterSpec(name="new", host_id=host.id, references=["nowhere"]))
    with pytest.raises(Conflict) as refused:
        create_nwfilter(mine, NwfilterSpec(name="top", host_id=host.id))
    assert refused.value.code == "name_taken"
