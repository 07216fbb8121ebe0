"""Networks on a real host: made, started, changed, stopped and deleted, as virsh sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from app.core.errors import Conflict, EditConflict, InvalidInput
from app.core.hosts.states import HostConnection, HostMode
from app.core.networks.nwfilters import NwfilterDetail, NwfilterPatch, NwfilterSpec
from app.core.networks.records import NetworkDetail
from app.core.networks.specs import LogicalNetworkHostsQuery, NetworkCopy, NetworkPatch, NetworkSpec
from app.core.specs import ListQuery
from app.core.tasks.records import TaskRecord
from app.core.tasks.states import TaskState
from app.core.vms.states import VmState
from app.db.models import History, Host, Network, Nwfilter
from app.hypervisor.xml.networks import network_build
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.services.networks import logical_networks, networks
from app.services.networks.change import change_network
from app.services.networks.create import copy_network, create_network
from app.services.networks.lifecycle import delete_network, start_network, stop_network
from app.services.networks.nwfilters import nwfilters
from app.services.networks.nwfilters.change import change_nwfilter
from app.services.networks.nwfilters.create import create_nwfilter
from app.services.networks.nwfilters.delete import delete_nwfilter
from app.services.vms import vms
from tests.integration.site import Site, eventually

MAC = "52:54:00:6e:65:74"


@pytest.fixture
def host(fresh_lab: Lab) -> Iterator[LabHost]:
    """A lab host that is left with its own networks only."""
    yield fresh_lab.hosts[0]
    for item in fresh_lab.hosts:
        item.restore()
        for name in item.virsh("net-list", "--all", "--name").split("\n"):
            if name.strip() and name.strip() != "default":
                item.exec("virsh", "net-destroy", "--", name.strip(), check=False)
                item.exec("virsh", "net-undefine", "--", name.strip(), check=False)


def ask(site: Site, act: Callable[..., Any], *arguments: object) -> Any:
    with site.services.database.begin() as session:
        return act(site.ctx(session), *arguments)


def done(site: Site, act: Callable[..., TaskRecord], *arguments: object) -> TaskRecord:
    task = site.task(ask(site, act, *arguments).id)
    assert task.state is TaskState.SUCCEEDED, task
    return task


def show(site: Site, name: str) -> NetworkDetail:
    with site.services.database.read() as session:
        id_ = session.scalar(sa.select(Network.id).where(Network.name == name))
        assert id_ is not None, f"no network {name}"
        return networks.show_network(site.ctx(session), id_)


def names(site: Site) -> list[str]:
    with site.services.database.read() as session:
        return list(session.scalars(sa.select(Network.name)))


def nat(site: Site, host: LabHost, name: str = "shop", net: str = "10.77.1", **more: Any) -> NetworkSpec:
    fields: dict[str, Any] = {
        "name": name,
        "host_id": site.host_ids[host.name],
        "mode": "nat",
        "subnets": [
            {
                "address": f"{net}.1/24",
                "dhcp": [{"start": f"{net}.100", "end": f"{net}.120"}],
                "reservations": [{"mac": MAC, "name": "web", "address": f"{net}.50"}],
            }
        ],
    }
    return NetworkSpec.model_validate(fields | more)


def test_a_guest_gets_exactly_the_reserved_address(host: LabHost, site: Site) -> None:
    site.add(host)
    task = done(site, create_network, nat(site, host))
    created = show(site, "shop")
    assert task.target is not None
    assert created.id == task.target.id
    assert (created.active, created.autostart, created.dhcp, created.pending) == (True, True, True, False)
    assert created.addresses == ["10.77.1.1/24"]
    assert "Active:         yes" in host.virsh("net-info", "shop")
    host.create_guest("web", start=True, network="shop", mac=MAC)
    site.wait_vm("web", VmState.RUNNING, 20)
    eventually(lambda: show(site, "shop").leases, 40, "the lease")
    lease = (show(site, "shop").leases or [])[0]
    assert (lease.address, lease.mac, lease.reserved) == ("10.77.1.50", MAC, True)
    assert lease.vm is not None
    assert lease.vm.name == "web"
    shown = show(site, "shop")
    assert [(user.vm.name, user.state) for user in shown.users] == [("web", VmState.RUNNING)]
    for act in (stop_network, delete_network):
        with pytest.raises(Conflict) as refused:
            ask(site, act, shown.id)
        assert refused.value.code == "network_in_use"
        assert "web" in (refused.value.texts().why or "")
    host.virsh("destroy", "web")
    site.wait_vm("web", VmState.SHUTOFF, 10)
    done(site, stop_network, shown.id)
    assert show(site, "shop").active is False
    with pytest.raises(Conflict):
        ask(site, delete_network, shown.id)
    host.virsh("undefine", "web")
    eventually(lambda: _state(site, "web") == VmState.MISSING, 10)
    forget(site, "web")
    done(site, delete_network, shown.id)
    assert "shop" not in host.virsh("net-list", "--all", "--name")


def _state(site: Site, name: str) -> str | None:
    row = site.vm(name)
    return row.state if row else None


def forget(site: Site, name: str) -> None:
    row = site.vm(name)
    assert row is not None
    ask(site, vms.remove_from_inventory, row.id)


def test_reservations_come_and_go_while_the_network_runs(host: LabHost, site: Site) -> None:
    site.add(host)
    done(site, create_network, nat(site, host))
    shop = show(site, "shop")
    assert shop.plan is not None
    subnet = shop.plan.subnets[0].model_dump()
    pid = dnsmasq(host)
    subnet["reservations"] = [{"mac": "52:54:00:6e:65:75", "address": "10.77.1.60"}]
    groups = [{"name": "slow", "in_kbps": 100}]
    patch = NetworkPatch.model_validate(
        {
            "subnets": [subnet],
            "port_groups": groups,
            "dns_hosts": [{"address": "10.77.1.9", "names": ["nas"]}],
        }
    )
    task = done(site, change_network, shop.id, patch, shop.version)
    assert task.result == {"after_restart": False}
    for where in ((), ("--inactive",)):
        xml = host.virsh("net-dumpxml", "shop", *where)
        assert "10.77.1.60" in xml
        assert "10.77.1.50" not in xml
        assert "slow" in xml
        assert "nas" in xml
    assert dnsmasq(host) == pid, "the DHCP server went on without a restart"
    # What cannot change while it runs is kept for its next start, and said so.
    task = done(site, change_network, shop.id, NetworkPatch(mtu=1400))
    assert task.result == {"after_restart": True}
    changed = show(site, "shop")
    assert (changed.pending, changed.plan and changed.plan.mtu, changed.mtu) == (True, 1400, None)
    done(site, stop_network, shop.id)
    done(site, start_network, shop.id)
    again = show(site, "shop")
    assert (again.pending, again.mtu) == (False, 1400)
    with site.services.database.read() as session:
        query = sa.select(History.actor_name).where(History.object_id == shop.id).order_by(History.id)
        assert list(session.scalars(query)) == ["tester", "tester", "tester"]


def dnsmasq(host: LabHost) -> str:
    return host.exec("cat", "/run/libvirt/network/shop.pid").stdout.strip()


def test_what_was_changed_elsewhere_is_not_overwritten(host: LabHost, site: Site) -> None:
    site.add(host)
    done(site, create_network, nat(site, host))
    seen = show(site, "shop")
    xml = host.virsh("net-dumpxml", "--inactive", "shop").replace(
        "<uuid>", "<domain name='elsewhere'/><uuid>"
    )
    path = host.run_directory / "changed.xml"
    path.write_text(xml)
    host.virsh("net-define", str(path))
    eventually(lambda: show(site, "shop").version != seen.version, 10, "the change is seen")
    with pytest.raises(EditConflict):
        ask(site, change_network, seen.id, NetworkPatch(mtu=1400), seen.version)
    # Nobody saw it yet: the task looks again before it acts.
    with site.services.database.begin() as session:
        session.execute(sa.update(Network).where(Network.id == seen.id).values(xml=stored_before(seen)))
    task = site.task(ask(site, change_network, seen.id, NetworkPatch(mtu=1400)).id)
    assert (task.state, task.error and task.error.code) == (TaskState.FAILED, "changed_meanwhile")
    assert "elsewhere" in host.virsh("net-dumpxml", "--inactive", "shop")
    assert "mtu" not in host.virsh("net-dumpxml", "--inactive", "shop")


def stored_before(seen: NetworkDetail) -> str:
    assert seen.plan is not None
    return network_build.build(seen.plan, seen.uuid)


def test_other_modes(host: LabHost, site: Site) -> None:
    site.add(host)
    done(site, create_network, nat(site, host, "quiet", mode="isolated", subnets=[]))
    quiet = show(site, "quiet")
    assert (quiet.forward_mode, quiet.active, quiet.addresses, quiet.dhcp) == ("isolated", True, [], False)
    host.exec("ip", "link", "add", "br7", "type", "bridge")
    bridged = nat(site, host, "house", mode="bridge", bridge="br7", subnets=[])
    done(site, create_network, bridged)
    host.create_guest("plugged", start=True, boots=False, network="house")
    assert "br7" in host.virsh("domiflist", "plugged") or "house" in host.virsh("domiflist", "plugged")
    assert "master br7" in host.exec("ip", "link", "show", "master", "br7").stdout
    routed = nat(site, host, "routed", "10.77.9", mode="route", devices=["eth0"])
    done(site, create_network, routed)
    assert show(site, "routed").forward_mode == "route"
    macvtap = nat(site, host, "tapped", mode="macvtap", macvtap_mode="bridge", devices=["eth0"], subnets=[])
    done(site, create_network, macvtap)
    assert show(site, "tapped").plan is not None
    host.virsh("destroy", "plugged")
    host.exec("ip", "link", "del", "br7")


def test_what_does_not_fit_is_refused_with_the_field(host: LabHost, site: Site) -> None:
    site.add(host)
    done(site, create_network, nat(site, host, bridge="virbr9"))
    with pytest.raises(InvalidInput) as refused:
        ask(site, create_network, nat(site, host, "other", "10.77.1"))
    assert (refused.value.field, refused.value.code) == ("subnets.0.address", "subnet_overlaps")
    assert "shop" in refused.value.rule_text(str)
    with pytest.raises(InvalidInput) as refused:
        ask(site, create_network, nat(site, host, "other", "10.77.2", bridge="virbr9"))
    assert (refused.value.field, refused.value.code) == ("bridge", "bridge_taken")
    with pytest.raises(Conflict) as taken:
        ask(site, create_network, nat(site, host, "shop", "10.77.2"))
    assert taken.value.code == "name_taken"
    around = ".".join(host.address.split(".")[:3])
    with pytest.raises(InvalidInput) as refused:
        ask(site, create_network, nat(site, host, "other", around))
    assert "by which Vigie reaches the host" in refused.value.rule_text(str)
    # A name that virsh took meanwhile, unseen: the task finds it, and leaves it alone.
    with site.services.database.begin() as session:
        session.execute(sa.update(Network).where(Network.name == "default").values(name="unseen"))
        ctx = site.ctx(session)
        task_id = create_network(ctx, nat(site, host, "default", "10.77.2")).id
    task = site.task(task_id)
    assert (task.state, task.error and task.error.code) == (TaskState.FAILED, "name_taken")
    assert "10.77.2" not in host.virsh("net-dumpxml", "default")


def test_a_network_that_does_not_start_is_taken_back(host: LabHost, site: Site) -> None:
    site.add(host)
    host.exec("ip", "link", "add", "virbr77", "type", "bridge")
    task = site.task(ask(site, create_network, nat(site, host, bridge="virbr77")).id)
    host.exec("ip", "link", "del", "virbr77", check=False)
    assert task.state is TaskState.FAILED
    assert "shop" not in host.virsh("net-list", "--all", "--name")


def test_hostile_names_are_names(host: LabHost, site: Site) -> None:
    site.add(host)
    name = "<img src=x onerror=alert(1)> & 'co'"
    done(site, create_network, nat(site, host, name))
    assert name in host.virsh("net-list", "--all", "--name")
    done(site, delete_network, show(site, name).id)
    assert name not in host.virsh("net-list", "--all", "--name")


def test_a_host_in_observe_mode_or_lost_refuses(host: LabHost, site: Site) -> None:
    site.add(host, mode=HostMode.OBSERVE)
    eventually(lambda: "default" in names(site), 10, "its networks are read")
    default = show(site, "default")
    for act, arguments in (
        (create_network, (nat(site, host),)),
        (change_network, (default.id, NetworkPatch(mtu=1400))),
        (stop_network, (default.id,)),
        (delete_network, (default.id,)),
    ):
        with pytest.raises(Conflict) as refused:
            ask(site, act, *arguments)
        assert refused.value.code == "host_observed"
    assert not any(action.allowed for action in default.actions)
    host.kill_daemon()
    site.wait_host(host, HostConnection.NOT_ANSWERING, 10)
    with site.services.database.begin() as session:
        session.get_one(Host, site.host_ids[host.name]).mode = HostMode.MANAGED
    with pytest.raises(Conflict) as refused:
        ask(site, create_network, nat(site, host))
    assert refused.value.code == "host_not_connected"


def test_a_host_lost_in_the_middle_is_waited_for(host: LabHost, site: Site) -> None:
    site.add(host)
    host.freeze()
    task_id = ask(site, create_network, nat(site, host)).id
    eventually(lambda: site.now(task_id).state is TaskState.RUNNING, 10)
    host.kill_daemon()
    site.wait_host(host, HostConnection.NOT_ANSWERING, 15)
    host.start_daemon()
    task = site.task(task_id, 60)
    assert task.state is TaskState.SUCCEEDED, task
    assert host.virsh("net-list", "--all", "--name").split().count("shop") == 1
    assert show(site, "shop").active


def test_a_network_is_copied_to_other_hosts(host: LabHost, fresh_lab: Lab, site: Site) -> None:
    hosts = fresh_lab.hosts[:3]
    for item in hosts:
        site.add(item)
    created = done(site, create_network, nat(site, host))
    assert created.target is not None
    taken = nat(site, hosts[2], "shop", "10.78.0")
    done(site, create_network, taken)
    ids = [site.host_ids[item.name] for item in hosts[1:]]
    batch = ask(site, copy_network, created.target.id, NetworkCopy(host_ids=ids))
    assert [item.problem.code for item in batch.refused] == ["name_taken"]
    assert [site.task(task.id).state for task in batch.tasks] == [TaskState.SUCCEEDED]
    assert "10.77.1.50" in hosts[1].virsh("net-dumpxml", "shop")
    with site.services.database.read() as session:
        ctx = site.ctx(session)
        record = next(
            item
            for item in logical_networks.list_logical_networks(ctx, ListQuery()).items
            if item.name == "shop"
        )
        differing = logical_networks.list_logical_network_hosts(
            ctx, LogicalNetworkHostsQuery(name="shop", show="differs")
        ).items
    assert (record.hosts, record.missing, record.differing) == (3, 0, 1)
    assert [(item.host.name, item.differs) for item in differing] == [(hosts[2].name, ["addresses"])]


def test_traffic_filters(host: LabHost, site: Site) -> None:
    site.add(host)
    spec = NwfilterSpec.model_validate(
        {
            "name": "shop-web",
            "host_id": site.host_ids[host.name],
            "default_in": "drop",
            "rules": [{"action": "accept", "protocol": "tcp", "port_start": 443, "source": "192.0.2.0/24"}],
        }
    )
    done(site, create_nwfilter, spec)
    assert "shop-web" in host.virsh("nwfilter-list")
    created = shown_filter(site, "shop-web")
    assert created.plan is not None
    assert created.plan.model_dump() == spec.model_dump(exclude={"host_id"})
    xml = host.virsh("nwfilter-dumpxml", "shop-web")
    kept = xml.replace("</filter>", "<rule action='drop' direction='out'><arp opcode='2'/></rule></filter>")
    path = host.run_directory / "nwfilter.xml"
    path.write_text(kept)
    host.virsh("nwfilter-define", str(path))
    # No event tells of filters: the task finds the change, and shows it.
    patch = NwfilterPatch.model_validate({"rules": [{"action": "reject", "protocol": "icmp"}]})
    task = site.task(ask(site, change_nwfilter, created.id, patch).id)
    assert (task.error and task.error.code) == "changed_meanwhile"
    assert shown_filter(site, "shop-web").kept_rules == 1
    done(site, change_nwfilter, created.id, patch)
    after = host.virsh("nwfilter-dumpxml", "shop-web")
    assert "<arp " in after
    assert "icmp" in after
    assert "'443'" not in after, "the port's rule is gone; the filter's random UUID may hold these digits"
    done(site, delete_nwfilter, created.id)
    assert "shop-web" not in host.virsh("nwfilter-list")


def test_a_filter_of_a_running_vm_stays(host: LabHost, site: Site) -> None:
    site.add(host)
    spec = NwfilterSpec.model_validate(
        {"name": "shop-db", "host_id": site.host_ids[host.name], "default_in": "drop"}
    )
    done(site, create_nwfilter, spec)
    guest = host.create_guest("filtered")
    xml = host.virsh("dumpxml", "filtered")
    host.define(
        xml.replace("<source network='default'/>", "<source network='default'/><filterref filter='shop-db'/>")
    )
    host.virsh("start", "filtered")
    site.wait_vm("filtered", VmState.RUNNING, 20)
    created = shown_filter(site, "shop-db")
    eventually(lambda: shown_filter(site, "shop-db").users, 10, "the VM is seen with its filter")
    assert [user.name for user in shown_filter(site, "shop-db").users] == ["filtered"]
    assert "shop-db" in host.virsh("nwfilter-binding-list")
    rules = host.exec("iptables-save").stdout
    assert any("vnet" in line and "-j DROP" in line for line in rules.split("\n")), rules
    with pytest.raises(Conflict) as refused:
        ask(site, delete_nwfilter, created.id)
    assert refused.value.code == "filter_in_use"
    assert host.virsh("dominfo", guest.name)
    host.remove_guests()
    host.virsh("nwfilter-undefine", "shop-db")


def shown_filter(site: Site, name: str) -> NwfilterDetail:
    with site.services.database.read() as session:
        id_ = session.scalar(sa.select(Nwfilter.id).where(Nwfilter.name == name))
        assert id_ is not None, f"no filter {name}"
        return nwfilters.show_nwfilter(site.ctx(session), id_)
