"""A host that is disabled is left alone, whatever happens on it, and read anew when it is enabled again."""

import time

import pytest
import sqlalchemy as sa

from app.core.errors import Conflict
from app.core.hosts.specs import HostPatch
from app.core.hosts.states import AdminState, HostConnection
from app.core.tasks.states import TaskState
from app.core.vms.create.spec import VmSpec
from app.core.vms.states import VmState
from app.db.models import Event, Pool
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.services.hosts import hosts
from app.services.storage.pools.refresh import refresh_pool
from app.services.vms import vms
from app.services.vms.create.create import create_vm
from app.tasks.context import HOST_WAIT_S
from tests.integration.site import Site, eventually

pytestmark = [pytest.mark.lab]


def set_admin_state(site: Site, host: LabHost, admin_state: AdminState) -> None:
    with site.services.database.begin() as session:
        hosts.update_host(site.ctx(session), site.host_ids[host.name], HostPatch(admin_state=admin_state))


def test_a_disabled_host_is_left_alone_until_it_is_enabled(fresh_lab: Lab, site: Site) -> None:
    host = fresh_lab.hosts[0]
    host.create_guest("left", start=True, boots=False)
    host_id = site.add(host)
    site.wait_vm("left", VmState.RUNNING)
    set_admin_state(site, host, AdminState.DISABLED)
    eventually(lambda: site.engine.host(host_id) is None, 5, "let go of")
    eventually(lambda: not site.engine.health().hosts, 5, "the engine knows no such host")
    assert site.host(host).connection == HostConnection.NOT_ANSWERING
    host.virsh("destroy", "left")
    time.sleep(3)  # nobody looks
    row = site.vm("left")
    assert row is not None
    with site.services.database.read() as session:
        shown = vms.show_vm(site.ctx(session), row.id)
    assert (shown.state, shown.stale) == (VmState.RUNNING, True)
    assert {action.code for action in shown.actions} == {"host_disabled"}
    set_admin_state(site, host, AdminState.ENABLED)
    site.wait_host(host, HostConnection.CONNECTED, 10)
    site.wait_vm("left", VmState.SHUTOFF)
    with site.services.database.read() as session:
        kinds = list(
            session.scalars(sa.select(Event.kind).where(Event.object_id == host_id).order_by(Event.id))
        )
    assert [kind for kind in kinds if kind in ("host.disabled", "host.enabled")] == [
        "host.disabled",
        "host.enabled",
    ]


def test_a_task_ends_at_once_when_its_host_is_disabled(fresh_lab: Lab, site: Site) -> None:
    """It waited for a minute, and then said that the host had been lost."""
    host = fresh_lab.hosts[0]
    host_id = site.add(host)

    def local() -> str | None:
        with site.services.database.read() as session:
            found = sa.select(Pool.id).where(Pool.host_id == host_id, Pool.name == "local")
            return session.scalar(found)

    eventually(lambda: local() is not None, 20, "the pool is read")
    pool_id = local()
    assert pool_id is not None
    host.freeze()
    try:
        with site.services.database.begin() as session:
            requested = refresh_pool(site.ctx(session), pool_id).id
        eventually(lambda: site.now(requested).state is TaskState.RUNNING, 10, "it runs")
        set_admin_state(site, host, AdminState.DISABLED)
        task = site.task(requested, HOST_WAIT_S / 2)
        assert (task.state, task.error and task.error.code) == (TaskState.FAILED, "host_disabled")
    finally:
        host.thaw()


def test_no_vm_is_created_on_a_host_in_maintenance(fresh_lab: Lab, site: Site) -> None:
    host = fresh_lab.hosts[0]
    host_id = site.add(host)
    set_admin_state(site, host, AdminState.MAINTENANCE)
    with site.services.database.begin() as session, pytest.raises(Conflict) as refused:
        create_vm(site.ctx(session), VmSpec(name="late", host_id=host_id))
    assert refused.value.code == "host_maintenance"


def test_maintenance_and_loss_are_two_things(fresh_lab: Lab, site: Site) -> None:
    host = fresh_lab.hosts[0]
    site.add(host)
    set_admin_state(site, host, AdminState.MAINTENANCE)
    host.kill_daemon()
    site.wait_host(host, HostConnection.NOT_ANSWERING, 5)
    assert site.host(host).admin_state == AdminState.MAINTENANCE
    host.start_daemon()
    site.wait_host(host, HostConnection.CONNECTED, 10)
    assert site.host(host).admin_state == AdminState.MAINTENANCE
