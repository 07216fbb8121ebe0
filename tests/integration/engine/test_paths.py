"""How many functions of ours two journeys pass through, counted on the running program and real hosts.

A journey runs through several threads, which hand the work on. Its path is the call stack at each point where work is
handed on, and at its end, joined: every named function and method under app/ that is running there, each once, thread
loops included. Not on the path is what has returned by then, such as checks and looks at the host, and what only wakes
the next thread sooner (the notice after a commit, the timer's alarm).

`*_WITH_DETOURS` counts the calls that have returned, but without which there is no result: the VM's reading from
libvirt, and its comparison with the row. docs/architecture.md has the figures, also those of before.
"""

from __future__ import annotations

import libvirt
import pytest
from starlette.testclient import TestClient

from app.core.access.privileges import Role
from app.core.vms.states import VmState
from app.engine.durable import Durable
from app.engine.hosts.coordinator import Coordinator
from app.engine.hosts.event_debouncer import EventDebouncer
from app.engine.task_dispatcher import TaskDispatcher
from app.engine.thread_pool import ElasticThreadPool
from app.engine.writer import Writer
from app.hypervisor import events
from app.inventory.batch import Batch
from app.inventory.observe import observe
from app.inventory.vms.mirror import VmMirror
from app.lab.lab import Lab
from app.web import create_web
from app.web.api.vms import power as vm_routes
from tests.integration.api.conftest import BASE_URL, HEALTH, make_users
from tests.integration.conftest import MakeSite
from tests.integration.engine.callpaths import CallPaths, joined
from tests.integration.site import Site

pytestmark = [pytest.mark.lab]

START = 20
EVENT = 15
EVENT_WITH_DETOURS = 23


def post_start(site: Site, vm_id: str) -> None:
    """Ask for Start as a program does: through the web application."""
    token = make_users(site.services)[Role.ADMINISTRATOR]
    app = create_web(site.services, lambda: HEALTH)
    with TestClient(app, BASE_URL, headers={"Authorization": f"Bearer {token}"}) as client:
        answer = client.post(f"/api/v1/vms/{vm_id}/actions/start")
    assert answer.status_code == 202, answer.text


def test_start_passes_through_few_functions_from_its_route_to_libvirt(
    fresh_lab: Lab, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = CallPaths(monkeypatch)
    begun = paths.watch(Durable, Durable.begin)
    started = paths.watch(libvirt.virDomain, libvirt.virDomain.createWithFlags)
    site = make_site()
    paths.watch_statements(site.services.database)
    fresh_lab.hosts[0].create_guest("guest", boots=False)
    site.add(fresh_lab.hosts[0])
    vm = site.vm("guest")
    assert vm is not None
    post_start(site, vm.id)
    site.wait_vm("guest", VmState.RUNNING)
    path = joined(
        paths.at("INSERT INTO task", through=vm_routes.act, is_entry=True),
        paths.at(begun, through=TaskDispatcher._dispatch),
        paths.at(started, through=TaskDispatcher._act),
    )
    assert len(path) <= START, path


def test_an_event_passes_through_few_functions_from_libvirt_to_the_row(
    fresh_lab: Lab, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = CallPaths(monkeypatch)
    queued = paths.watch(EventDebouncer, EventDebouncer.add)
    handed_out = paths.watch(ElasticThreadPool, ElasticThreadPool.submit)
    read = paths.watch(libvirt.virDomain, libvirt.virDomain.state)
    reported = paths.watch(Writer, Writer.put)
    noted = paths.watch(Batch, Batch.update)
    site = make_site()
    paths.watch_statements(site.services.database)
    host = fresh_lab.hosts[0]
    host.create_guest("guest", start=True, boots=False)
    site.add(host)
    site.wait_vm("guest", VmState.RUNNING)
    host.virsh("destroy", "guest")
    site.wait_vm("guest", VmState.SHUTOFF)
    handed_on = (
        paths.at(queued, through=events._on_vm, is_entry=True),
        paths.at(handed_out, through=Coordinator.turn),
        paths.at(reported, through=Coordinator._do, when=lambda _, report: bool(report.hints)),
        paths.at("UPDATE vm SET", through=observe, when=lambda statement: "state=" in statement),
    )
    detours = (
        paths.at(read, through=Coordinator._do),
        paths.at(noted, through=VmMirror._compare),
    )
    path, with_detours = joined(*handed_on), joined(*handed_on, *detours)
    assert len(path) <= EVENT, path
    assert len(with_detours) <= EVENT_WITH_DETOURS, with_detours
