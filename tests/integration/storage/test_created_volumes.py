"""What tasks create is told from what others make, and found again by a run after a crash: on real hosts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import libvirt
import pytest
import sqlalchemy as sa

from app.core.errors import VigieError
from app.core.storage.created_volumes import CREATED, REQUESTED, volume_note
from app.core.storage.volumes import VolumeClone, VolumeMove, VolumeSpec
from app.core.tasks.records import TaskRecord
from app.core.tasks.states import TaskState
from app.core.vms.create.spec import DiskSpec
from app.core.vms.states import VmState
from app.db.models import Event, Pool, Task, Vm, VmDefinition, Volume
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.services.storage.volumes.clone import clone_volume
from app.services.storage.volumes.create import create_volume
from app.services.storage.volumes.delete import delete_volume
from app.services.storage.volumes.move import MOVED, move_volume
from app.services.vms.reconfigure import devices_request
from app.services.vms.undo import vm_note
from tests.integration.site import Site, eventually

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
MIB = 1024**2
ROUNDS = 10


@pytest.fixture
def host(fresh_lab: Lab, site: Site) -> LabHost:
    """A host with a guest `user` that is off."""
    host = fresh_lab.hosts[0]
    host.create_guest("user", boots=False)
    site.add(host)
    site.wait_vm("user", VmState.SHUTOFF)
    eventually(lambda: row(site, Volume, Volume.name == "user.qcow2"), 15, "the volumes are read")
    return host


def row(site: Site, model: Any, *where: Any) -> Any:
    with site.services.database.read() as session:
        found = session.scalar(sa.select(model).where(*where))
        session.expunge_all()
        return found


def pool(site: Site, name: str = "local") -> Pool:
    found: Pool = row(site, Pool, Pool.name == name)
    return found


def ask(
    site: Site,
    service: Callable[..., TaskRecord],
    *arguments: Any,
    created_resources: list[dict[str, str]] | None = None,
) -> str:
    """Ask for a task; `made` is what a run of it, which a crash ended, had noted."""
    with site.services.database.begin() as session:
        task_id = service(site.ctx(session), *arguments).id
        if created_resources is not None:
            session.execute(
                sa.update(Task).where(Task.id == task_id).values(created_resources=created_resources)
            )
        return task_id


def note(site: Site, name: str, state: str, pool_name: str = "local", **more: str) -> dict[str, str]:
    return volume_note(pool(site, pool_name).uuid, name) | {"state": state, **more}


def boot(site: Site, host: LabHost) -> str:
    opened = site.engine.host(site.host_ids[host.name])
    assert opened is not None
    return str(opened.booted_at())


def volumes_of(host: LabHost, pool_name: str = "local") -> str:
    host.virsh("pool-refresh", pool_name)
    return host.virsh("vol-list", pool_name)


@contextmanager
def racing(site: Site, host: LabHost, name: str) -> Iterator[Callable[[str], bool]]:
    """By a connection of its own, makes a volume of this name as soon as the task notes its; returns whether it could."""
    libvirt.registerErrorHandler(lambda *_: None, None)
    with closing(libvirt.open(host.virsh_uri)) as connection:
        found = connection.storagePoolLookupByName("local")

        def race(task_id: str) -> bool:
            deadline = time.monotonic() + 120
            while not row(
                site, Task.created_resources, Task.id == task_id, Task.created_resources.is_not(None)
            ):
                assert time.monotonic() < deadline
                if site.now(task_id).state.is_final:
                    break
            try:
                found.createXML(
                    f"<volume><name>{name}</name><capacity>{3 * MIB}</capacity>"
                    "<target><format type='raw'/></target></volume>",
                    0,
                )
            except libvirt.libvirtError:
                return False
            return True

        yield race


def test_a_volume_that_others_make_at_the_same_moment_is_never_removed(host: LabHost, site: Site) -> None:
    for number in range(ROUNDS):
        name = f"race-{number}"
        with racing(site, host, name) as race:
            task_id = ask(
                site, create_volume, VolumeSpec(pool_id=pool(site).id, name=name, size_bytes=8 * MIB)
            )
            made_by_others = race(task_id)
            task = site.task(task_id)
        wanted = TaskState.FAILED if made_by_others else TaskState.SUCCEEDED
        assert task.state is wanted, task
        size = "3.00 MiB" if made_by_others else "8.00 MiB"
        assert size in host.virsh("vol-info", "--pool", "local", name), "whose it is stays there"
        host.virsh("vol-delete", "--pool", "local", name)


def test_a_volume_that_appeared_while_vigie_was_down_is_left_and_named(host: LabHost, site: Site) -> None:
    """A run was killed after its note and before its call; then somebody else made the volume."""
    host.virsh("vol-create-as", "local", "mine.raw", "8M", "--format", "raw")
    spec = VolumeSpec(pool_id=pool(site).id, name="mine.raw", size_bytes=8 * MIB, format="raw")
    created = [note(site, "mine.raw", REQUESTED, size=str(8 * MIB - 1024))]
    task = site.task(ask(site, create_volume, spec, created_resources=created))
    assert (task.state, task.error.code) == (TaskState.FAILED, "volume_in_doubt")  # type: ignore[union-attr]
    assert "mine.raw" in (task.message or "")
    assert row(site, Event, Event.kind == "volume.left").params == {"name": "mine.raw"}
    assert "mine.raw" in volumes_of(host)
    assert row(site, Task.created_resources, Task.id == task.id, Task.created_resources.is_not(None)) is None
    host.virsh("vol-delete", "--pool", "local", "mine.raw")


def test_a_run_after_a_crash_goes_on_with_the_volume_it_created(host: LabHost, site: Site) -> None:
    """The host had created it, and the answer was lost; it is known by its size."""
    size = 8 * MIB - 7 * 1024
    host.virsh("vol-create-as", "local", "again.qcow2", f"{size}B", "--format", "qcow2")
    spec = VolumeSpec(pool_id=pool(site).id, name="again.qcow2", size_bytes=8 * MIB)
    created = [note(site, "again.qcow2", REQUESTED, size=str(size))]
    task = site.task(ask(site, create_volume, spec, created_resources=created))
    assert task.state is TaskState.SUCCEEDED, task
    assert "8.00 MiB" in host.virsh("vol-info", "--pool", "local", "again.qcow2")


def test_a_run_after_a_crash_goes_on_with_the_copy_it_made(host: LabHost, site: Site) -> None:
    host.virsh("vol-clone", "--pool", "local", "user.qcow2", "copy.qcow2")
    original = row(site, Volume, Volume.name == "user.qcow2").id
    created = [note(site, "copy.qcow2", REQUESTED, boot=boot(site, host))]
    task = site.task(
        ask(site, clone_volume, original, VolumeClone(name="copy.qcow2"), created_resources=created)
    )
    assert task.state is TaskState.SUCCEEDED, task
    assert "copy.qcow2" in volumes_of(host)


def test_a_run_after_a_crash_attaches_the_new_volume_once(host: LabHost, site: Site) -> None:
    host.virsh("vol-create-as", "local", "user-vdb.qcow2", "8M", "--format", "qcow2")
    path = host.virsh("vol-path", "--pool", "local", "user-vdb.qcow2").strip()
    host.virsh("attach-disk", "user", path, "vdb", "--subdriver", "qcow2", "--config")
    vm: Vm = row(site, Vm, Vm.name == "user")
    created = [note(site, "user-vdb.qcow2", CREATED, vm=vm.uuid)]
    disk_spec = DiskSpec(
        pool_id=pool(site).id, size_bytes=8 * MIB, volume_name="user-vdb.qcow2", bus="virtio"
    )
    with site.services.database.begin() as session:  # as it was when it was asked for
        session.execute(sa.delete(Volume).where(Volume.name == "user-vdb.qcow2"))
        parsed = session.get_one(VmDefinition, vm.id).parsed
        first = [disk for disk in parsed["disks"] if disk["target"] != "vdb"]
        session.execute(sa.update(VmDefinition).values(parsed=parsed | {"disks": first}))
        task_id = devices_request.add_disk(site.ctx(session), vm.id, disk_spec).id
        session.execute(sa.update(Task).where(Task.id == task_id).values(created_resources=created))
    task = site.task(task_id)
    assert task.state is TaskState.SUCCEEDED, task
    assert host.virsh("domblklist", "user").count("user-vdb.qcow2") == 1


def test_a_move_after_a_crash_leaves_one_copy(host: LabHost, site: Site) -> None:
    """The VM used the copy already; the old one was still to be deleted."""
    moved = row(site, Volume, Volume.name == "user.qcow2")
    host.virsh("vol-clone", "--pool", "local", "user.qcow2", "tmp.qcow2")
    local = moved.path.rpartition("/")[0]
    shared = (pool(site, "shared").target_path or "").rstrip("/")
    host.exec("mv", f"{local}/tmp.qcow2", f"{shared}/user.qcow2")
    host.virsh("pool-refresh", "shared")
    vm: Vm = row(site, Vm, Vm.name == "user")
    created = [note(site, "user.qcow2", CREATED, "shared", vm=vm.uuid, moving=moved.path)]
    with site.services.database.begin() as session:
        session.execute(sa.delete(Volume).where(Volume.pool_id == pool(site, "shared").id))
        task_id = move_volume(site.ctx(session), moved.id, VolumeMove(pool_id=pool(site, "shared").id)).id
        session.execute(sa.update(Task).where(Task.id == task_id).values(created_resources=created))
    task = site.task(task_id)
    assert task.state is TaskState.SUCCEEDED, task
    assert "user.qcow2" not in volumes_of(host)
    assert "user.qcow2" in volumes_of(host, "shared")
    assert f"{shared}/user.qcow2" in host.virsh("dumpxml", "user")


def leave_behind(site: Site, *payload: dict[str, str]) -> str:
    """A task that failed long ago and could not remove this."""
    spec = VolumeSpec(pool_id=pool(site).id, name="spare.raw", size_bytes=MIB, format="raw")
    task_id = site.task(ask(site, create_volume, spec)).id
    with site.services.database.begin() as session:
        failed = sa.update(Task).where(Task.id == task_id)
        session.execute(failed.values(state=TaskState.FAILED.value, created_resources=list(payload)))
    eventually(lambda: row(site, Task, Task.id == task_id).created_resources is None, 20, "it is settled")
    return task_id


def test_a_leftover_that_a_vm_was_given_meanwhile_is_left(host: LabHost, site: Site) -> None:
    host.virsh("vol-create-as", "local", "given.qcow2", "8M", "--format", "qcow2")
    path = host.virsh("vol-path", "--pool", "local", "given.qcow2").strip()
    host.virsh("attach-disk", "user", path, "vdb", "--subdriver", "qcow2", "--config")
    leave_behind(site, note(site, "given.qcow2", CREATED))
    assert "given.qcow2" in volumes_of(host)
    assert row(site, Event, Event.kind == "volume.left").params == {"name": "given.qcow2"}


def test_a_vm_that_somebody_started_is_not_forced_off_as_a_leftover(host: LabHost, site: Site) -> None:
    vm: Vm = row(site, Vm, Vm.name == "user")
    host.virsh("start", "user")
    leave_behind(site, note(site, "user.qcow2", CREATED), vm_note(vm.uuid))
    assert host.virsh("domstate", "user").strip() == "running"
    assert "user.qcow2" in volumes_of(host)
    assert row(site, Event, Event.kind == "vm.left").params == {"uuid": vm.uuid}


def test_a_volume_that_an_earlier_version_noted_before_it_asked_for_it_is_left(
    host: LabHost, site: Site
) -> None:
    host.virsh("vol-create-as", "local", "older.qcow2", "8M", "--format", "qcow2")
    leave_behind(site, volume_note(pool(site).uuid, "older.qcow2"))
    assert "older.qcow2" in volumes_of(host)
    assert row(site, Event, Event.kind == "volume.left").params == {"name": "older.qcow2"}


def test_the_original_of_a_move_stays_when_another_vm_was_given_it_meanwhile(
    host: LabHost, site: Site
) -> None:
    host.create_guest("taker", boots=False)
    site.wait_vm("taker", VmState.SHUTOFF, 15)
    moved = row(site, Volume, Volume.name == "user.qcow2")
    host.virsh("vol-clone", "--pool", "local", "user.qcow2", "tmp.qcow2")
    shared = pool(site, "shared")
    folder = (shared.target_path or "").rstrip("/")
    host.exec("mv", f"{moved.path.rpartition('/')[0]}/tmp.qcow2", f"{folder}/user.qcow2")
    host.virsh("pool-refresh", "shared")
    copied = {"kind": MOVED, "pool": shared.uuid, "name": "user.qcow2"}
    with site.services.database.begin() as session:
        session.execute(sa.delete(Volume).where(Volume.pool_id == shared.id))
        task_id = move_volume(site.ctx(session), moved.id, VolumeMove(pool_id=shared.id)).id
        session.execute(sa.update(Task).where(Task.id == task_id).values(created_resources=[copied]))
        # While it was copied:
        host.virsh("attach-disk", "taker", moved.path, "vdb", "--subdriver", "qcow2", "--config")
    task = site.task(task_id)
    assert task.state is TaskState.SUCCEEDED, task
    assert "taker" in (task.message or "")
    assert "user.qcow2" in volumes_of(host)
    assert f"{folder}/user.qcow2" in host.virsh("dumpxml", "user")


def test_a_volume_that_others_made_while_the_link_was_lost_is_not_deleted_as_half_a_copy(
    host: LabHost, site: Site
) -> None:
    folder = pool(site).target_path or ""
    host.exec("sh", "-c", f"head -c 900M /dev/urandom > {folder}/large.raw", timeout_s=120)
    host.virsh("pool-refresh", "local")
    spec = VolumeClone(name="copy.raw")
    eventually(lambda: row(site, Volume, Volume.name == "large.raw"), 70, "it is listed")
    task_id = ask(site, clone_volume, row(site, Volume, Volume.name == "large.raw").id, spec)
    eventually(lambda: "copy.raw" in host.exec("ls", folder).stdout, 20, "it is being copied")
    host.freeze()
    time.sleep(1.5)
    host.kill_daemon()
    host.exec("rm", f"{folder}/copy.raw")
    host.exec("qemu-img", "create", "-f", "raw", f"{folder}/copy.raw", "3M")
    host.start_daemon()
    task = site.task(task_id, 120)
    assert (task.state, task.error.code) == (TaskState.FAILED, "volume_in_doubt")  # type: ignore[union-attr]
    assert "3.00 MiB" in host.virsh("vol-info", "--pool", "local", "copy.raw")


def test_a_volume_of_a_shared_pool_stays_while_a_vm_of_another_host_uses_it(
    fresh_lab: Lab, site: Site
) -> None:
    one, other = fresh_lab.hosts[:2]
    other.create_guest("there", pool="shared")
    for item in (one, other):
        site.add(item)
    site.wait_vm("there", VmState.SHUTOFF)
    one.virsh("pool-refresh", "shared")
    here = sa.select(Pool.id).where(Pool.host_id == site.host_ids[one.name], Pool.name == "shared")
    listed = (Volume.name == "there.qcow2", Volume.pool_id == here.scalar_subquery())
    eventually(lambda: row(site, Volume, *listed), 15, "the first host lists it")
    with pytest.raises(VigieError) as refused:
        ask(site, delete_volume, row(site, Volume, *listed).id)
    assert refused.value.code in ("volume_may_be_in_use", "volume_in_use")
    shared = (Pool.name == "shared", Pool.shared_mark.is_not(None))
    eventually(lambda: row(site, Pool, *shared), 30, "it is found out by itself that the pool is shared")
    with pytest.raises(VigieError) as refused:
        ask(site, delete_volume, row(site, Volume, *listed).id)
    assert refused.value.code == "volume_in_use"
    assert "there.qcow2" in volumes_of(other, "shared")
