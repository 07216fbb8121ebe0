"""Volumes whose content attacks: none is used before it is checked, by whatever way it is to be used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from app.access.host_connections import connected_host
from app.core.errors import VigieError
from app.core.library.images import ImageSpec
from app.core.storage.uploads import UploadSpec
from app.core.storage.volumes import VolumeClone, VolumeMove, VolumeResize, VolumeSpec
from app.core.tasks.records import TaskRecord
from app.core.tasks.states import TaskState
from app.core.vms.create.spec import DiskSpec, KernelSpec, VmSpec
from app.core.vms.states import VmState
from app.db.models import Event, Pool, Volume
from app.hypervisor.storage.images import ImageRefused
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.lab.paths import POOLS
from app.services.library.image_register import register_image
from app.services.storage.pools.lifecycle import start_pool
from app.services.storage.pools.pools import show_pool
from app.services.storage.pools.refresh import refresh_pool
from app.services.storage.uploads.abandoned import give_up
from app.services.storage.uploads.parts import receive
from app.services.storage.uploads.uploads import begin_upload
from app.services.storage.volumes.clone import clone_volume
from app.services.storage.volumes.create import create_volume
from app.services.storage.volumes.delete import delete_volume
from app.services.storage.volumes.download import open_content
from app.services.storage.volumes.move import move_volume
from app.services.storage.volumes.resize import resize_volume
from app.services.storage.volumes.volumes import show_volume
from app.services.storage.volumes.wipe import wipe_volume
from app.services.vms.create import create
from app.services.vms.definitions import definitions
from app.services.vms.reconfigure import devices_request
from tests.integration.site import ACTOR, Site, eventually

MIB = 1024**2
LOCAL = POOLS["local"]
SECRET = "/etc/vigie-secret"


@pytest.fixture
def host(fresh_lab: Lab, site: Site) -> LabHost:
    host = fresh_lab.hosts[0]
    site.add(host)
    eventually(lambda: pool(site) and pool(site).volumes_read_at, 15, "the volumes are read")
    return host


def row(site: Site, model: Any, *where: Any) -> Any:
    with site.services.database.read() as session:
        found = session.scalar(sa.select(model).where(*where))
        session.expunge_all()
        return found


def pool(site: Site, name: str = "local") -> Any:
    return row(site, Pool, Pool.name == name)


def volume(site: Site, name: str) -> Any:
    return row(site, Volume, Volume.name == name)


def ask(site: Site, service: Callable[..., TaskRecord], *arguments: Any) -> TaskRecord:
    with site.services.database.begin() as session:
        task_id = service(site.ctx(session), *arguments).id
    return site.task(task_id, 60)


def done(site: Site, service: Callable[..., TaskRecord], *arguments: Any) -> None:
    task = ask(site, service, *arguments)
    assert task.state is TaskState.SUCCEEDED, task


def code_of(site: Site, service: Callable[..., TaskRecord], *arguments: Any) -> str | None:
    """The code with which this is refused, by the request or by the task."""
    try:
        task = ask(site, service, *arguments)
    except VigieError as error:
        return error.code
    return task.error.code if task.error else None


def listed(host: LabHost, site: Site, name: str) -> Any:
    """The volume's row, once the pool was refreshed and read."""
    host.virsh("pool-refresh", "local")
    eventually(lambda: volume(site, name), 30, f"{name} is read")
    return volume(site, name)


def every_use(site: Site, host: LabHost, name: str) -> dict[str, str | None]:
    """What comes of each way to use a volume: the code of the refusal, None where it was done."""
    found = volume(site, name)
    vm = site.vm("user")
    assert vm is not None
    found_in = pool(site).id
    uses: dict[str, tuple[Callable[..., TaskRecord], tuple[Any, ...]]] = {
        "clone": (clone_volume, (found.id, VolumeClone(name="stolen.img", format="raw"))),
        "resize": (resize_volume, (found.id, VolumeResize(size_bytes=found.capacity_bytes + MIB))),
        "move": (move_volume, (found.id, VolumeMove(pool_id=pool(site, "shared").id))),
        "overlay": (
            create_volume,
            (VolumeSpec(pool_id=found_in, name="over.qcow2", backing_volume_id=found.id),),
        ),
        "image": (register_image, (ImageSpec(name="stolen", volume_id=found.id),)),
        "attach": (devices_request.add_disk, (vm.id, DiskSpec(volume_id=found.id))),
        "create": (
            create.create_vm,
            (VmSpec(name="thief", host_id=vm.host_id, disks=[DiskSpec(volume_id=found.id)], start=False),),
        ),
    }
    codes = {use: code_of(site, service, *arguments) for use, (service, arguments) in uses.items()}
    try:
        b"".join(open_content(site.services, ACTOR, str, found.id).chunks)
    except VigieError as error:
        codes["download"] = error.code
    else:
        codes["download"] = None
    return codes


def test_a_volume_whose_chain_leaves_the_pools_is_used_in_no_way(host: LabHost, site: Site) -> None:
    host.create_guest("user", boots=False)
    site.wait_vm("user", VmState.SHUTOFF)
    host.exec("sh", "-c", f"umask 077; echo top secret > {SECRET}; truncate -s 1M {SECRET}")
    try:
        host.exec("qemu-img", "create", "-q", "-f", "qcow2", "-b", SECRET, "-F", "raw", f"{LOCAL}/evil.qcow2")
        listed(host, site, "evil.qcow2")
        codes = every_use(site, host, "evil.qcow2")
        expected = dict.fromkeys(codes, "volume_refused") | {"image": "image_refused"}
        assert codes == expected
        held = volume(site, "evil.qcow2")
        assert (held.condition, held.condition_params["path"]) == ("refused", SECRET)
        events = row(site, Event, Event.kind == "volume.held", Event.object_id == held.id)
        assert events is not None
        assert "stolen.img" not in host.virsh("vol-list", "local")
    finally:
        host.exec("rm", "-f", SECRET)
    done(site, delete_volume, volume(site, "evil.qcow2").id)


def test_what_a_guest_wrote_into_a_raw_volume_never_makes_it_qcow2(host: LabHost, site: Site) -> None:
    host.create_guest("user", boots=False)
    site.wait_vm("user", VmState.SHUTOFF)
    spec = VolumeSpec(pool_id=pool(site).id, name="data.img", size_bytes=MIB, format="raw")
    done(site, create_volume, spec)
    host.exec(
        "qemu-img", "create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", f"{LOCAL}/data.new", "1M"
    )
    host.exec("dd", f"if={LOCAL}/data.new", f"of={LOCAL}/data.img", "conv=notrunc", "status=none")
    host.exec("rm", f"{LOCAL}/data.new")
    assert code_of(site, clone_volume, volume(site, "data.img").id, VolumeClone(name="a")) == "volume_refused"
    host.virsh("pool-refresh", "local")
    eventually(
        lambda: volume(site, "data.img").condition == "format_disagrees", 30, "the host's view is read"
    )
    held = volume(site, "data.img")
    assert (held.format, held.backing_path, held.capacity_bytes) == ("raw", None, MIB)
    assert row(site, Event, Event.kind == "volume.held", Event.object_id == held.id) is not None
    assert set(every_use(site, host, "data.img").values()) == {"volume_refused"}
    vm = site.vm("user")
    assert vm is not None
    as_qcow2 = f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{held.path}'/><target dev='vdx' bus='virtio'/></disk>"
    xml = host.virsh("dumpxml", "--inactive", "user").replace("</devices>", f"{as_qcow2}</devices>")
    assert code_of(site, definitions.replace, vm.id, xml, None) == "volume_refused"
    done(site, wipe_volume, held.id)
    eventually(lambda: volume(site, "data.img").condition is None, 30, "it is raw again")
    done(site, clone_volume, held.id, VolumeClone(name="copy.img"))


def test_an_upload_that_is_not_whole_is_nothing_that_libvirt_reads(host: LabHost, site: Site) -> None:
    host.create_guest("user", boots=False)
    site.wait_vm("user", VmState.SHUTOFF)
    host.exec("qemu-img", "create", "-q", "-f", "qcow2", f"{LOCAL}/plain.qcow2", "1M")
    site_host = site.host_ids[host.name]
    with connected_host(site.services, site_host) as open_host:
        open_host.storage.refresh("local")
        plain = b"".join(open_host.storage.read_volume("local", "plain.qcow2", MIB))
    host.exec("rm", f"{LOCAL}/plain.qcow2")
    evil = (
        plain[:8]
        + (1024).to_bytes(8, "big")
        + (11).to_bytes(4, "big")
        + plain[20:1024]
        + b"/etc/passwd"
        + plain[1035:]
    )
    begun = begin(site, "evil.qcow2", len(evil) + 1)
    with pytest.raises(ImageRefused):
        receive(site.services, ACTOR, str, begun, 0, evil)
    assert site.task(begun).state is TaskState.FAILED
    short = begin(site, "cut.qcow2", 100)
    with pytest.raises(ImageRefused):
        receive(site.services, ACTOR, str, short, 0, plain[:60] + bytes(40))
    begun = begin(site, "half.qcow2", len(plain) + 1)
    receive(site.services, ACTOR, str, begun, 0, plain)
    half = listed(host, site, "half.qcow2")
    assert (half.format, pool(site).state) == ("raw", "running")
    assert "format type='raw'" in host.virsh("vol-dumpxml", "--pool", "local", "half.qcow2")
    assert set(every_use(site, host, "half.qcow2").values()) <= {"volume_refused", "busy"}
    with site.services.database.begin() as session:
        assert show_volume(site.ctx(session), half.id).condition == "incomplete"
        give_up(site.ctx(session), begun)
    eventually(lambda: "half.qcow2" not in host.virsh("vol-list", "local"), 15, "it is removed")


def begin(site: Site, name: str, size: int) -> str:
    with site.services.database.begin() as session:
        upload_spec = UploadSpec(name=name, size_bytes=size)
        return begin_upload(site.ctx(session), pool(site).id, upload_spec).id


def test_a_symbolic_link_in_a_pool_is_neither_read_nor_written(host: LabHost, site: Site) -> None:
    host.create_guest("user", boots=False)
    site.wait_vm("user", VmState.SHUTOFF)
    host.exec("sh", "-c", f"echo top secret > {SECRET}; truncate -s 1M {SECRET}")
    try:
        host.exec("ln", "-s", SECRET, f"{LOCAL}/link.img")
        link = listed(host, site, "link.img")
        assert set(every_use(site, host, "link.img").values()) == {"volume_refused"}
        assert code_of(site, wipe_volume, link.id) == "volume_refused"
        assert host.exec("head", "-c", "10", SECRET).stdout == "top secret"
        done(site, delete_volume, link.id)
        assert host.exec("head", "-c", "10", SECRET).stdout == "top secret"
        host.exec("ln", "-s", f"{SECRET}-2", f"{LOCAL}/nowhere.img")
        spec = VolumeSpec(pool_id=pool(site).id, name="nowhere.img", size_bytes=MIB, format="qcow2")
        assert code_of(site, create_volume, spec) == "volume_is_link"
        assert host.exec("ls", f"{SECRET}-2", check=False).returncode != 0, (
            "nothing was made through the link"
        )
    finally:
        host.exec("rm", "-f", SECRET, f"{SECRET}-2", f"{LOCAL}/link.img", f"{LOCAL}/nowhere.img")


def test_a_kernel_or_initrd_is_judged_like_every_other_volume(host: LabHost, site: Site) -> None:
    host.exec("sh", "-c", f"echo top secret > {SECRET}; truncate -s 1M {LOCAL}/kernel {SECRET}")
    try:
        host.exec("ln", "-s", SECRET, f"{LOCAL}/link")
        kernel, link = listed(host, site, "kernel"), listed(host, site, "link")
        assert boots(site, kernel.id, link.id) == boots(site, link.id) == "volume_refused"
        assert volume(site, "link").condition == "refused"
        host.exec("qemu-img", "create", "-q", "-f", "qcow2", f"{LOCAL}/disk.qcow2", "1M")
        assert boots(site, kernel.id, listed(host, site, "disk.qcow2").id) == "invalid_input"
        begun = begin(site, "half.bin", 2 * MIB)
        receive(site.services, ACTOR, str, begun, 0, b"x" * MIB)
        assert boots(site, listed(host, site, "half.bin").id) in ("volume_refused", "busy")
        with site.services.database.begin() as session:
            give_up(site.ctx(session), begun)
        assert host.virsh("list", "--all", "--name").strip() == "", "no VM was made"
        assert boots(site, kernel.id, kernel.id) is None
        vm = site.vm("booted")
        assert vm is not None
        xml = host.virsh("dumpxml", "--inactive", "booted").replace(
            f"<initrd>{kernel.path}<", f"<initrd>{link.path}<"
        )
        assert code_of(site, definitions.replace, vm.id, xml, None) == "volume_refused"
        host.exec(
            "sh", "-c", f"printf 'QFI\\373\\0\\0\\0\\3' | dd of={LOCAL}/kernel conv=notrunc status=none"
        )
        assert boots(site, kernel.id, name="later") == "volume_refused"
    finally:
        host.exec("rm", "-f", SECRET, f"{LOCAL}/link")


def boots(site: Site, kernel: str, initrd: str | None = None, name: str = "booted") -> str | None:
    """What comes of a VM with this kernel: the code of the refusal, None where it was made."""
    choice = KernelSpec(kernel_volume_id=kernel, initrd_volume_id=initrd)
    spec = VmSpec(name=name, host_id=next(iter(site.host_ids.values())), kernel=choice, disks=[], start=False)
    return code_of(site, create.create_vm, spec)


def test_a_pool_that_a_cut_file_stopped_says_which_and_uploads_can_still_be_given_up(
    host: LabHost, site: Site
) -> None:
    begun = begin(site, "half.img", 2 * MIB)
    receive(site.services, ACTOR, str, begun, 0, b"x" * MIB)
    cut = f"{LOCAL}/cut.qcow2"
    host.exec("sh", "-c", f"printf 'QFI\\373\\0\\0\\0\\3' > {cut}; truncate -s 64 {cut}")
    try:
        task = ask(site, refresh_pool, pool(site).id)
        assert task.error is not None
        assert (task.error.code, cut in (task.error.why or "")) == ("pool_unreadable", True)
        assert f"rm -- {cut}" in (task.error.hint or "")
        eventually(lambda: pool(site).stopped_by, 30, "the file is found")
        with site.services.database.begin() as session:
            ctx = site.ctx(session)
            assert "cut.qcow2" in (show_pool(ctx, pool(site).id).stop_reason or "")
            give_up(ctx, begun)
        reported = site.task(begun)
        assert f"rm -- {LOCAL}/half.img" in (reported.message or "")
    finally:
        host.exec("rm", "-f", cut)
    done(site, start_pool, pool(site).id)
    assert pool(site).stopped_by is None
    eventually(lambda: "half.img" not in host.virsh("vol-list", "local"), 45, "what came of it is removed")
