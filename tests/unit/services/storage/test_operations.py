"""What tasks on storage touch, hold and claim, and that those of before can still be read."""

from typing import Any

import pytest
import sqlalchemy as sa

from app.access.context import Services
from app.core.errors import Busy, Conflict
from app.core.hosts.states import HostConnection
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.storage.pools import PoolSpec
from app.core.storage.uploads import UploadSpec
from app.core.storage.volumes import VolumeClone, VolumeMove, VolumeSpec
from app.db.models import Host, IdentityClaim, Pool, Task, TaskLock, Volume
from app.services.storage.pools.create import CreatePool, create_pool
from app.services.storage.pools.lifecycle import stop_pool
from app.services.storage.pools.refresh import refresh_pool
from app.services.storage.uploads.abandoned import forget_uploads
from app.services.storage.uploads.uploads import UploadVolume, begin_upload, list_uploads
from app.services.storage.volumes.clone import CloneVolume, clone_volume
from app.services.storage.volumes.create import create_volume
from app.services.storage.volumes.delete import DeleteVolume, delete_volume
from app.services.storage.volumes.move import MoveVolume, move_volume
from app.tasks import lifecycle
from app.tasks.catalogue import find_operation
from tests.databases import Contexts
from tests.integration.api.conftest import fill

MIB = 1024**2
PLAN = {"pool": "p", "name": "new.raw", "format": "raw", "size_bytes": MIB}
PLACE = {"pool": "p", "name": "old.raw", "path": "/p/old.raw"}


@pytest.fixture
def pools(services: Services) -> list[str]:
    """Two running pools of one host, the first with the volume old.raw."""
    host_id = fill(services).hosts[0]
    ids = [new_id(ObjectKind.POOL) for _ in range(2)]
    sizes = {"capacity_bytes": 2**40, "allocation_bytes": 0, "available_bytes": 2**40}
    kinds = {"kind": "dir", "state": "running", "autostart": True, "persistent": True}
    with services.database.begin() as session:
        session.execute(sa.update(Host).values(connection=HostConnection.CONNECTED.value, mode="managed"))
        for number, pool_id in enumerate(ids):
            where = {"uuid": f"p{number}", "name": f"p{number}", "target_path": f"/p{number}"}
            session.add(Pool(id=pool_id, host_id=host_id, **where, **sizes, **kinds))
        session.flush()
        size = {"capacity_bytes": MIB, "allocation_bytes": MIB}
        place = {"name": "old.raw", "path": "/p0/old.raw", "kind": "file", "format": "raw"}
        session.add(Volume(id=new_id(ObjectKind.VOLUME), pool_id=ids[0], **place, **size))
    return ids


def volume_id(ctx: Contexts) -> str:
    return ctx().session.scalars(sa.select(Volume.id).where(Volume.name == "old.raw")).one()


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        (
            "pool.create",
            {"uuid": "u", "spec": {"host_id": "host_aaaaaaaaaaaaaaaa", "name": "x"}, "secret": None},
        ),
        ("pool.start", {"uuid": "u"}),
        ("pool.change", {"uuid": "u", "autostart": False}),
        ("pool.define", {"uuid": "u", "digest": "d", "xml": "<pool/>", "sealed": None}),
        (
            "pool.verify-shared",
            {"uuid": "u", "pool_id": "p", "others": [{"host_id": "h", "pool_id": "q", "uuid": "v"}]},
        ),
        ("volume.create", {"volume": PLAN}),
        ("volume.clone", {"volume": {**PLAN, "clone_of": "/p/old.raw", "clone_format": "raw"}}),
        ("volume.resize", {**PLACE, "size_bytes": MIB, "shrink": False, "vm": None}),
        ("volume.move", {**PLACE, "to": PLAN, "vms": ["v"]}),
        ("volume.delete", PLACE),
    ],
)
def test_a_task_that_was_queued_before_can_be_read(kind: str, stored: dict[str, Any]) -> None:
    operation = find_operation(kind)
    assert operation is not None
    parameters = operation.read("target", "host", stored, 1)
    assert (parameters.target_id, parameters.host_id) == ("target", "host")
    assert {touch.id for touch in operation.touches(parameters)} <= {"target", "host"}


def test_a_new_pool_has_its_id_from_the_request_on(
    services: Services, pools: list[str], ctx: Contexts
) -> None:
    host_id = ctx().session.scalars(sa.select(Pool.host_id).where(Pool.id == pools[0])).one()
    spec = PoolSpec(host_id=host_id, name="more", target_path="/srv/more")
    task = create_pool(ctx(), spec)
    assert task.target is not None
    assert (task.target.kind, task.target.name) == (ObjectKind.POOL, "more")
    claim = ctx().session.scalars(sa.select(IdentityClaim).where(IdentityClaim.task_id == task.id)).one()
    assert (claim.object_id, claim.host_id) == (task.target.id, host_id)
    with pytest.raises(Busy):
        create_pool(ctx(), spec)
    assert ctx().session.get_one(Task, task.id).kind == CreatePool.kind


def test_volumes_are_made_side_by_side_in_a_pool_that_stays_meanwhile(
    pools: list[str], ctx: Contexts
) -> None:
    for name in ("one.raw", "two.raw"):
        create_volume(ctx(), VolumeSpec(pool_id=pools[0], name=name, size_bytes=MIB, format="raw"))
    refresh_pool(ctx(), pools[0])
    with pytest.raises(Busy):
        refresh_pool(ctx(), pools[0])
    with pytest.raises(Busy):
        stop_pool(ctx(), pools[0])
    stop_pool(ctx(), pools[1])
    with pytest.raises(Busy):
        create_volume(ctx(), VolumeSpec(pool_id=pools[1], name="one.raw", size_bytes=MIB, format="raw"))


@pytest.mark.parametrize("operation", [CloneVolume, MoveVolume, DeleteVolume])
def test_every_pool_and_volume_is_touched(operation: Any, pools: list[str], ctx: Contexts) -> None:
    volume = volume_id(ctx)
    request = {
        CloneVolume: lambda: clone_volume(ctx(), volume, VolumeClone(name="copy.raw", pool_id=pools[1])),
        MoveVolume: lambda: move_volume(ctx(), volume, VolumeMove(pool_id=pools[1])),
        DeleteVolume: lambda: delete_volume(ctx(), volume),
    }[operation]
    task_id = request().id
    task = ctx().session.get_one(Task, task_id)
    parameters = operation().read(task.target_id, task.host_id, task.params, task.params_version)
    wanted = {
        CloneVolume: {(volume, "volume.edit"), (pools[1], "volume.edit")},
        MoveVolume: {(item, "volume.edit") for item in (volume, *pools)},
        DeleteVolume: {(volume, "volume.delete"), (pools[0], "volume.delete")},
    }[operation]
    assert {(touch.id, touch.privilege) for touch in operation().touches(parameters)} == wanted


def test_what_changed_before_a_task_begins_refuses_it(
    services: Services, pools: list[str], ctx: Contexts
) -> None:
    task = create_volume(ctx(), VolumeSpec(pool_id=pools[0], name="new.raw", size_bytes=MIB, format="raw"))
    size = {"capacity_bytes": MIB, "allocation_bytes": MIB}
    place = {"name": "new.raw", "path": "/p0/new.raw", "kind": "file", "format": "raw"}
    ctx().session.add(Volume(id=new_id(ObjectKind.VOLUME), pool_id=pools[0], **place, **size))
    ctx.commit()
    with services.database.begin() as session:
        assert lifecycle.begin_task(services, session, task.id) is None
    with services.database.read() as session:
        assert (session.get_one(Task, task.id).error or {})["code"] == "volume_exists"
        assert session.scalars(sa.select(TaskLock).where(TaskLock.task_id == task.id)).all() == []


def test_a_pool_that_is_off_is_for_the_host_to_refuse_once_a_task_begins(
    services: Services, pools: list[str], ctx: Contexts
) -> None:
    task = stop_pool(ctx(), pools[0])
    ctx().session.execute(sa.update(Pool).values(state="inactive"))
    ctx.commit()
    with services.database.begin() as session:
        assert lifecycle.begin_task(services, session, task.id) is not None
    with pytest.raises(Conflict):
        refresh_pool(ctx(), pools[0])


def test_uploads_of_a_restored_database_are_forgotten(pools: list[str], ctx: Contexts) -> None:
    upload = begin_upload(ctx(), pools[0], UploadSpec(name="file.img", size_bytes=4096))
    assert ctx().session.get_one(Task, upload.id).kind == UploadVolume.kind
    forget_uploads(ctx().session)
    assert list_uploads(ctx(), pools[0]).items == ()
