"""Conditions of VMs and pools on a real host: a frozen QEMU, a disk or directory that is gone or read-only."""

import os
import signal

import pytest
import sqlalchemy as sa

from app.core.hosts.states import HostConnection
from app.core.inventory.conditions import (
    DEFINED_ELSEWHERE,
    DIRECTORY_MISSING,
    DISK_MISSING,
    MAY_RUN_ELSEWHERE,
    NOT_ANSWERING,
    READ_ONLY,
)
from app.core.tasks.states import TaskState
from app.core.vms.power import VmVerb
from app.core.vms.states import VmState
from app.db.models import Condition, Event, Vm
from app.inventory.collectors import observed_conditions
from app.lab.lab import Lab
from tests.integration.conftest import MakeSite
from tests.integration.site import Site, eventually

pytestmark = [pytest.mark.lab]


def held(site: Site) -> dict[str, dict[str, str]]:
    """What holds now: the parameters by code."""
    with site.services.database.read() as session:
        return {row.code: row.params for row in session.scalars(sa.select(Condition))}


def test_a_frozen_qemu_is_shown_within_half_a_minute_and_pause_says_so(
    fresh_lab: Lab, make_site: MakeSite
) -> None:
    site = make_site(refresh_s=6.0, call_deadline_s=3.0)
    host = fresh_lab.hosts[0]
    host.create_guest("frozen", start=True, boots=False)
    host.create_guest("well", start=True, boots=False)
    site.add(host)
    pid = host.qemu_pid("frozen")
    os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: NOT_ANSWERING in held(site), 30, "the condition begins")
        row = site.vm("frozen")
        with site.services.database.read() as session:
            assert session.scalars(sa.select(Condition.object_id)).all() == [row.id if row else ""]
        task = site.task(site.act("frozen", VmVerb.PAUSE), 20)
        assert (task.state, task.error and task.error.code) == (TaskState.FAILED, "vm_not_answering")
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: NOT_ANSWERING not in held(site), 30, "the condition ends")
    assert site.vm("frozen").state == VmState.RUNNING  # type: ignore[union-attr]
    with site.services.database.read() as session:
        kinds = set(session.scalars(sa.select(Event.kind)))
    assert {"vm.not_answering", "vm.not_answering_ended"} <= kinds


def test_a_disk_that_is_gone_and_a_folder_that_is_gone_or_read_only_are_conditions(
    fresh_lab: Lab, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observed_conditions, "FILES_EVERY_S", 1.0)
    host = fresh_lab.hosts[0]
    path, folder = host.create_guest("disky").disk_path, "/srv/extra"
    host.exec("mkdir", folder)
    host.virsh("pool-create-as", "extra", "dir", "--target", folder)
    site.add(host)
    eventually(lambda: held(site) == {}, 5)
    host.exec("mv", path, f"{path}.away")
    eventually(
        lambda: held(site).get(DISK_MISSING) == {"path": path, "target": "vda"}, 60, "the disk is gone"
    )
    host.exec("mv", f"{path}.away", path)
    eventually(lambda: held(site) == {}, 60, "the disk is back")
    host.exec("mv", folder, f"{folder}.away")
    eventually(lambda: held(site).get(DIRECTORY_MISSING) == {"path": folder}, 60, "the folder is gone")
    host.exec("mv", f"{folder}.away", folder)
    eventually(lambda: held(site) == {}, 60, "the folder is back")
    host.exec("mount", "--bind", folder, folder)
    try:
        host.exec("mount", "-o", "remount,ro,bind", folder)
        eventually(lambda: held(site).get(READ_ONLY) == {"path": folder}, 60, "the folder is read-only")
    finally:
        host.exec("umount", folder)
        host.virsh("pool-destroy", "extra")
        host.exec("rmdir", folder)
    eventually(lambda: held(site) == {}, 60, "the pool is gone")


def test_a_vm_restarted_on_another_host_keeps_its_row_which_says_where_it_runs(
    fresh_lab: Lab, site: Site
) -> None:
    lost, other = fresh_lab.hosts[:2]
    lost.create_guest("moved", pool="shared", start=True, boots=False)
    xml = lost.virsh("dumpxml", "--inactive", "moved")
    for host in (lost, other):
        site.add(host)
    row = site.vm("moved")
    assert row is not None
    lost.kill_host()
    site.wait_host(lost, HostConnection.NOT_ANSWERING, 15)
    other.define(xml)
    other.virsh("start", "moved")
    eventually(lambda: MAY_RUN_ELSEWHERE in held(site), 15, "the row follows")
    now = site.vm("moved")
    assert now is not None
    assert (now.id, now.host_id, now.state) == (row.id, site.host_ids[other.name], VmState.RUNNING)
    lost.boot()
    eventually(lambda: set(held(site)) == {DEFINED_ELSEWHERE}, 30, "it is only defined there")
    assert held(site)[DEFINED_ELSEWHERE] == {"other": lost.name}
    with site.services.database.read() as session:
        rows = session.execute(sa.select(Vm.id, Vm.duplicate)).all()
    assert rows == [(row.id, False)]
    lost.virsh("undefine", "moved")
    eventually(lambda: held(site) == {}, 15, "it is on one host only")
