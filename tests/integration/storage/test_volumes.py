"""Volumes on real hosts: made, grown, copied, moved under a running VM, deleted; what is in use is refused."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from app.access.host_connections import connected_host
from app.core.errors import Conflict, HostError, HypervisorRefused, InvalidInput, NotFound, VigieError
from app.core.hosts.states import HostConnection
from app.core.library.images import ImageSpec
from app.core.storage.created_volumes import REQUESTED, volume_note
from app.core.storage.specs import VolumeQuery
from app.core.storage.uploads import UploadSpec
from app.core.storage.volumes import VolumeClone, VolumeMove, VolumeResize, VolumeSpec
from app.core.tasks.records import TaskRecord
from app.core.tasks.states import TaskState
from app.core.vms.power import VmVerb
from app.core.vms.states import VmState
from app.db.models import Pool, Upload, Volume
from app.hypervisor.storage.images import ImageRefused
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.lab.paths import POOLS
from app.services.library.image_register import register_image
from app.services.storage.uploads.abandoned import give_up
from app.services.storage.uploads.claims import PartClaim
from app.services.storage.uploads.parts import receive
from app.services.storage.uploads.uploads import begin_upload
from app.services.storage.volumes.clone import clone_volume
from app.services.storage.volumes.create import create_volume
from app.services.storage.volumes.delete import delete_volume
from app.services.storage.volumes.download import open_content
from app.services.storage.volumes.move import move_volume
from app.services.storage.volumes.resize import resize_volume
from app.services.storage.volumes.volumes import list_volumes, show_volume
from app.services.storage.volumes.wipe import wipe_volume
from app.tasks import lifecycle
from tests.integration.site import ACTOR, Site, eventually

MIB = 1024**2
PART = 3 * MIB


@pytest.fixture
def host(fresh_lab: Lab, site: Site) -> LabHost:
    """A host with a guest `user`."""
    host = fresh_lab.hosts[0]
    host.create_guest("user", boots=False)
    site.add(host)
    site.wait_vm("user", VmState.SHUTOFF)
    eventually(lambda: volume(site, "user.qcow2"), 15, "the volumes are read")
    return host


def volume(site: Site, name: str) -> Volume | None:
    with site.services.database.read() as session:
        found = session.scalar(sa.select(Volume).where(Volume.name == name))
        session.expunge_all()
        return found


def id_of(site: Site, name: str) -> str:
    found = volume(site, name)
    assert found is not None, name
    return found.id


def pool_id(site: Site, name: str = "local") -> str:
    with site.services.database.read() as session:
        return session.scalars(sa.select(Pool.id).where(Pool.name == name)).one()


def ask(site: Site, service: Callable[..., TaskRecord], *arguments: Any) -> str:
    with site.services.database.begin() as session:
        return service(site.ctx(session), *arguments).id


def done(site: Site, service: Callable[..., TaskRecord], *arguments: Any) -> TaskRecord:
    task = site.task(ask(site, service, *arguments), 90)
    assert task.state is TaskState.SUCCEEDED, task
    return task


def refused(site: Site, service: Callable[..., TaskRecord], *arguments: Any) -> VigieError:
    with pytest.raises(VigieError) as reported:
        ask(site, service, *arguments)
    return reported.value


def test_a_volume_from_its_making_to_its_end(host: LabHost, site: Site) -> None:
    done(site, create_volume, VolumeSpec(pool_id=pool_id(site), name="a.qcow2", size_bytes=64 * MIB))
    created = volume(site, "a.qcow2")
    assert created is not None
    assert (created.format, created.capacity_bytes) == ("qcow2", 64 * MIB)
    done(site, resize_volume, created.id, VolumeResize(size_bytes=96 * MIB))
    assert "96.00 MiB" in host.virsh("vol-info", "--pool", "local", "a.qcow2")
    smaller = VolumeResize(size_bytes=32 * MIB)
    assert refused(site, resize_volume, created.id, smaller).field == "size_bytes"  # type: ignore[attr-defined]
    child = VolumeSpec(pool_id=pool_id(site), name="child.qcow2", backing_volume_id=created.id)
    done(site, create_volume, child)
    with site.services.database.read() as session:
        ctx = site.ctx(session)
        assert show_volume(ctx, id_of(site, "child.qcow2")).chain == (created.path,)
        assert [user.name for user in show_volume(ctx, created.id).users] == ["child.qcow2"]
        unused = list_volumes(ctx, VolumeQuery(pool=pool_id(site), unused=True)).items
        assert [item.name for item in unused] == ["child.qcow2"]
    for service, arguments in (
        (delete_volume, ()),
        (wipe_volume, ()),
        (resize_volume, (VolumeResize(size_bytes=128 * MIB),)),
    ):
        error = refused(site, service, created.id, *arguments)
        assert (error.code, "child.qcow2" in (error.texts().why or "")) == ("volume_in_use", True)
    done(site, clone_volume, created.id, VolumeClone(name="copy.img", format="raw"))
    assert volume(site, "copy.img").capacity_bytes == 96 * MIB  # type: ignore[union-attr]
    for name in ("child.qcow2", "a.qcow2", "copy.img"):
        done(site, delete_volume, id_of(site, name))
        assert volume(site, name) is None
        assert name not in host.virsh("vol-list", "local")


def test_a_disk_is_grown_and_moved_while_its_vm_runs(host: LabHost, site: Site) -> None:
    host.virsh("start", "user")
    site.wait_vm("user", VmState.RUNNING)
    error = refused(site, clone_volume, id_of(site, "user.qcow2"), VolumeClone(name="torn"))
    assert error.code == "volume_busy"
    done(site, resize_volume, id_of(site, "user.qcow2"), VolumeResize(size_bytes=200 * MIB))
    assert "Capacity:       209715200" in host.virsh("domblkinfo", "user", "vda")
    before = host.virsh("dominfo", "user")
    done(site, move_volume, id_of(site, "user.qcow2"), VolumeMove(pool_id=pool_id(site, "shared")))
    moved = volume(site, "user.qcow2")
    assert moved is not None
    assert moved.path.startswith(POOLS["shared"])
    for definition in (host.virsh("dumpxml", "user"), host.virsh("dumpxml", "--inactive", "user")):
        assert moved.path in definition
        assert f"{POOLS['local']}/user" not in definition
    assert "user.qcow2" not in host.virsh("vol-list", "local")
    assert host.virsh("dominfo", "user").splitlines()[:3] == before.splitlines()[:3], "the same run of the VM"


def test_a_disk_is_moved_while_its_vm_is_off_and_a_full_pool_changes_nothing(
    host: LabHost, site: Site
) -> None:
    done(site, move_volume, id_of(site, "user.qcow2"), VolumeMove(pool_id=pool_id(site, "shared")))
    assert f"{POOLS['shared']}/user.qcow2" in host.virsh("dumpxml", "user")
    host.virsh("start", "user")
    full = VolumeSpec(pool_id=pool_id(site), name="full", size_bytes=2**50, format="raw", preallocate=True)
    assert refused(site, create_volume, full).code == "pool_full"


def by_name(host: LabHost) -> None:
    """Have the guest's definition name its disk by pool and volume, as virsh can."""
    xml = host.virsh("dumpxml", "--inactive", "user")
    path = f"{POOLS['local']}/user.qcow2"
    named = xml.replace(f"<source file='{path}'/>", "<source pool='local' volume='user.qcow2'/>")
    assert named != xml
    before, disk, after = named.partition("<disk type='file'")
    host.define(before + disk.replace("file", "volume") + after)


def test_a_disk_that_its_vm_names_by_pool_and_volume_is_moved_and_grown(host: LabHost, site: Site) -> None:
    by_name(host)
    eventually(lambda: users(site, "user.qcow2") == ["user"], 15, "its new definition is read")
    old, new = f"{POOLS['local']}/user.qcow2", f"{POOLS['shared']}/user.qcow2"
    done(site, move_volume, id_of(site, "user.qcow2"), VolumeMove(pool_id=pool_id(site, "shared")))
    assert host.virsh("domblklist", "user").split()[-1] == new
    assert "volume='user.qcow2'" not in host.virsh("dumpxml", "user")
    done(site, move_volume, id_of(site, "user.qcow2"), VolumeMove(pool_id=pool_id(site, "local")))
    by_name(host)
    host.virsh("start", "user")
    site.wait_vm("user", VmState.RUNNING)
    done(site, resize_volume, id_of(site, "user.qcow2"), VolumeResize(size_bytes=200 * MIB))
    assert "Capacity:       209715200" in host.virsh("domblkinfo", "user", "vda")
    done(site, move_volume, id_of(site, "user.qcow2"), VolumeMove(pool_id=pool_id(site, "shared")))
    for definition in (host.virsh("dumpxml", "user"), host.virsh("dumpxml", "--inactive", "user")):
        assert (new in definition, old in definition, "volume='user.qcow2'" in definition) == (
            True,
            False,
            False,
        )
    assert "user.qcow2" not in host.virsh("vol-list", "local")


def users(site: Site, name: str) -> list[str]:
    with site.services.database.read() as session:
        return [user.name for user in show_volume(site.ctx(session), id_of(site, name)).users]


def test_a_definition_that_does_not_name_the_new_volume_is_no_move(host: LabHost, site: Site) -> None:
    done(site, create_volume, VolumeSpec(pool_id=pool_id(site), name="other.qcow2", size_bytes=MIB))
    vm, other = site.vm("user"), volume(site, "other.qcow2")
    assert vm is not None
    assert other is not None
    with connected_host(site.services, site.host_ids[host.name]) as open_host:
        with pytest.raises(HypervisorRefused) as reported:
            open_host.disks.repoint(vm.uuid, "/nowhere/user.qcow2", other.path, "qcow2")
        assert reported.value.code == "not_repointed"
        open_host.disks.repoint(vm.uuid, f"{POOLS['local']}/user.qcow2", other.path, "qcow2")
        open_host.disks.repoint(vm.uuid, f"{POOLS['local']}/user.qcow2", other.path, "qcow2")
    assert other.path in host.virsh("dumpxml", "user")


def test_a_vm_does_not_start_on_the_base_of_other_volumes_or_on_an_image(host: LabHost, site: Site) -> None:
    over = VolumeSpec(pool_id=pool_id(site), name="over.qcow2", backing_volume_id=id_of(site, "user.qcow2"))
    done(site, create_volume, over)
    reported = site.task(site.act("user", VmVerb.START))
    assert (reported.state, reported.error.code if reported.error else None) == (
        TaskState.FAILED,
        "volume_in_use",
    )
    assert "over.qcow2" in (reported.error.why if reported.error and reported.error.why else "")
    assert host.virsh("domstate", "user").strip() == "shut off"
    golden = VolumeSpec(pool_id=pool_id(site), name="golden.qcow2", size_bytes=MIB)
    done(site, create_volume, golden)
    done(site, register_image, ImageSpec(name="golden", volume_id=id_of(site, golden.name)))
    xml = host.virsh("dumpxml", "--inactive", "user").replace("/user.qcow2'", "/golden.qcow2'")
    host.define(xml)
    eventually(lambda: "user" in users(site, golden.name), 15, "its new definition is read")
    reported = site.task(site.act("user", VmVerb.START))
    assert (reported.error.code if reported.error else None) == "volume_in_use"
    host.define(xml.replace("<target dev='vda'", "<readonly/><target dev='vda'"))
    site.do("user", VmVerb.START)


def test_a_vm_is_not_restored_on_the_base_of_other_volumes(host: LabHost, site: Site) -> None:
    host.virsh("start", "user")
    site.wait_vm("user", VmState.RUNNING)
    host.virsh("managedsave", "user")
    site.wait_vm("user", VmState.SAVED, 15)
    over = VolumeSpec(pool_id=pool_id(site), name="over.qcow2", backing_volume_id=id_of(site, "user.qcow2"))
    done(site, create_volume, over)
    reported = site.task(site.act("user", VmVerb.RESTORE))
    assert (reported.state, reported.error.code if reported.error else None) == (
        TaskState.FAILED,
        "volume_in_use",
    )
    done(site, delete_volume, id_of(site, "over.qcow2"))
    site.do("user", VmVerb.RESTORE)


def test_names_that_lead_elsewhere_are_refused(host: LabHost, site: Site) -> None:
    for name in ("../x", "a/b", "-rf", "..", "a\nb", ""):
        with pytest.raises(ValueError):
            VolumeSpec(pool_id=pool_id(site), name=name, size_bytes=MIB)
    taken = VolumeSpec(pool_id=pool_id(site), name="user.qcow2", size_bytes=MIB)
    assert refused(site, create_volume, taken).code == "volume_exists"


# -- uploads -----------------------------------------------------------------------------------------------


def begin(site: Site, name: str, data: bytes, sha256: str | None = None) -> str:
    with site.services.database.begin() as session:
        spec = UploadSpec(name=name, size_bytes=len(data), sha256=sha256)
        return begin_upload(site.ctx(session), pool_id(site), spec).id


def send(site: Site, upload_id: str, data: bytes, start: int, end: int) -> int:
    part = data[start:end]
    return receive(site.services, ACTOR, str, upload_id, start, part).offset_bytes


def test_a_file_is_sent_in_parts_and_read_back(host: LabHost, site: Site) -> None:
    data = os.urandom(4 * MIB) + bytes(8 * MIB) + os.urandom(MIB + 17)
    upload_id = begin(site, "file.img", data, hashlib.sha256(data).hexdigest())
    assert site.now(upload_id).state is TaskState.RUNNING
    at = 0
    while at < len(data):
        for wrong in (at + 1, max(0, at - 1)):
            if wrong != at:
                with pytest.raises(Conflict) as reported:
                    send(site, upload_id, data, wrong, wrong + 10)
                assert (reported.value.code, str(at) in (reported.value.texts().why or "")) == (
                    "wrong_offset",
                    True,
                )
        at = send(site, upload_id, data, at, at + PART)
    assert site.task(upload_id).state is TaskState.SUCCEEDED
    created = volume(site, "file.img")
    assert created is not None
    assert created.allocation_bytes < 7 * MIB, "zeros take no space"
    content = open_content(site.services, ACTOR, str, created.id)
    assert (content.size_bytes, b"".join(content.chunks) == data) == (len(data), True)
    with pytest.raises(NotFound):
        send(site, upload_id, data, 0, 10)


def test_what_is_too_much_wrong_or_given_up_leaves_nothing(host: LabHost, site: Site) -> None:
    data = os.urandom(MIB)
    upload_id = begin(site, "wrong.img", data, "0" * 64)
    with pytest.raises(InvalidInput) as reported:
        send(site, upload_id, data + b"x", 0, len(data) + 1)
    assert reported.value.field == "body"
    with pytest.raises(Conflict) as wrong:
        send(site, upload_id, data, 0, len(data))
    assert wrong.value.code == "wrong_checksum"
    assert site.task(upload_id).state is TaskState.FAILED
    cut = begin(site, "cut.img", data)
    send(site, cut, data, 0, 1000)
    site.cancel(cut)
    assert site.task(cut).state is TaskState.CANCELLED
    eventually(lambda: {"wrong.img", "cut.img"}.isdisjoint(names(host)), 15, "what came of them is removed")
    with site.services.database.read() as session:
        assert session.scalars(sa.select(Upload)).all() == []


def names(host: LabHost) -> set[str]:
    host.virsh("pool-refresh", "local")
    return set(host.virsh("vol-list", "local").split())


def test_an_upload_goes_on_after_its_host_was_lost(host: LabHost, site: Site) -> None:
    data = os.urandom(2 * MIB)
    upload_id = begin(site, "lost.img", data)
    send(site, upload_id, data, 0, MIB)
    host.freeze()
    try:
        with pytest.raises((HostError, Conflict)):
            send(site, upload_id, data, MIB, 2 * MIB)
        # The part may give up before the watch does: without this "connected" could be a word of before.
        site.wait_host(host, HostConnection.NOT_ANSWERING, 15)
    finally:
        host.thaw()
    site.wait_host(host, HostConnection.CONNECTED, 30)
    assert send(site, upload_id, data, MIB, 2 * MIB) == 2 * MIB
    assert site.task(upload_id).state is TaskState.SUCCEEDED
    content = open_content(site.services, ACTOR, str, id_of(site, "lost.img"))
    assert b"".join(content.chunks) == data


def test_an_upload_never_writes_over_a_volume_that_it_did_not_make(host: LabHost, site: Site) -> None:
    data = os.urandom(1000)
    upload_id = begin(site, "theirs.img", data)
    host.virsh("vol-create-as", "--pool", "local", "theirs.img", "1M")
    with pytest.raises(Conflict) as reported:
        send(site, upload_id, data, 0, 1000)
    assert reported.value.code == "volume_exists"
    site.cancel(upload_id)
    assert site.task(upload_id).state is TaskState.CANCELLED
    assert "theirs.img" in names(host), "what others made stays"


def test_an_upload_that_is_given_up_while_a_part_is_written_ends_when_its_writer_has_left(
    host: LabHost, site: Site
) -> None:
    data = os.urandom(MIB)
    upload_id = begin(site, "slow.img", data)
    send(site, upload_id, data, 0, 1000)
    with site.services.database.begin() as session:
        claim = PartClaim.take(site.ctx(session), upload_id)
    with claim:
        with pytest.raises(Conflict) as reported:
            send(site, upload_id, data, 1000, 2000)
        assert reported.value.code == "part_under_way"
        with site.services.database.begin() as session:
            give_up(site.ctx(session), upload_id)
        time.sleep(7)
        assert site.now(upload_id).state is TaskState.CANCELLING
        assert "slow.img" in names(host), "what is being written stays"
        again = UploadSpec(name="slow.img", size_bytes=1)
        assert refused(site, begin_upload, pool_id(site), again), "and nobody else gets its name"
    assert site.task(upload_id).state is TaskState.CANCELLED
    eventually(lambda: "slow.img" not in names(host), 15, "it is removed")


def test_a_repeated_first_part_whose_volume_is_being_created_is_known_by_the_same_size(
    host: LabHost, site: Site
) -> None:
    """The host had created the volume of the first try after the second had looked; its answer was lost."""
    data = os.urandom(MIB)
    upload_id = begin(site, "twice.img", data)
    note = volume_note(pool_uuid(site), "twice.img") | {"state": REQUESTED, "size": str(MIB - 5 * 1024)}
    with site.services.database.begin() as session:
        lifecycle.note_created(session, upload_id, [note])
    host.virsh("vol-create-as", "local", "twice.img", f"{MIB - 5 * 1024}B", "--format", "raw")
    assert send(site, upload_id, data, 0, MIB) == MIB
    assert site.task(upload_id).state is TaskState.SUCCEEDED


def pool_uuid(site: Site) -> str:
    with site.services.database.read() as session:
        return session.scalars(sa.select(Pool.uuid).where(Pool.name == "local")).one()


def test_an_attack_is_refused_before_anything_opens_it(host: LabHost, site: Site) -> None:
    host.exec("qemu-img", "create", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", "/tmp/evil.qcow2", "1M")
    host.exec("sh", "-c", f"cp /tmp/evil.qcow2 {POOLS['shared']}/evil.bin")
    with connected_host(site.services, site.host_ids[host.name]) as open_host:
        open_host.storage.refresh("shared")
        data = b"".join(open_host.storage.read_volume("shared", "evil.bin", 10 * MIB))
    host.exec("rm", f"{POOLS['shared']}/evil.bin", "/tmp/evil.qcow2")
    upload_id = begin(site, "evil.qcow2", data)
    with pytest.raises(ImageRefused):
        send(site, upload_id, data, 0, len(data))
    task = site.task(upload_id)
    assert (task.state, task.error.code if task.error else None) == (TaskState.FAILED, "image_refused")
    eventually(lambda: "evil.qcow2" not in names(host), 15, "it is removed")
