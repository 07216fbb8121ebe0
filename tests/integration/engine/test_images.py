"""The library of images on two real hosts: taken in, copied when first used, and refused when it is an attack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from app.core.errors import Conflict, EditConflict, InvalidInput
from app.core.images import ImageCopySpec, ImagePatch, ImageSpec
from app.core.records import TaskRecord
from app.core.states import TaskState
from app.core.vmspec import VmBatch
from app.db.models import Image, ImageCopy, Pool, Volume
from app.lab.host import LabHost
from app.lab.hostfiles import ASSETS, POOLS
from app.lab.lab import Lab
from app.services import creation, images, volumes
from tests.integration.engine.site import Site, eventually
from tests.integration.lab.waiting import wait_for_agent

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
    spec = ImageSpec(name=name, volume_id=row(site, Volume, Volume.name == volume).id)
    return site.task(ask(site, images.add_image, spec), 60)


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
        asked = creation.create_many(site.ctx(session), batch)
    assert asked.refused == []
    for each in asked.tasks:
        assert site.task(each.id, 90).state is TaskState.SUCCEEDED
    wait_for_agent(second, "copy-1")
    assert second.exec("sha256sum", f"{POOLS['local']}/cloud.qcow2").stdout.split()[0] == summed
    assert row(site, ImageCopy, ImageCopy.host_id == site.host_ids[second.name]) is not None
    with site.services.database.read() as session:
        shown = images.show_image(site.ctx(session), image.id)
        users = volumes.show_volume(
            site.ctx(session), row(site, Volume, Volume.name == "cloud.qcow2").id
        ).users
    assert [place.host.name for place in shown.places] == [first.name, second.name]
    assert "Tiny" in [user.name for user in users]
    with pytest.raises(Conflict) as told:
        ask(site, volumes.delete_volume, row(site, Volume, Volume.name == "cloud.qcow2").id)
    assert told.value.code == "volume_in_use"
    with pytest.raises(Conflict) as told:
        ask(site, images.copy_image, image.id, ImageCopySpec(pool_id=pool_of(site, second).id))
    assert told.value.code == "image_there"


def test_an_iso_is_copied_on_demand_edited_and_forgotten(hosts: list[LabHost], site: Site) -> None:
    _, second = hosts
    assert take_in(site, "boot.iso", "Boot").state is TaskState.SUCCEEDED
    image = row(site, Image, Image.name == "Boot")
    assert (image.kind, image.format) == ("iso", "raw")
    task = site.task(
        ask(site, images.copy_image, image.id, ImageCopySpec(pool_id=pool_of(site, second).id)), 60
    )
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
        images.forget_image(site.ctx(session), image.id)
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
    task = site.task(
        ask(site, images.copy_image, image.id, ImageCopySpec(pool_id=pool_of(site, second).id)), 60
    )
    assert (task.state, task.error.code if task.error else None) == (TaskState.FAILED, "wrong_checksum")
    assert "cloud.qcow2" not in second.virsh("vol-list", "local")
    with pytest.raises(Conflict) as told:
        take_in(site, "cloud.qcow2", "Again")
    assert told.value.code == "volume_in_use"
