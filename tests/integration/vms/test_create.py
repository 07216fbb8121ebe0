"""Creating VMs on real hosts: what is made is what was asked for, and what fails leaves nothing behind."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from lxml import etree
from pydantic import ValidationError

from app.core.errors import Busy, Conflict, InvalidInput
from app.core.hosts.states import HostConnection
from app.core.library.images import ImageSpec
from app.core.storage.volumes import VolumeClone
from app.core.tasks.records import TaskRecord
from app.core.tasks.states import TaskState
from app.core.vms.create.spec import DiskSpec, VmSpec
from app.core.vms.delete import DeleteSpec
from app.core.vms.power import VmVerb
from app.core.vms.states import VmState
from app.db.models import (
    CloudInitDrive,
    Event,
    History,
    Image,
    ImageCopy,
    Network,
    Pool,
    Task,
    Vm,
    Volume,
)
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.lab.paths import ASSETS, POOLS
from app.services.library import images
from app.services.library.image_register import register_image
from app.services.storage.volumes.clone import clone_volume
from app.services.storage.volumes.download import open_content
from app.services.vms.cloud_init.deletion import DeleteCloudInitDrive, delete_due
from app.services.vms.create import create
from app.services.vms.delete import delete
from app.services.vms.delete.undelete import undelete_vm
from app.services.vms.reconfigure import devices_request
from tests.integration.site import ACTOR, Site, eventually
from tests.integration.waiting import wait_for_agent

MIB = 1024**2
RNG = etree.RelaxNG(etree.parse("/usr/share/libvirt/schemas/domain.rng"))


@pytest.fixture
def host(fresh_lab: Lab, site: Site) -> LabHost:
    """A host that is known with what it has and offers, and whose pool has the lab's boot medium."""
    host = fresh_lab.hosts[0]
    host.exec("cp", f"{ASSETS}/boot.iso", f"{POOLS['local']}/boot.iso")
    host.exec("qemu-img", "convert", "-O", "qcow2", f"{ASSETS}/boot.iso", f"{POOLS['local']}/cloud.qcow2")
    host.virsh("pool-refresh", "local")
    site.add(host)
    eventually(lambda: volume_id(site, "boot.iso"), 15, "the volumes are read")
    eventually(lambda: row(site, Network), 15, "the networks are read")
    return host


def row(site: Site, model: type, *where: object) -> object:
    with site.services.database.read() as session:
        found = session.scalar(sa.select(model).where(*where))  # type: ignore[arg-type]
        session.expunge_all()
        return found


def volume_id(site: Site, name: str) -> str | None:
    found = row(site, Volume, Volume.name == name)
    return found.id if found else None  # type: ignore[attr-defined]


def pool_id(site: Site, host: LabHost, name: str = "local") -> str:
    return row(site, Pool, Pool.host_id == site.host_ids[host.name], Pool.name == name).id  # type: ignore[attr-defined]


def network_id(site: Site, host: LabHost) -> str:
    return row(site, Network, Network.host_id == site.host_ids[host.name]).id  # type: ignore[attr-defined]


def ask(site: Site, **spec: object) -> str:
    with site.services.database.begin() as session:
        return create.create_vm(site.ctx(session), VmSpec.model_validate(spec)).id


def created(site: Site, **spec: object) -> TaskRecord:
    task = site.task(ask(site, **spec), 60)
    assert task.state is TaskState.SUCCEEDED, task
    return task


def test_from_an_iso_with_an_empty_disk(host: LabHost, site: Site) -> None:
    task = created(
        site,
        name="from-iso",
        host_id=site.host_ids[host.name],
        memory_bytes=128 * MIB,
        disks=[
            {"pool_id": pool_id(site, host), "size_bytes": 64 * MIB},
            {"device": "cdrom", "volume_id": volume_id(site, "boot.iso")},
        ],
        nics=[{"network_id": network_id(site, host)}],
        tags=["web"],
        notes="the first",
    )
    vm = site.vm("from-iso")
    assert vm is not None
    assert (vm.id, vm.state, vm.tags, vm.notes) == (
        task.target.id,  # type: ignore[union-attr]
        VmState.RUNNING,
        ["web"],
        "the first",
    )
    with site.services.database.read() as session:
        reported = sa.select(Event.kind, Event.actor_name, Event.task_id).where(Event.object_id == vm.id)
        told_by = {(kind, name, of == task.id) for kind, name, of in session.execute(reported)}
        assert told_by == {("vm.defined", "tester", True), ("vm.started", "tester", True)}
        assert session.scalar(sa.select(History.task_id).where(History.object_id == vm.id)) == task.id
    xml = host.virsh("dumpxml", "--inactive", "from-iso")
    assert RNG.validate(etree.fromstring(xml)), RNG.error_log.last_error
    assert "from-iso-vda.qcow2" in host.virsh("vol-list", "local")
    eventually(lambda: (site.vm("from-iso") or vm).agent_connected, 30, "the guest's agent answers")


BARE = (
    "<domain type='qemu'><name>anew</name><memory unit='MiB'>64</memory><os><type machine='q35'>hvm</type></os>"
    "<devices>{}</devices></domain>"
)


def add_image(site: Site, host: LabHost) -> None:
    """An image of the library that is on the host."""
    size = int(host.exec("stat", "-c", "%s", f"{POOLS['local']}/cloud.qcow2").stdout)
    with site.services.database.begin() as session:
        session.add(
            Image(
                id="img_aaaaaaaaaaaaaaaa", name="tiny", name_key="tiny", kind="disk", format="qcow2", state="ready",
                size_bytes=size, virtual_bytes=20 * MIB, source="lab", created_at=datetime.now(UTC),
                created_by="tester",
            )
        )  # fmt: skip
        session.flush()
        session.add(
            ImageCopy(
                image_id="img_aaaaaaaaaaaaaaaa", host_id=site.host_ids[host.name], pool_uuid="x",
                volume_name="cloud.qcow2", path=f"{POOLS['local']}/cloud.qcow2", checked_at=datetime.now(UTC),
            )
        )  # fmt: skip


def cloud_vm(site: Site, host: LabHost, **more: object) -> TaskRecord:
    """A VM `cloud` from the image, with a cloud-init drive."""
    disk = {"pool": "local", "image_id": "img_aaaaaaaaaaaaaaaa", "size_bytes": 64 * MIB}
    reported = {"user": "bob", "password": "a password that nobody shall see"}
    where = site.host_ids[host.name]
    return created(
        site, name="cloud", host_id=where, memory_bytes=128 * MIB, disks=[disk], cloud_init=reported, **more
    )


def test_from_a_cloud_image_with_a_cloud_init_drive(host: LabHost, site: Site) -> None:
    add_image(site, host)
    password = "a password that nobody shall see"
    created(
        site,
        name="cloud",
        host_id=site.host_ids[host.name],
        memory_bytes=128 * MIB,
        disks=[{"pool": "local", "image_id": "img_aaaaaaaaaaaaaaaa", "size_bytes": 64 * MIB}],
        nics=[{"network": "default"}],
        cloud_init={
            "user": "bob",
            "password": password,
            "ssh_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ bob@example.org"],
            "hostname": "shop-7",
            "network": "static",
            "address": "192.168.122.77/24",
        },
    )
    wait_for_agent(host, "cloud")
    assert guest_says(host, "cloud", "/bin/cat", "/run/seed.txt") == (
        "hostname=shop-7 user=bob keys=1 address=192.168.122.77/24\n"
    )
    assert "backing" in host.virsh("vol-dumpxml", "--pool", "local", "cloud-vda.qcow2")
    with site.services.database.read() as session:
        stored = json.dumps(session.scalars(sa.select(Task.params)).all())
    assert password not in stored
    # Sealed, it is base64, in which three letters may stand by chance.
    assert not re.search(r"\bbob\b|bob@example", stored), "cloud-init is sealed"


def test_a_cloud_init_drive_is_held_back_and_goes_after_the_first_boot(host: LabHost, site: Site) -> None:
    add_image(site, host)
    cloud_vm(site, host)
    drive = volume_id(site, "cloud-seed.iso")
    assert drive is not None
    with pytest.raises(Conflict) as reported:
        open_content(site.services, ACTOR, str, drive)
    assert reported.value.code == "volume_is_cloud_init_drive"
    with site.services.database.begin() as session:
        ctx = site.ctx(session)
        assert "cloud-seed.iso" not in str(images.volume_options(ctx))
        for refused in (
            lambda: register_image(ctx, ImageSpec(volume_id=drive, name="mine")),
            lambda: clone_volume(ctx, drive, VolumeClone(name="copy.iso")),
            lambda: devices_request.add_disk(ctx, vm_of(site).id, DiskSpec(device="cdrom", volume_id=drive)),
        ):
            with pytest.raises(Conflict) as reported:
                refused()
            assert reported.value.code == "volume_is_cloud_init_drive"
    wait_for_agent(host, "cloud")
    eventually(lambda: vm_of(site).agent_connected, 30, "the guest's agent answers")
    now = datetime.now(UTC)
    delete_due(site.services, now=now)
    assert volume_id(site, "cloud-seed.iso"), "cloud-init may read it still"
    delete_due(site.services, now=now + timedelta(minutes=3))
    eventually(lambda: volume_id(site, "cloud-seed.iso") is None, 30, "the cloud-init drive is deleted")
    assert "seed" not in host.virsh("vol-list", "local")
    assert "seed" not in host.virsh("dumpxml", "cloud")
    assert "seed" not in host.virsh("dumpxml", "--inactive", "cloud")
    eventually(lambda: row(site, CloudInitDrive) is None, 10, "nothing is left to remove")
    with site.services.database.read() as session:
        by_whom = sa.select(Task.kind).select_from(Event).outerjoin(Task, Task.id == Event.task_id)
        changed = by_whom.where(Event.kind == "vm.changed", Event.object_name == "cloud")
        assert set(session.scalars(changed)) == {DeleteCloudInitDrive.kind}, (
            "nobody else changed the definition"
        )


def test_no_cloud_init_drive_stays_when_its_vm_is_deleted_and_none_is_missed_when_it_comes_back(
    host: LabHost, site: Site
) -> None:
    add_image(site, host)
    cloud_vm(site, host, start=False)
    vm = vm_of(site)
    with site.services.database.begin() as session:
        (drive,) = [disk for disk in delete.preview_delete(site.ctx(session), vm.id).disks if disk.goes]
        assert (drive.deletable, str(drive.path).endswith("cloud-seed.iso")) == (False, True)
        requested = delete.delete_vm(site.ctx(session), vm.id, DeleteSpec())
    assert site.task(requested.id).state is TaskState.SUCCEEDED
    assert "seed" not in host.virsh("vol-list", "local")
    assert row(site, CloudInitDrive) is None
    with site.services.database.begin() as session:
        requested = undelete_vm(site.ctx(session), vm.id)
    assert site.task(requested.id).state is TaskState.SUCCEEDED
    site.do("cloud", VmVerb.START)


def test_a_cloud_init_drive_that_another_vm_has_in_its_drive_stays_when_its_vm_is_deleted(
    host: LabHost, site: Site
) -> None:
    add_image(site, host)
    cloud_vm(site, host, start=False)
    source = f"{POOLS['local']}/cloud-seed.iso"
    drive = f"<disk type='file' device='cdrom'><source file='{source}'/><target dev='sda' bus='sata'/><readonly/></disk>"
    host.exec("sh", "-c", f"cat > /tmp/anew.xml <<'E'\n{BARE.format(drive)}\nE")
    host.virsh("define", "/tmp/anew.xml")
    with site.services.database.begin() as session:
        requested = delete.delete_vm(site.ctx(session), vm_of(site).id, DeleteSpec())
    error = site.task(requested.id).error
    assert error is not None
    assert (error.code, "anew" in (error.why or "")) == ("volume_in_use", True)
    assert "cloud-seed.iso" in host.virsh("vol-list", "local")


def vm_of(site: Site) -> Vm:
    """The row of the VM `cloud`."""
    vm = site.vm("cloud")
    assert vm is not None
    return vm


def test_from_an_existing_disk(host: LabHost, site: Site) -> None:
    task = created(
        site,
        name="existing",
        host_id=site.host_ids[host.name],
        memory_bytes=128 * MIB,
        disks=[{"volume_id": volume_id(site, "cloud.qcow2")}],
        start=False,
        autostart=True,
    )
    vm = site.vm("existing")
    assert vm is not None
    assert (vm.state, vm.autostart) == (VmState.SHUTOFF, True)
    assert task.result == {"vm": vm.id, "uuid": vm.uuid}
    with pytest.raises(Conflict) as reported:
        ask(
            site,
            name="second",
            host_id=site.host_ids[host.name],
            disks=[{"volume_id": volume_id(site, "cloud.qcow2")}],
        )
    assert reported.value.code == "volume_in_use"
    assert "existing" in (reported.value.texts().why or "")
    site.do("existing", VmVerb.START)
    wait_for_agent(host, "existing")


def test_a_full_pool_leaves_nothing(host: LabHost, site: Site) -> None:
    before = host.virsh("vol-list", "local")
    task = site.task(
        ask(
            site,
            name="too-large",
            host_id=site.host_ids[host.name],
            disks=[
                {"pool": "local", "size_bytes": 8 * MIB},
                {"pool": "local", "size_bytes": 1024**4, "format": "raw", "preallocate": False},
                {"pool": "local", "size_bytes": 2**62, "format": "qcow2"},
            ],
        )
    )
    assert task.state is TaskState.FAILED
    assert task.error is not None
    assert host.virsh("vol-list", "local") == before
    assert "too-large" not in host.virsh("list", "--all", "--name")
    assert leftover(site, task.id) is None


def test_a_start_that_fails_leaves_nothing(host: LabHost, site: Site) -> None:
    before = host.virsh("vol-list", "local")
    task = site.task(
        ask(
            site,
            name="no-such-bridge",
            host_id=site.host_ids[host.name],
            disks=[{"pool": "local", "size_bytes": 8 * MIB}],
            nics=[{"bridge": "br-missing"}],
        )
    )
    assert task.state is TaskState.FAILED
    assert host.virsh("vol-list", "local") == before
    assert "no-such-bridge" not in host.virsh("list", "--all", "--name")
    eventually(lambda: row(site, Vm, Vm.name == "no-such-bridge") is None, 15, "the inventory forgets it")


def test_no_two_that_are_being_made_get_the_same_volume(host: LabHost, site: Site) -> None:
    """Nothing in the inventory used it yet, so both were let through and shared a disk."""
    host.virsh("vol-create-as", "local", "one.qcow2", "8M", "--format", "qcow2")
    host.virsh("pool-refresh", "local")
    eventually(lambda: volume_id(site, "one.qcow2"), 15, "the volume is read")
    disks = [{"volume_id": volume_id(site, "one.qcow2")}]
    spec = {"host_id": site.host_ids[host.name], "start": False, "disks": disks}
    first = ask(site, name="takes-it", **spec)
    with pytest.raises(Conflict) as refused:
        ask(site, name="comes-late", **spec)
    assert refused.value.code in ("busy", "volume_in_use"), (
        "held by the first task, or a disk of its VM by now"
    )
    assert site.task(first).state is TaskState.SUCCEEDED


def test_one_of_two_of_the_same_name(host: LabHost, site: Site) -> None:
    spec = {"name": "twin", "host_id": site.host_ids[host.name], "start": False}
    first = ask(site, **spec)
    with pytest.raises((Busy, Conflict)) as refused:
        ask(site, **spec)
    assert refused.value.code in ("busy", "name_taken")
    assert site.task(first).state is TaskState.SUCCEEDED
    assert host.virsh("list", "--all", "--name").split().count("twin") == 1


def test_a_host_lost_in_the_middle_is_cleaned_when_it_returns(
    fresh_lab: Lab, host: LabHost, site: Site
) -> None:
    host.virsh(
        "vol-create-as", "--pool", "local", "big.raw", "400M", "--format", "raw", "--allocation", "400M"
    )
    before = host.virsh("vol-list", "local")
    task_id = ask(
        site,
        name="lost",
        host_id=site.host_ids[host.name],
        disks=[{"pool": "local", "size_bytes": 900 * MIB, "preallocate": True, "format": "raw"}],
    )
    eventually(lambda: leftover(site, task_id), 10, "the task has begun to make something")
    host.freeze()
    site.cancel(task_id)
    eventually(lambda: site.now(task_id).state.is_final, 90, "the task ends")
    host.thaw()
    site.wait_host(host, HostConnection.CONNECTED, 30)
    eventually(lambda: leftover(site, task_id) is None, 30, "what was left is removed")
    host.virsh("pool-refresh", "local")
    if "lost-vda.img" in host.virsh("vol-list", "local"):
        # It was being created when the host froze. Nothing tells a preallocated volume from one of somebody else.
        assert row(site, Event, Event.kind == "volume.left").params == {"name": "lost-vda.img"}  # type: ignore[attr-defined]
        host.virsh("vol-delete", "--pool", "local", "lost-vda.img")
    assert host.virsh("vol-list", "local") == before
    assert "lost" not in host.virsh("list", "--all", "--name").split()


def leftover(site: Site, task_id: str) -> object:
    return row(site, Task, Task.id == task_id).created_resources  # type: ignore[attr-defined]


def guest_says(host: LabHost, name: str, *command: str) -> str:
    """What a command in the guest prints, by its agent."""
    requested = {
        "execute": "guest-exec",
        "arguments": {"path": command[0], "arg": command[1:], "capture-output": True},
    }
    pid = json.loads(host.virsh("qemu-agent-command", name, json.dumps(requested)))["return"]["pid"]
    status = json.dumps({"execute": "guest-exec-status", "arguments": {"pid": pid}})
    while not (message := json.loads(host.virsh("qemu-agent-command", name, status))["return"])["exited"]:
        pass
    return base64.b64decode(message.get("out-data", "")).decode()


REFUSED = {
    "name": [("a/b", "name"), ("-rf", "name"), ("x" * 64, "name"), ("\x07", "name"), ("", "name")],
    "memory_bytes": [(1, "memory_bytes"), (2**50 + 1, "memory_bytes"), (2**49, "memory_bytes")],
    "machine": [("no-such-machine", "machine")],
    "os": [("no-such-system", "os")],
    "cpu": [({"vcpus": 1000}, "cpu.vcpus"), ({"mode": "custom", "model": "none-such"}, "cpu.model")],
    "firmware": [("efi-secure", "firmware")],
    "nics": [([{"network": "none-such"}], "nics.0.network"), ([{"network": "default", "mac": "01:00:00:00:00:00"}], "mac")],
    "disks": [
        ([{"pool": "none-such", "size_bytes": MIB}], "disks.0.pool"),
        ([{"pool": "local", "size_bytes": 8 * MIB, "volume_name": "boot.iso"}], "disks.0.volume_name"),
        ([{"pool": "local", "size_bytes": 8 * MIB, "volume_name": "../x"}], "volume_name"),
        ([{"pool": "local", "size_bytes": 8 * MIB, "bus": "fdc"}], "disks.0.bus"),
        ([{"device": "cdrom", "bus": "sata"}] * 7, "disks.6.bus"),
    ],
    "cloud_init": [
        ({"user_data": "a: [b"}, "cloud_init"),
        ({"user_data": "#!/bin/sh"}, "cloud_init"),
        ({"user_data": "a: &a [x]\nb: *a"}, "cloud_init"),
    ],
}  # fmt: skip


def test_bad_input_names_its_field(host: LabHost, site: Site) -> None:
    for field, value, named in [(field, *item) for field, tried in REFUSED.items() for item in tried]:
        spec: dict[str, object] = {"name": "bad", "host_id": site.host_ids[host.name]}
        if field == "firmware":
            spec["machine"] = "pc"
        if field == "cloud_init":
            spec["disks"] = [{"pool": "local", "size_bytes": 8 * MIB}]
        with pytest.raises((InvalidInput, ValidationError)) as reported:
            ask(site, **spec | {field: value})
        where = reported.value.field if isinstance(reported.value, InvalidInput) else str(reported.value)
        assert named in where, (value, where)
    assert host.virsh("list", "--all", "--name") == ""


def test_a_vm_named_like_another_of_its_host_is_told_before_and_after(host: LabHost, site: Site) -> None:
    bare = {"host_id": site.host_ids[host.name], "memory_bytes": 64 * MIB, "start": False}
    created(site, name="web-01", **bare)
    with site.services.database.read() as session:
        ctx = site.ctx(session)
        reported = create.preview_vm(ctx, VmSpec.model_validate({"name": "WEB-01", **bare})).warnings
        assert "“WEB-01” differs only in case from “web-01”." in reported
        reported = create.preview_vm(ctx, VmSpec.model_validate({"name": "web-0l", **bare})).warnings
        assert "“web-0l” looks like “web-01”." in reported
        reported = create.preview_vm(ctx, VmSpec.model_validate({"name": "web-02", **bare})).warnings
        assert not [item for item in reported if "web-02" in item]
    task = created(site, name="web-0l", **bare)
    event = row(site, Event, Event.kind == "vm.look_alike")
    assert (event.object_id, event.task_id) == (task.target.id, task.id)  # type: ignore[attr-defined,union-attr]
    assert {"web-01", "web-0l"} <= set(host.virsh("list", "--all", "--name").split())
