"""Work on volumes whose host, daemon or Vigie itself goes away in the middle: it ends true, and nothing is left."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from app.core.hosts.states import HostConnection
from app.core.storage.volumes import VolumeMove, VolumeResize
from app.core.tasks.records import TaskRecord
from app.core.tasks.states import TaskState
from app.core.vms.states import VmState
from app.db.models import Pool, Task, Volume
from app.engine import Engine
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.lab.paths import POOLS
from app.services.storage.volumes.move import move_volume
from app.services.storage.volumes.resize import resize_volume
from tests.integration.site import Site, eventually

MIB = 1024**2
CONTENT_MIB = 700  # enough to be caught while it is copied


@pytest.fixture
def host(fresh_lab: Lab, site: Site) -> LabHost:
    """A host with a running guest whose disk takes a while to copy."""
    host = fresh_lab.hosts[0]
    host.create_guest("mover", boots=False, disk_mib=CONTENT_MIB)
    disk = f"{POOLS['local']}/mover.qcow2"
    host.exec(
        "sh",
        "-c",
        f"head -c {CONTENT_MIB}M /dev/urandom > /tmp/big && qemu-img convert -O qcow2 /tmp/big {disk} && rm /tmp/big",
        timeout_s=120,
    )
    host.virsh("pool-refresh", "local")
    host.virsh("start", "mover")
    site.add(host)
    site.wait_vm("mover", VmState.RUNNING)
    eventually(lambda: row(site, Volume, Volume.name == "mover.qcow2"), 15, "the volumes are read")
    return host


def row(site: Site, model: Any, *where: Any) -> Any:
    with site.services.database.read() as session:
        found = session.scalar(sa.select(model).where(*where))
        session.expunge_all()
        return found


def ask(site: Site, service: Callable[..., TaskRecord], *arguments: Any) -> str:
    with site.services.database.begin() as session:
        return service(site.ctx(session), *arguments).id


def begin_move(site: Site) -> str:
    """Ask for the move, and wait until something of it has been copied."""
    moved = row(site, Volume, Volume.name == "mover.qcow2")
    shared = row(site, Pool, Pool.name == "shared")
    task_id = ask(site, move_volume, moved.id, VolumeMove(pool_id=shared.id))
    eventually(lambda: (site.now(task_id).progress or 0) > 0, 30, "it copies")
    assert not site.now(task_id).state.is_final
    return task_id


def check_truth(host: LabHost, site: Site, task_id: str) -> None:
    """One copy of the disk is there, the one that the VM uses and has defined, and the task says the same."""
    task = site.task(task_id, 180)
    eventually(
        lambda: not row(site, Task, Task.id == task_id).created_resources, 60, "what was begun is settled"
    )
    pool = "shared" if task.state is TaskState.SUCCEEDED else "local"
    other = "local" if pool == "shared" else "shared"
    for name in (pool, other):
        host.virsh("pool-refresh", name)
    assert "mover.qcow2" in host.virsh("vol-list", pool), task
    assert "mover.qcow2" not in host.virsh("vol-list", other), task
    for definition in (host.virsh("dumpxml", "mover"), host.virsh("dumpxml", "--inactive", "mover")):
        assert f"{POOLS[pool]}/mover.qcow2" in definition
        assert f"{POOLS[other]}/mover.qcow2" not in definition
        assert "<mirror" not in definition
    assert host.virsh("domstate", "mover").strip() == "running"


def test_a_live_move_outlives_a_host_that_is_silent_for_a_while(host: LabHost, site: Site) -> None:
    task_id = begin_move(site)
    host.freeze()
    site.wait_host(host, HostConnection.NOT_ANSWERING, 20)
    host.thaw()
    site.wait_host(host, HostConnection.CONNECTED, 30)
    check_truth(host, site, task_id)


def test_a_live_move_outlives_its_daemon(host: LabHost, site: Site) -> None:
    task_id = begin_move(site)
    host.kill_daemon()
    site.wait_host(host, HostConnection.NOT_ANSWERING, 20)
    host.start_daemon()
    site.wait_host(host, HostConnection.CONNECTED, 30)
    check_truth(host, site, task_id)


def test_a_live_move_outlives_vigie(host: LabHost, site: Site) -> None:
    task_id = begin_move(site)
    site.engine.stop()
    time.sleep(1.0)
    site.engine = Engine(site.services)
    site.engine.start()
    try:
        site.wait_host(host, HostConnection.CONNECTED, 30)
        check_truth(host, site, task_id)
    finally:
        site.engine.stop()


def test_a_live_move_that_is_cancelled_leaves_the_disk_where_it_was(host: LabHost, site: Site) -> None:
    task_id = begin_move(site)
    site.cancel(task_id)
    check_truth(host, site, task_id)
    assert site.now(task_id).state in (TaskState.CANCELLED, TaskState.SUCCEEDED)


def test_a_resize_outlives_a_host_that_is_silent_for_a_while(host: LabHost, site: Site) -> None:
    size = (CONTENT_MIB + 100) * MIB
    found = row(site, Volume, Volume.name == "mover.qcow2")
    host.freeze()
    task_id = ask(site, resize_volume, found.id, VolumeResize(size_bytes=size))
    site.wait_host(host, HostConnection.NOT_ANSWERING, 20)
    host.thaw()
    site.wait_host(host, HostConnection.CONNECTED, 30)
    assert site.task(task_id, 60).state is TaskState.SUCCEEDED, site.now(task_id)
    assert f"Capacity:       {size}" in host.virsh("domblkinfo", "mover", "vda")
    assert row(site, Volume, Volume.name == "mover.qcow2").capacity_bytes == size
