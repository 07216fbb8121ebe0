"""Storage pools on a real host: defined, read anew, stopped, started, taken away; never on the host's system."""

from __future__ import annotations

import subprocess
import threading
from typing import Any

import pytest
import sqlalchemy as sa

from app.core.errors import Busy, Conflict, InvalidInput
from app.core.hosts.states import HostConnection
from app.core.storage.pools import PoolPatch, PoolSpec
from app.core.storage.records import PoolRecord
from app.core.tasks.records import TaskRecord
from app.core.tasks.states import TaskState
from app.core.vms.states import VmState
from app.db.models import Event, Pool, Task
from app.hypervisor import Host
from app.inventory.collectors import storage as storage_collector
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.lab.paths import POOLS
from app.services.storage.pools.change import change_pool
from app.services.storage.pools.create import create_pool
from app.services.storage.pools.lifecycle import delete_pool, start_pool, stop_pool
from app.services.storage.pools.pools import show_pool
from app.services.storage.pools.refresh import refresh_pool
from app.services.storage.pools.verify_shared import verify_shared
from tests.integration.site import Site, eventually

PATH = "/srv/more"


@pytest.fixture
def host(fresh_lab: Lab, site: Site) -> LabHost:
    """A host that is known."""
    host = fresh_lab.hosts[0]
    site.add(host)
    eventually(lambda: pool(site, "local"), 15, "its pools")
    return host


def pool(site: Site, name: str) -> Pool | None:
    with site.services.database.read() as session:
        found = session.scalar(sa.select(Pool).where(Pool.name == name))
        session.expunge_all()
        return found


def ask(site: Site, service: Any, *arguments: Any) -> str:
    with site.services.database.begin() as session:
        return service(site.ctx(session), *arguments).id


def done(site: Site, service: Any, *arguments: Any) -> None:
    task = site.task(ask(site, service, *arguments), 60)
    assert task.state is TaskState.SUCCEEDED, task


def test_a_pool_from_its_definition_to_its_end(host: LabHost, site: Site) -> None:
    done(site, create_pool, PoolSpec(host_id=site.host_ids[host.name], name="more", target_path=PATH))
    created = pool(site, "more")
    assert created is not None
    try:
        assert (created.state, created.autostart, created.target_path) == ("running", True, PATH)
        host.exec("qemu-img", "create", "-f", "qcow2", f"{PATH}/found.qcow2", "8M")
        done(site, refresh_pool, created.id)
        assert pool(site, "more").volume_count == 1  # type: ignore[union-attr]
        done(site, change_pool, created.id, PoolPatch(autostart=False))
        done(site, stop_pool, created.id)
        assert (pool(site, "more").state, pool(site, "more").autostart) == ("inactive", False)  # type: ignore[union-attr]
        with pytest.raises(Conflict) as reported:
            ask(site, stop_pool, created.id)
        assert reported.value.code == "wrong_state"
        done(site, start_pool, created.id)
    finally:
        done(site, delete_pool, created.id)
    assert pool(site, "more") is None
    assert "more" not in host.virsh("pool-list", "--all", "--name").split()
    assert "found.qcow2" in host.exec("ls", PATH).stdout, "what it holds stays"
    host.exec("rm", "-r", PATH)


def test_an_older_reading_of_pools_that_ends_later_does_not_overwrite_a_newer_one(
    fresh_lab: Lab, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reading of all volumes takes long; meanwhile somebody stops a pool."""
    begun, go_on, ended, read = threading.Event(), threading.Event(), threading.Event(), Host.read_pools

    def slow(host: Host, *, volumes: bool, only: Any = None) -> Any:
        found = read(host, volumes=volumes, only=only)
        if volumes and only is None and not begun.is_set():
            begun.set()
            assert go_on.wait(30)
            ended.set()
        return found

    monkeypatch.setattr(Host, "read_pools", slow)
    monkeypatch.setattr(storage_collector, "CHANGED_S", 60.0)  # or the next reading puts it right at once
    host = fresh_lab.hosts[0]
    site.add(host)
    assert begun.wait(15)
    host.virsh("pool-destroy", "local")
    try:
        eventually(lambda: (row := pool(site, "local")) and row.state == "inactive", 15, "it is off")
        reported = len(events_of(site))
        go_on.set()
        assert ended.wait(15)
        eventually(lambda: (row := pool(site, "shared")) and row.volumes_read_at, 15, "that is written")
        row = pool(site, "local")
        assert row is not None
        assert (row.state, len(events_of(site))) == ("inactive", reported)
    finally:
        go_on.set()
        host.virsh("pool-start", "local")


def events_of(site: Site) -> list[str]:
    with site.services.database.read() as session:
        return list(session.scalars(sa.select(Event.kind).where(Event.kind == "pool.state")))


def test_a_pool_is_read_anew_after_the_volume_that_its_host_makes_in_it(host: LabHost, site: Site) -> None:
    """Libvirt refuses to read a pool meanwhile; then tasks failed with "asynchronous jobs running"."""
    done(site, create_pool, PoolSpec(host_id=site.host_ids[host.name], name="more", target_path=PATH))
    created = pool(site, "more")
    assert created is not None
    host.exec("truncate", "-s", "8G", f"{PATH}/large.raw")
    done(site, refresh_pool, created.id)
    making = subprocess.Popen(
        ["virsh", "-q", "-c", host.virsh_uri, "vol-clone", "--pool", "more", "large.raw", "copy.raw"]
    )
    try:
        eventually(lambda: "copy.raw" in host.virsh("vol-list", "more"), 10, "the copy begins")
        stopping = site.task(ask(site, stop_pool, created.id))
        assert (stopping.state, stopping.error and stopping.error.code) == (TaskState.FAILED, "pool_busy")
        requested = ask(site, refresh_pool, created.id)
        eventually(lambda: "Waiting" in (site.now(requested).message or ""), 10, "the task waits")
        assert making.poll() is None, "no test of a busy pool"
        task = site.task(requested, 100)
        assert task.state is TaskState.SUCCEEDED, task
    finally:
        making.wait(60)
        done(site, delete_pool, created.id)
        host.exec("rm", "-r", PATH)


def test_a_pool_that_cannot_start_leaves_nothing(host: LabHost, site: Site) -> None:
    spec = PoolSpec(
        host_id=site.host_ids[host.name], name="nowhere", kind="logical", source_name="no-such-group"
    )
    assert site.task(ask(site, create_pool, spec)).state is TaskState.FAILED
    assert "nowhere" not in host.virsh("pool-list", "--all", "--name").split()


def test_a_pool_in_use_stays(fresh_lab: Lab, host: LabHost, site: Site) -> None:
    host.create_guest("user", boots=False)
    site.wait_vm("user", VmState.SHUTOFF)
    host.virsh("pool-refresh", "local")
    done(site, refresh_pool, pool(site, "local").id)  # type: ignore[union-attr]
    with pytest.raises(Conflict) as reported:
        ask(site, delete_pool, pool(site, "local").id)  # type: ignore[union-attr]
    assert (reported.value.code, "user" in (reported.value.texts().why or "")) == ("pool_in_use", True)


SYSTEM = ("/", "/etc", "/usr/share", "/root/x", "/var", "/proc/1", "/boot/", "/var/lib/../../etc", "/dev/shm")


def test_folders_of_the_system_are_refused(site: Site) -> None:
    for path in SYSTEM:
        with pytest.raises(InvalidInput) as reported:
            ask(site, create_pool, PoolSpec(host_id="host_aaaaaaaaaaaaaaaa", name="x", target_path=path))
        assert reported.value.field == "target_path", path


def test_fields_that_a_kind_needs_or_has_not_are_named(site: Site) -> None:
    for kind, fields in (("netfs", "source_host"), ("rbd", "source_host"), ("logical", "source_name")):
        spec = PoolSpec(host_id="host_aaaaaaaaaaaaaaaa", name="x", kind=kind, target_path="/srv/x")  # type: ignore[arg-type]
        with pytest.raises(InvalidInput) as reported:
            ask(site, create_pool, spec)
        assert reported.value.field in (fields, "target_path")


def shared(site: Site, host: LabHost, name: str) -> PoolRecord:
    with site.services.database.read() as session:
        where = (Pool.name == name, Pool.host_id == site.host_ids[host.name])
        return show_pool(site.ctx(session), session.scalars(sa.select(Pool.id).where(*where)).one())


def verify(site: Site, pool_id: str) -> str | None:
    """Have it found out who shares the pool, once no task is at it that Vigie asked for by itself; what is said then."""

    def has_begun() -> bool:
        try:
            tasks.append(ask(site, verify_shared, pool_id))
        except Busy:
            return False
        return True

    tasks: list[str] = []
    eventually(has_begun, 30, "the pool is free")
    done = site.task(tasks[0], 60)
    assert done.state is TaskState.SUCCEEDED
    return done.message


def test_pools_are_proven_to_be_shared_or_not(fresh_lab: Lab, host: LabHost, site: Site) -> None:
    first, second, third = fresh_lab.hosts
    for other in (second, third):
        site.add(other)
    eventually(lambda: len(pools_of(site, "running")) == 6, 15, "the pools of all")
    # Of each other host two pools are asked, which are as large as this one: hosts are counted.
    assert verify(site, shared(site, first, "shared").id) == "2 of 2 other hosts have the same storage."
    found = shared(site, first, "shared")
    assert (found.shared, [item.name for item in found.shared_with]) == (True, [second.name, third.name])
    assert [item.name for item in shared(site, third, "shared").shared_with] == [first.name, second.name]
    assert verify(site, shared(site, first, "local").id) == "0 of 2 other hosts have the same storage."
    assert (shared(site, first, "local").shared, shared(site, first, "local").shared_with) == (False, ())
    assert shared(site, second, "local").shared_with == ()

    def is_clean() -> bool:
        listed = [item.virsh("vol-list", name) for item in fresh_lab.hosts for name in ("shared", "local")]
        return "vigie-proof" not in "".join(listed)

    # Pools are verified by themselves too, which may be under way.
    eventually(is_clean, 30, "no proof is left")


def test_a_host_that_does_not_answer_keeps_its_proof(fresh_lab: Lab, host: LabHost, site: Site) -> None:
    first, second, third = fresh_lab.hosts
    for other in (second, third):
        site.add(other)
    eventually(lambda: len(pools_of(site, "running")) == 6, 15, "the pools of all")
    message = verify(site, shared(site, first, "shared").id)
    while len(shared(site, first, "shared").shared_with) < 2:
        # A host whose pool is being read just then counts as silent, never as different storage.
        assert message is not None
        assert "could not be asked" in message
        message = verify(site, shared(site, first, "shared").id)
    second.freeze()
    try:
        site.wait_host(second, HostConnection.NOT_ANSWERING, 15)
        verify(site, shared(site, first, "shared").id)
        assert len(shared(site, first, "shared").shared_with) == 2
    finally:
        second.thaw()


def test_what_cannot_be_proven_is_said(host: LabHost, site: Site) -> None:
    with pytest.raises(Conflict) as reported:
        ask(site, verify_shared, pool(site, "local").id)  # type: ignore[union-attr]
    assert reported.value.code == "nobody_to_ask"


def test_another_definition_ends_the_proof(fresh_lab: Lab, host: LabHost, site: Site) -> None:
    site.add(fresh_lab.hosts[1])
    eventually(lambda: len(pools_of(site, "running")) == 4, 15, "the pools of both")
    done(site, verify_shared, shared(site, host, "shared").id)
    assert shared(site, host, "shared").shared is True
    before = host.virsh("pool-dumpxml", "shared", "--inactive")
    host.virsh("pool-destroy", "shared")
    try:
        define(host, before.replace(POOLS["shared"], f"{POOLS['shared']}-other"))
        eventually(lambda: shared(site, host, "shared").shared is None, 15, "the proof is gone")
    finally:
        define(host, before)
        host.virsh("pool-start", "shared")


def define(host: LabHost, xml: str) -> None:
    host.exec("sh", "-c", f"cat > /tmp/pool.xml <<'X'\n{xml}\nX")
    host.virsh("pool-define", "/tmp/pool.xml")


def pools_of(site: Site, state: str) -> list[str]:
    with site.services.database.read() as session:
        return list(session.scalars(sa.select(Pool.id).where(Pool.state == state)))


SECRET = "for-the-target"


def pool_with_secret(site: Site, host: LabHost, **given: object) -> TaskRecord:
    spec = {
        "host_id": site.host_ids[host.name],
        "name": "remote",
        "source_host": "127.0.0.9",
        "auth_user": "vigie",
    }
    return site.task(ask(site, create_pool, PoolSpec.model_validate(spec | given)))


def test_the_secret_of_a_pool_is_kept_by_its_host_alone(host: LabHost, site: Site) -> None:
    task = pool_with_secret(
        site,
        host,
        kind="iscsi",
        target_path="/dev/disk/by-path",
        source_device="iqn.2013-06.com.example:x",
        auth_secret=SECRET,
        start=False,
        autostart=False,
    )
    assert task.state is TaskState.SUCCEEDED, task.error
    with site.services.database.read() as session:
        assert SECRET not in str(session.execute(sa.select(Task.params, Task.error, Task.result)).all())
    created = pool(site, "remote")
    assert created is not None
    assert f"vigie-pool-{created.uuid}" in host.virsh("secret-list")
    assert f"<secret uuid='{created.uuid}'/>" in host.virsh("pool-dumpxml", "remote")
    assert host.exec("virsh", "secret-get-value", created.uuid, check=False).returncode != 0, "it is private"
    done(site, delete_pool, created.id)
    assert created.uuid not in host.virsh("secret-list")


def test_a_pool_that_its_host_cannot_have_leaves_no_secret(host: LabHost, site: Site) -> None:
    task = pool_with_secret(site, host, kind="rbd", source_name="vms", auth_secret="c2VjcmV0LWtleQ==")
    assert task.state is TaskState.FAILED, "the lab's hosts have no Ceph, by package or by server"
    assert "vigie-pool" not in host.virsh("secret-list")
    assert pool(site, "remote") is None


def test_a_secret_belongs_to_a_user_and_a_kind(site: Site) -> None:
    rbd = {
        "host_id": "host_aaaaaaaaaaaaaaaa",
        "name": "x",
        "kind": "rbd",
        "source_host": "c",
        "source_name": "p",
    }
    for given, field in (
        ({"auth_user": "u"}, "auth_secret"),
        ({"auth_secret": "s"}, "auth_user"),
        ({"auth_user": "u", "auth_secret": "no base64!"}, "auth_secret"),
        (
            {
                "kind": "dir",
                "source_host": None,
                "source_name": None,
                "target_path": "/srv/x",
                "auth_user": "u",
            },
            "auth_user",
        ),
    ):
        with pytest.raises(InvalidInput) as reported:
            ask(site, create_pool, PoolSpec.model_validate(rbd | given))
        assert reported.value.field == field
