"""Networks on a real host: made, started, changed, stopped and deleted, as virsh sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from app.core.errors import Conflict
from app.core.networks import NetworkDetail, NetworkSpec
from app.core.records import TaskRecord
from app.core.states import TaskState, VmState
from app.db.models import Network
from app.lab.host import LabHost
from app.lab.lab import Lab
from app.services import network_changes, networks, vms
from tests.integration.engine.site import Site, eventually

MAC = "52:54:00:6e:65:74"


@pytest.fixture
def host(fresh_lab: Lab) -> Iterator[LabHost]:
    """A lab host that is left with its own networks only."""
    yield fresh_lab.hosts[0]
    for each in fresh_lab.hosts:
        each.restore()
        for name in each.virsh("net-list", "--all", "--name").split("\n"):
            if name.strip() and name.strip() != "default":
                each.exec("virsh", "net-destroy", "--", name.strip(), check=False)
                each.exec("virsh", "net-undefine", "--", name.strip(), check=False)


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
    task = done(site, network_changes.create_network, nat(site, host))
    made = show(site, "shop")
    assert task.target is not None
    assert made.id == task.target.id
    assert (made.active, made.autostart, made.dhcp, made.pending) == (True, True, True, False)
    assert made.addresses == ["10.77.1.1/24"]
    assert "Active:         yes" in host.virsh("net-info", "shop")
    host.create_guest("web", start=True, network="shop", mac=MAC)
    site.wait_vm("web", VmState.RUNNING, 20)
    eventually(lambda: show(site, "shop").leases, 40, "the lease")
    lease = (show(site, "shop").leases or [])[0]
    assert (lease.address, lease.mac, lease.reserved) == ("10.77.1.50", MAC, True)
    assert lease.vm is not None
    assert lease.vm.name == "web"
    shown = show(site, "shop")
    assert [(each.vm.name, each.state) for each in shown.users] == [("web", VmState.RUNNING)]
    for act in (network_changes.stop_network, network_changes.delete_network):
        with pytest.raises(Conflict) as refused:
            ask(site, act, shown.id)
        assert refused.value.code == "network_in_use"
        assert "web" in (refused.value.why or "")
    host.virsh("destroy", "web")
    site.wait_vm("web", VmState.SHUTOFF, 10)
    done(site, network_changes.stop_network, shown.id)
    assert show(site, "shop").active is False
    with pytest.raises(Conflict):
        ask(site, network_changes.delete_network, shown.id)
    host.virsh("undefine", "web")
    eventually(lambda: _state(site, "web") == VmState.MISSING, 10)
    forget(site, "web")
    done(site, network_changes.delete_network, shown.id)
    assert "shop" not in host.virsh("net-list", "--all", "--name")


def _state(site: Site, name: str) -> str | None:
    row = site.vm(name)
    return row.state if row else None


def forget(site: Site, name: str) -> None:
    row = site.vm(name)
    assert row is not None
    ask(site, vms.forget_vm, row.id)
