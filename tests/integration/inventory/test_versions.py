"""Earlier definitions of storage pools and networks: kept whoever made them, compared, brought back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from app.core.errors import Conflict, NotFound
from app.core.kinds import ObjectKind
from app.core.networks.specs import NetworkPatch
from app.core.tasks.states import TaskState
from app.db.models import Event, Network, Pool
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.services.inventory import versions
from app.services.networks.change import change_network
from app.services.storage.pools.lifecycle import start_pool, stop_pool
from app.services.storage.pools.pools import show_pool
from app.services.storage.pools.refresh import refresh_pool
from tests.integration.site import Site, eventually


@pytest.fixture
def host(fresh_lab: Lab, site: Site) -> Iterator[LabHost]:
    """A host that is known, with its pools and networks."""
    host = fresh_lab.hosts[0]
    network = host.virsh("net-dumpxml", "default", "--inactive")
    site.add(host)
    eventually(lambda: one(site, Pool, "local") and one(site, Network, "default"), 15, "what it has")
    yield host
    define(host, "net-define", network)


def one(site: Site, model: Any, name: str) -> Any:
    with site.services.database.read() as session:
        return session.scalar(sa.select(model.id).where(model.name == name))


def ask(site: Site, service: Any, *arguments: Any) -> str:
    with site.services.database.begin() as session:
        return service(site.ctx(session), *arguments).id


def done(site: Site, service: Any, *arguments: Any) -> None:
    task = site.task(ask(site, service, *arguments), 60)
    assert task.state is TaskState.SUCCEEDED, task.error


def look(site: Site, service: Any, *arguments: Any) -> Any:
    with site.services.database.read() as session:
        return service(site.ctx(session), *arguments)


def define(host: LabHost, verb: str, xml: str) -> None:
    host.exec("sh", "-c", f"cat > /tmp/def.xml <<'X'\n{xml}\nX")
    host.virsh(verb, "/tmp/def.xml")


def test_a_network_has_versions_whoever_made_them(host: LabHost, site: Site) -> None:
    network = one(site, Network, "default")
    only = look(site, versions.list_versions, ObjectKind.NETWORK, network).items
    assert [(item.id, item.current) for item in only] == [(0, True)]
    xml = host.virsh("net-dumpxml", "default", "--inactive")
    define(
        host,
        "net-define",
        xml.replace("</uuid>", "</uuid><domain name='virsh.example'/>", 1),
    )
    eventually(
        lambda: len(look(site, versions.list_versions, ObjectKind.NETWORK, network).items) == 2, 15, "virsh's"
    )
    done(site, change_network, network, NetworkPatch(mtu=1400))
    found = look(site, versions.list_versions, ObjectKind.NETWORK, network).items
    assert [item.actor for item in found] == ["tester", None, None]
    diff = look(site, versions.diff_versions, ObjectKind.NETWORK, network, found[-1].id, 0)
    assert any(line.kind == "new" and "mtu" in line.text for line in diff.lines)
    done(site, versions.restore_version, ObjectKind.NETWORK, network, found[-1].id)
    assert "mtu" not in host.virsh("net-dumpxml", "default", "--inactive")
    latest = look(site, versions.list_versions, ObjectKind.NETWORK, network).items
    assert len(latest) == 4
    assert latest[0].actor == "tester"


def test_a_pool_is_brought_back_while_it_is_off(host: LabHost, site: Site) -> None:
    pool = one(site, Pool, "local")
    before = host.virsh("pool-dumpxml", "local", "--inactive")
    done(site, stop_pool, pool)
    define(
        host,
        "pool-define",
        before.replace("<mode>0711</mode>", "<mode>0755</mode>").replace("/images", "/images2"),
    )
    eventually(
        lambda: len(look(site, versions.list_versions, ObjectKind.POOL, pool).items) == 2, 15, "virsh's"
    )
    first = look(site, versions.list_versions, ObjectKind.POOL, pool).items[-1].id
    done(site, versions.restore_version, ObjectKind.POOL, pool, first)
    assert "/images2" not in host.virsh("pool-dumpxml", "local", "--inactive")
    done(site, start_pool, pool)
    with pytest.raises(Conflict) as reported:
        ask(site, versions.restore_version, ObjectKind.POOL, pool, first)
    assert reported.value.code == "wrong_state"


def test_a_pool_that_starts_or_stops_is_no_new_version_whatever_libvirt_fills_in(
    fresh_lab: Lab, site: Site
) -> None:
    """A pool that virsh started, a daemon that was restarted, a chmod: each fills in another definition."""
    host = fresh_lab.hosts[0]
    host.virsh("pool-destroy", "local")
    host.virsh("pool-start", "local")
    host.stop_daemon()
    host.start_daemon()
    site.add(host)
    eventually(lambda: one(site, Pool, "local"), 15, "what it has")
    pool = one(site, Pool, "local")
    folder = "/var/lib/libvirt/images"
    host.exec("chmod", "0700", folder)
    try:
        done(site, stop_pool, pool)
        done(site, start_pool, pool)
        done(site, refresh_pool, pool)
    finally:
        host.exec("chmod", "0755", folder)
    only = look(site, versions.list_versions, ObjectKind.POOL, pool).items
    assert [(item.id, item.current) for item in only] == [(0, True)]
    with site.services.database.read() as session:
        assert "pool.changed" not in set(session.scalars(sa.select(Event.kind)))


def test_a_pool_defined_anew_while_it_runs_is_seen(host: LabHost, site: Site) -> None:
    pool = one(site, Pool, "local")
    before = host.virsh("pool-dumpxml", "local", "--inactive")
    define(host, "pool-define", before.replace("/images<", "/images2<"))
    try:
        eventually(
            lambda: len(look(site, versions.list_versions, ObjectKind.POOL, pool).items) == 2, 15, "virsh's"
        )
        shown = look(site, show_pool, pool)
        assert (shown.pending, shown.target_path) == (True, "/var/lib/libvirt/images")
    finally:
        define(host, "pool-define", before)
    eventually(lambda: not look(site, show_pool, pool).pending, 15, "as it was")


def test_a_version_of_something_else_is_none(host: LabHost, site: Site) -> None:
    network = one(site, Network, "default")
    done(site, change_network, network, NetworkPatch(mtu=1400))
    number = look(site, versions.list_versions, ObjectKind.NETWORK, network).items[0].id
    for object_id, which in ((one(site, Pool, "local"), number), (one(site, Pool, "local"), 10**9)):
        with pytest.raises(NotFound):
            look(site, versions.show_version, ObjectKind.POOL, object_id, which)
    with pytest.raises(NotFound):
        look(site, versions.list_versions, ObjectKind.NETWORK, "net_2222222222222222")


def test_what_somebody_changed_meanwhile_is_not_written_over(host: LabHost, site: Site) -> None:
    network = one(site, Network, "default")
    done(site, change_network, network, NetworkPatch(mtu=1400))
    first = look(site, versions.list_versions, ObjectKind.NETWORK, network).items[-1].id
    with site.services.database.begin() as session:
        session.execute(sa.update(Network).where(Network.id == network).values(xml="<network/>"))
        task_id = versions.restore_version(site.ctx(session), ObjectKind.NETWORK, network, first).id
    task = site.task(task_id)
    assert task.error is not None
    assert task.error.code == "changed_meanwhile"
