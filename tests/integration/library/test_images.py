"""The library of images on two real hosts: taken in, copied when first used, and refused when it is an attack."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.core.errors import Busy, Conflict, EditConflict, InvalidInput
from app.core.library.images import ImageCopySpec, ImageImport, ImagePatch, ImageSpec
from app.core.storage.created_volumes import CREATED, volume_note
from app.core.tasks.records import TaskRecord
from app.core.tasks.states import TaskState
from app.core.vms.create.spec import VmBatch
from app.db.models import Image, ImageCopy, Pool, Task, Volume
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.lab.paths import ASSETS, POOLS
from app.services.library import images
from app.services.library.image_copy import copy_image
from app.services.library.image_import import import_image
from app.services.library.image_register import register_image
from app.services.storage.volumes.delete import delete_volume
from app.services.storage.volumes.volumes import show_volume
from app.services.vms.create import create
from tests.fileserver import FileServer, serving
from tests.integration.conftest import MakeSite
from tests.integration.site import Site, eventually
from tests.integration.waiting import wait_for_agent

MIB = 1024**2


@pytest.fixture
def hosts(fresh_lab: Lab, site: Site) -> list[LabHost]:
    """Two hosts; the pool of the first has a disk image, a medium, and an attack."""
    first, second, _ = fresh_lab.hosts
    pool = POOLS["local"]
    first.exec("cp", f"{ASSETS}/boot.iso", f"{pool}/boot.iso")
    first.exec("qemu-img", "convert", "-O", "qcow2", f"{ASSETS}/boot.iso", f"{pool}/cloud.qcow2")
    first.exec("qemu-img", "create", "-f", "vmdk", f"{pool}/evil.vmdk", "1M")
    first.virsh("pool-refresh", "local")
    for host in (first, second):
        site.add(host)
    eventually(lambda: row(site, Volume, Volume.name == "boot.iso"), 15, "the volumes are read")
    eventually(lambda: pool_of(site, second), 15, "the pools are read")
    return [first, second]


def row(site: Site, model: Any, *where: Any) -> Any:
    with site.services.database.read() as session:
        found = session.scalar(sa.select(model).where(*where))
        session.expunge_all()
        return found


def pool_of(site: Site, host: LabHost) -> Any:
    return row(site, Pool, Pool.host_id == site.host_ids[host.name], Pool.name == "local")


def ask(site: Site, service: Callable[..., TaskRecord], *arguments: Any) -> str:
    with site.services.database.begin() as session:
        return service(site.ctx(session), *arguments).id


def take_in(site: Site, volume: str, name: str) -> TaskRecord:
    """Make a volume of the first host an image."""
    pools = sa.select(Pool.id).where(Pool.host_id == next(iter(site.host_ids.values())))
    found = row(site, Volume, Volume.name == volume, Volume.pool_id.in_(pools))
    spec = ImageSpec(name=name, volume_id=found.id)
    return site.task(ask(site, register_image, spec), 60)


def test_an_image_is_copied_when_it_is_first_used_by_many(hosts: list[LabHost], site: Site) -> None:
    first, second = hosts
    assert take_in(site, "cloud.qcow2", "Tiny").state is TaskState.SUCCEEDED
    image = row(site, Image, Image.name == "Tiny")
    summed = first.exec("sha256sum", f"{POOLS['local']}/cloud.qcow2").stdout.split()[0]
    assert (image.kind, image.format, image.state, image.sha256) == ("disk", "qcow2", "ready", summed)
    batch = VmBatch.model_validate(
        {
            "count": 2,
            "spec": {
                "name": "copy-#", "host_id": site.host_ids[second.name], "memory_bytes": 96 * MIB,
                "disks": [{"pool": "local", "image_id": image.id}],
            },
        }
    )  # fmt: skip
    with site.services.database.begin() as session:
        many = create.create_many(site.ctx(session), batch)
    assert many.refused == []
    for task in many.tasks:
        assert site.task(task.id, 90).state is TaskState.SUCCEEDED
    wait_for_agent(second, "copy-1")
    assert second.exec("sha256sum", f"{POOLS['local']}/cloud.qcow2").stdout.split()[0] == summed
    assert row(site, ImageCopy, ImageCopy.host_id == site.host_ids[second.name]) is not None
    with site.services.database.read() as session:
        shown = images.show_image(site.ctx(session), image.id)
        users = show_volume(site.ctx(session), row(site, Volume, Volume.name == "cloud.qcow2").id).users
    assert [place.host.name for place in shown.places] == [first.name, second.name]
    assert "Tiny" in [user.name for user in users]
    with pytest.raises(Conflict) as reported:
        ask(site, delete_volume, row(site, Volume, Volume.name == "cloud.qcow2").id)
    assert reported.value.code == "volume_in_use"
    with pytest.raises(Conflict) as reported:
        ask(site, copy_image, image.id, ImageCopySpec(pool_id=pool_of(site, second).id))
    assert reported.value.code == "image_there"


def test_vms_wait_for_the_task_whose_copy_of_the_image_a_crash_interrupted(
    hosts: list[LabHost], site: Site
) -> None:
    """All of a batch go on at once; the copy is half there, and noted by the one that comes last."""
    _, second = hosts
    assert take_in(site, "cloud.qcow2", "Tiny").state is TaskState.SUCCEEDED
    image, pool = row(site, Image, Image.name == "Tiny"), pool_of(site, second)
    batch = VmBatch.model_validate(
        {
            "count": 4,
            "spec": {
                "name": "copy-#", "host_id": site.host_ids[second.name], "memory_bytes": 96 * MIB,
                "start": False, "disks": [{"pool": "local", "image_id": image.id}],
            },
        }
    )  # fmt: skip
    with site.services.database.begin() as session:
        requested = create.create_many(site.ctx(session), batch).tasks
        last = max(requested, key=lambda item: (item.created_at, item.id)).id
        created = [volume_note(pool.uuid, "cloud.qcow2") | {"state": CREATED}]
        session.execute(sa.update(Task).where(Task.id == last).values(created_resources=created))
        second.virsh("vol-create-as", "local", "cloud.qcow2", "1M", "--format", "raw")
    for item in requested:
        task = site.task(item.id, 90)
        assert task.state is TaskState.SUCCEEDED, task
    sums = [host.exec("sha256sum", f"{POOLS['local']}/cloud.qcow2").stdout.split()[0] for host in hosts]
    assert sums == [image.sha256] * 2


def test_an_iso_is_copied_on_demand_edited_and_forgotten(hosts: list[LabHost], site: Site) -> None:
    _, second = hosts
    assert take_in(site, "boot.iso", "Boot").state is TaskState.SUCCEEDED
    image = row(site, Image, Image.name == "Boot")
    assert (image.kind, image.format) == ("iso", "raw")
    task = site.task(ask(site, copy_image, image.id, ImageCopySpec(pool_id=pool_of(site, second).id)), 60)
    assert task.state is TaskState.SUCCEEDED, task
    assert "boot.iso" in second.virsh("vol-list", "local")
    with site.services.database.begin() as session:
        changed = images.update_image(site.ctx(session), image.id, ImagePatch(name="Rescue", notes="x"), 1)
        assert (changed.name, changed.version) == ("Rescue", 2)
    with site.services.database.begin() as session, pytest.raises(EditConflict):
        images.update_image(site.ctx(session), image.id, ImagePatch(notes="y"), 1)
    with site.services.database.begin() as session, pytest.raises(InvalidInput):
        images.update_image(site.ctx(session), image.id, ImagePatch(os="no-such-system"))
    with site.services.database.begin() as session:
        images.remove_image(site.ctx(session), image.id)
    assert row(site, Image) is None
    assert "boot.iso" in second.virsh("vol-list", "local"), "its files stay"


def test_attacks_changed_files_and_volumes_in_use_are_refused(hosts: list[LabHost], site: Site) -> None:
    first, second = hosts
    evil = take_in(site, "evil.vmdk", "Evil")
    assert (evil.state, evil.error.code if evil.error else None) == (TaskState.FAILED, "image_refused")
    assert row(site, Image, Image.name == "Evil").state == "failed"
    assert take_in(site, "cloud.qcow2", "Tiny").state is TaskState.SUCCEEDED
    image = row(site, Image, Image.name == "Tiny")
    first.exec("sh", "-c", f"printf x | dd of={POOLS['local']}/cloud.qcow2 bs=1 seek=70000 conv=notrunc")
    task = site.task(ask(site, copy_image, image.id, ImageCopySpec(pool_id=pool_of(site, second).id)), 60)
    assert (task.state, task.error.code if task.error else None) == (TaskState.FAILED, "wrong_checksum")
    assert "cloud.qcow2" not in second.virsh("vol-list", "local")
    with pytest.raises(Conflict) as reported:
        take_in(site, "cloud.qcow2", "Again")
    assert reported.value.code == "volume_in_use"


@pytest.fixture
def served(fresh_lab: Lab) -> Iterator[FileServer]:
    """A server with the lab's medium."""
    with serving(Path(fresh_lab.assets.directory, "boot.iso").read_bytes()) as server:
        yield server


def import_(site: Site, server: FileServer, path: str, **given: object) -> TaskRecord:
    pool = next(iter(site.host_ids.values()))
    spec = {
        "name": "Fetched",
        "url": f"http://localhost:{server.port}/{path}",
        "pool_id": row(site, Pool, Pool.host_id == pool, Pool.name == "local").id,
        "sha256": hashlib.sha256(server.content).hexdigest(),
    }
    return site.task(ask(site, import_image, ImageImport.model_validate(spec | given)), 60)


@pytest.fixture
def importing(fresh_lab: Lab, make_site: MakeSite, served: FileServer) -> Site:
    """One host, and a server from which may be imported."""
    site = make_site(import_from=f"localhost:{served.port}", import_private=True)
    site.add(fresh_lab.hosts[0])
    eventually(
        lambda: row(site, Pool, Pool.name == "local", Pool.state == "running"), 15, "the pools are read"
    )
    return site


def test_a_file_of_another_server_becomes_an_image(
    fresh_lab: Lab, importing: Site, served: FileServer
) -> None:
    served.cuts = 2
    task = import_(importing, served, "cut/debian-11-tiny.iso?key=secret")
    assert task.state is TaskState.SUCCEEDED, task.error
    image = row(importing, Image, Image.name == "Fetched")
    assert (image.kind, image.state, image.os_id) == ("iso", "ready", "debian11")
    assert image.sha256 == hashlib.sha256(served.content).hexdigest()
    summed = fresh_lab.hosts[0].exec("sha256sum", f"{POOLS['local']}/debian-11-tiny.iso").stdout.split()[0]
    assert summed == image.sha256
    assert row(importing, Volume, Volume.name == "debian-11-tiny.iso") is not None
    with importing.services.database.read() as session:
        params = session.scalar(sa.select(Task.params).where(Task.id == task.id))
    assert "secret" not in f"{params}{image.source}"


@pytest.mark.parametrize(
    ("path", "given", "code"),
    [
        ("file/a.iso", {"sha256": "0" * 64}, "wrong_checksum"),
        ("nothing/a.iso", {}, "download_failed"),
        ("to?url=http://127.0.0.3/a.iso", {"volume_name": "a.iso"}, "source_refused"),
    ],
)
def test_what_is_not_the_file_leaves_nothing(
    fresh_lab: Lab, importing: Site, served: FileServer, path: str, given: dict[str, object], code: str
) -> None:
    before = fresh_lab.hosts[0].virsh("vol-list", "local")
    task = import_(importing, served, path, **given)
    assert task.error is not None
    assert task.error.code == code
    fresh_lab.hosts[0].virsh("pool-refresh", "local")
    assert fresh_lab.hosts[0].virsh("vol-list", "local") == before
    assert row(importing, Image, Image.name == "Fetched").state == "failed"


def test_an_attack_from_another_server_is_removed(
    fresh_lab: Lab, importing: Site, served: FileServer
) -> None:
    host = fresh_lab.hosts[0]
    before = host.virsh("vol-list", "local")
    served.content = host.exec(
        "sh", "-c", "qemu-img create -q -f vmdk /tmp/e 1M && base64 /tmp/e"
    ).stdout.encode()
    served.content = base64.b64decode(served.content)
    task = import_(importing, served, "file/evil.img")
    assert task.error is not None
    assert task.error.code == "image_refused"
    host.virsh("pool-refresh", "local")
    assert host.virsh("vol-list", "local") == before


def test_an_import_is_cancelled_and_leaves_nothing(
    fresh_lab: Lab, importing: Site, served: FileServer
) -> None:
    before = fresh_lab.hosts[0].virsh("vol-list", "local")
    served.content, served.pause_s = os.urandom(40 * MIB), 0.05
    pool = row(importing, Pool, Pool.name == "local", Pool.state == "running")
    spec = ImageImport(
        name="Slow",
        url=f"http://localhost:{served.port}/slow/slow.img",
        pool_id=pool.id,
        sha256=hashlib.sha256(served.content).hexdigest(),
    )
    task_id = ask(importing, import_image, spec)
    eventually(lambda: row(importing, Task, Task.id == task_id).created_resources, 15, "it has begun")
    image = row(importing, Image, Image.name == "Slow")
    with importing.services.database.begin() as session, pytest.raises(Busy):
        images.remove_image(importing.ctx(session), image.id)
    with pytest.raises(Busy):
        ask(importing, import_image, spec.model_copy(update={"name": "Same file"}))
    importing.cancel(task_id)
    assert importing.task(task_id, 20).state is TaskState.CANCELLED
    fresh_lab.hosts[0].virsh("pool-refresh", "local")
    assert fresh_lab.hosts[0].virsh("vol-list", "local") == before


def test_what_may_not_be_imported_is_said_at_once(importing: Site, served: FileServer) -> None:
    for given, field in (
        ({"url": "https://elsewhere.example/a.img"}, "url"),
        ({"url": f"http://localhost:{served.port}/file/"}, "volume_name"),
        ({"pool_id": "pool_2222222222222222"}, "pool_id"),
        ({"os": "nothing-like-it"}, "os"),
    ):
        with pytest.raises(InvalidInput) as reported:
            import_(importing, served, "file/a.img", **given)
        assert reported.value.field == field


def test_nothing_is_imported_unless_a_server_is_allowed(site: Site) -> None:
    spec = ImageImport(name="X", url="https://images.example.org/a.img", pool_id="pool_2222222222222222")
    with pytest.raises(Conflict) as refused:
        ask(site, import_image, spec)
    assert refused.value.code == "imports_off"
