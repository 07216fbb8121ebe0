"""Hardware and definitions of VMs on real hosts: at once where that can be, else after the power-off; nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from app.access.context import Actor, Ctx
from app.core.access.privileges import Role
from app.core.errors import Conflict, EditConflict, HypervisorRefused, InvalidInput, NotAllowed, NotFound
from app.core.tasks.records import TaskRecord
from app.core.tasks.states import TaskState
from app.core.vms.create.spec import DiskSpec, NicSpec
from app.core.vms.delete import DeleteSpec
from app.core.vms.devices import HardwarePatch, Media, NicPatch, RenameSpec
from app.core.vms.states import VmState
from app.db.models import CloudInitDrive, HostCapabilities, Network, Pool, Vm, VmDefinition, Volume
from app.hypervisor.xml.domains.read import read_vm
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.lab.paths import ASSETS, POOLS
from app.services.storage.volumes.delete import delete_volume
from app.services.vms.definitions import definitions, redefine
from app.services.vms.delete import delete, undelete
from app.services.vms.delete.undelete import undelete_vm
from app.services.vms.reconfigure import devices_request
from app.services.vms.reconfigure.guard import DefinitionGuard
from app.services.vms.reconfigure.rename import rename_vm
from app.tasks.errors import Interrupted
from tests.integration.site import Site, eventually
from tests.integration.vms.test_create import guest_says
from tests.integration.vms.test_power import context_on
from tests.integration.waiting import wait_for_agent

MIB = 1024**2
OPERATOR = Actor(None, "ope", Role.OPERATOR, "page")


@pytest.fixture
def host(fresh_lab: Lab, site: Site) -> LabHost:
    """A host with a guest `tower`, whose pool has a medium."""
    host = fresh_lab.hosts[0]
    host.exec("cp", f"{ASSETS}/boot.iso", f"{POOLS['local']}/boot.iso")
    host.virsh("pool-refresh", "local")
    host.create_guest("tower")
    site.add(host)
    site.wait_vm("tower", VmState.SHUTOFF)
    eventually(lambda: row(site, Volume, Volume.name == "boot.iso"), 15, "the volumes are read")
    eventually(lambda: row(site, HostCapabilities), 15, "what the host offers is read")
    return host


def row(site: Site, model: Any, *where: Any) -> Any:
    with site.services.database.read() as session:
        found = session.scalar(sa.select(model).where(*where))
        session.expunge_all()
        return found


def vm_id(site: Site) -> str:
    vm = row(site, Vm, Vm.name == "tower")
    assert vm is not None
    return str(vm.id)


def ask(site: Site, service: Callable[..., TaskRecord], *arguments: Any, actor: Actor | None = None) -> str:
    with site.services.database.begin() as session:
        ctx = site.ctx(session) if actor is None else Ctx(site.services, session, actor)
        return service(ctx, vm_id(site), *arguments).id


def done(site: Site, service: Callable[..., TaskRecord], *arguments: Any) -> str:
    task = site.task(ask(site, service, *arguments), 60)
    assert task.state is TaskState.SUCCEEDED, task
    return task.message or ""


def refusal(site: Site, service: Callable[..., TaskRecord], *arguments: Any) -> str | None:
    """The code by which it is refused, at once or in its task."""
    try:
        error = site.task(ask(site, service, *arguments), 60).error
    except Conflict as refused:
        return refused.code
    return error.code if error else None


def version_with(site: Site, name: str) -> int:
    """The number of a version of the VM's definition that names this file."""
    with site.services.database.read() as session:
        ctx, vm = site.ctx(session), vm_id(site)
        numbers = [item.id for item in definitions.list_versions(ctx, vm).items]
        return next(number for number in numbers if name in definitions.show_version(ctx, vm, number))


def definition(site: Site) -> VmDefinition:
    return row(site, VmDefinition, VmDefinition.vm_id == vm_id(site))


def test_a_vm_that_is_off_takes_every_change_and_keeps_what_vigie_does_not_know(
    host: LabHost, site: Site
) -> None:
    host.virsh(
        "metadata",
        "tower",
        "https://example.org/own",
        "--key",
        "own",
        "--set",
        "<mine keep='yes'/>",
        "--config",
    )
    done(
        site,
        devices_request.change_hardware,
        HardwarePatch(
            vcpus=2, vcpus_max=4, memory_bytes=96 * MIB, memory_max_bytes=192 * MIB, title="A tower"
        ),
    )
    pool, network = row(site, Pool, Pool.name == "local"), row(site, Network)
    done(site, devices_request.add_disk, DiskSpec(pool_id=pool.id, size_bytes=16 * MIB))
    done(
        site,
        devices_request.add_disk,
        DiskSpec(device="cdrom", volume_id=row(site, Volume, Volume.name == "boot.iso").id),
    )
    done(site, devices_request.add_nic, NicSpec(network_id=network.id))
    parsed = definition(site).parsed
    targets = [disk["target"] for disk in parsed["disks"]]
    assert (parsed["vcpus"], parsed["vcpus_max"], parsed["memory_max_bytes"], parsed["title"]) == (
        2,
        4,
        192 * MIB,
        "A tower",
    )
    drive = next(disk["target"] for disk in parsed["disks"] if disk["device"] == "cdrom")
    done(site, devices_request.change_media, drive, Media())
    done(site, devices_request.change_hardware, HardwarePatch(boot=[targets[0], parsed["nics"][0]["mac"]]))
    xml = host.virsh("dumpxml", "tower")
    assert "keep=" in xml, "what virsh wrote is there"
    assert "boot.iso" not in xml
    assert xml.count("<boot order=") == 2
    new = next(target for target in targets if target not in ("vda", drive))
    assert f"tower-{new}.qcow2" in host.virsh("vol-list", "local")
    done(site, devices_request.remove_device, new)
    assert f"tower-{new}.qcow2" in host.virsh("vol-list", "local"), "the volume stays"
    assert f"dev='{new}'" not in host.virsh("dumpxml", "tower")
    host.virsh("start", "tower")
    wait_for_agent(host, "tower")


def test_a_vm_that_runs_is_changed_at_once_where_it_can_and_marked_where_not(
    host: LabHost, site: Site
) -> None:
    done(site, devices_request.change_hardware, HardwarePatch(vcpus_max=2, memory_max_bytes=256 * MIB))
    host.virsh("start", "tower")
    site.wait_vm("tower", VmState.RUNNING)
    wait_for_agent(host, "tower")
    pool, network = row(site, Pool, Pool.name == "local"), row(site, Network)
    assert (
        done(site, devices_request.change_hardware, HardwarePatch(vcpus=2, memory_bytes=200 * MIB))
        == "It is changed."
    )
    assert (
        done(site, devices_request.add_disk, DiskSpec(pool_id=pool.id, size_bytes=16 * MIB))
        == "It is changed."
    )
    assert done(site, devices_request.add_nic, NicSpec(network_id=network.id)) == "It is changed."
    live = host.virsh("dumpxml", "tower")
    assert live.count("<interface type=") == 2
    assert host.virsh("vcpucount", "tower", "--live", "--active").strip() == "2"
    eventually(
        lambda: "vdb" in guest_says(host, "tower", "/bin/ls", "/sys/block"), 20, "the guest sees the disk"
    )
    eventually(
        lambda: "eth1" in guest_says(host, "tower", "/bin/ls", "/sys/class/net"),
        20,
        "the guest sees the interface",
    )
    assert guest_says(host, "tower", "/bin/cat", "/sys/devices/system/cpu/present").strip() == "0-1"
    parsed = definition(site).parsed
    mac = parsed["nics"][-1]["mac"]
    done(site, devices_request.change_nic, mac, NicPatch(link_up=False))
    assert "down" in host.virsh("domif-getlink", "tower", mac)
    assert definition(site).pending == []
    message = done(site, devices_request.change_hardware, HardwarePatch(vcpus_max=3, title="later"))
    assert "vCPUs" in message
    assert definition(site).pending == ["vCPUs"]
    assert site.vm("tower").pending is True  # type: ignore[union-attr]
    done(site, definitions.discard_changes)
    assert definition(site).pending == []
    assert host.virsh("vcpucount", "tower", "--config", "--maximum").strip() == "2"


def test_a_guest_that_ignores_an_unplug_keeps_the_device_and_that_is_said(host: LabHost, site: Site) -> None:
    host.virsh("start", "tower")
    site.wait_vm("tower", VmState.RUNNING)
    wait_for_agent(host, "tower")
    pool = row(site, Pool, Pool.name == "local")
    done(site, devices_request.add_disk, DiskSpec(pool_id=pool.id, size_bytes=16 * MIB))
    host.virsh("suspend", "tower")  # a guest that does not run answers no unplug
    site.wait_vm("tower", VmState.PAUSED)
    message = done(site, devices_request.remove_device, "vdb")
    assert message.startswith(
        "Saved. After the next power-off: Disks. The guest has not released the device."
    )
    assert "vdb" in host.virsh("dumpxml", "tower")
    assert "vdb" not in host.virsh("dumpxml", "tower", "--inactive")
    assert definition(site).pending == ["Disks"]
    held = next(item for item in definition(site).parsed["disks"] if item["target"] == "vdb")
    volume = row(site, Volume, Volume.path == held["source"])
    with site.services.database.begin() as session, pytest.raises(Conflict) as reported:
        delete_volume(site.ctx(session), volume.id)
    assert reported.value.code == "volume_in_use", "the guest has it still"
    host.virsh("resume", "tower")
    eventually(lambda: "vdb" not in host.virsh("dumpxml", "tower"), 20, "the guest lets it go")
    eventually(lambda: definition(site).pending == [], 10, "nothing waits any more")


def test_versions_are_kept_whoever_made_them_and_brought_back(host: LabHost, site: Site) -> None:
    first = host.virsh("dumpxml", "tower")
    done(site, devices_request.change_hardware, HardwarePatch(title="by Vigie"))
    host.virsh("desc", "tower", "--config", "--title", "by virsh")
    eventually(lambda: definition(site).parsed["title"] == "by virsh", 10, "the mirror has it")
    with site.services.database.read() as session:
        ctx = site.ctx(session)
        versions = definitions.list_versions(ctx, vm_id(site)).items
        assert [(version.actor, version.current) for version in versions] == [
            (None, True),
            ("tester", False),
            (None, False),
        ]
        assert definitions.show_version(ctx, vm_id(site), versions[-1].id).strip() == first.strip()
        diff = definitions.diff_versions(ctx, vm_id(site), versions[-1].id, 0)
        assert (diff.parts, [line.text.strip() for line in diff.lines if line.kind == "new"]) == (
            ("Title",),
            ["<title>by virsh</title>"],
        )
    done(site, definitions.restore_version, versions[-1].id)
    assert host.virsh("dumpxml", "tower") == first
    with pytest.raises(NotFound):
        ask(site, definitions.restore_version, 10**6)


def test_xml_is_edited_and_two_admins_lose_nothing(host: LabHost, site: Site) -> None:
    with site.services.database.read() as session:
        seen = definitions.show_definition(site.ctx(session), vm_id(site))
    mine = seen.saved.replace("</name>", "</name>\n  <title>mine</title>")
    with site.services.database.read() as session:
        assert definitions.preview(site.ctx(session), vm_id(site), mine).parts == ("Title",)
    task = site.task(ask(site, definitions.replace, mine, seen.version))
    assert task.state is TaskState.SUCCEEDED, task
    theirs = seen.saved.replace("</name>", "</name>\n  <title>theirs</title>")
    with pytest.raises(EditConflict):
        ask(site, definitions.replace, theirs, seen.version)
    assert "mine" in host.virsh("dumpxml", "tower")
    broken = mine.replace("<memory unit='KiB'>", "<memory unit='KiB' bogus='1'>")
    with pytest.raises(InvalidInput) as reported:
        ask(site, definitions.replace, broken, None)
    assert reported.value.field == "xml"


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><domain><name>&b;</name></domain>'


def test_xml_that_attacks_or_reaches_the_host_is_refused(host: LabHost, site: Site) -> None:
    with site.services.database.read() as session:
        saved = definitions.show_definition(site.ctx(session), vm_id(site)).saved
    bad = [
        BOMB,
        "<domain/>",
        "no xml",
        saved.replace("<name>tower</name>", "<name>other</name>"),
        saved.replace("</uuid>", "0</uuid>", 1),
        "<network><name>tower</name></network>",
    ]
    for xml in bad:
        with pytest.raises(InvalidInput) as reported:
            ask(site, definitions.replace, xml, None)
        assert reported.value.field == "xml", xml[:60]
    evil = saved.replace(
        "</devices>", "<filesystem type='mount'><source dir='/'/><target dir='x'/></filesystem></devices>"
    )
    with site.services.database.read() as session:
        assert definitions.preview(site.ctx(session), vm_id(site), evil).host_access
    spy = Actor(None, "ed", Role.OPERATOR, "page")
    with pytest.raises(NotAllowed):
        ask(site, definitions.replace, evil, None, actor=spy)
    assert "filesystem" not in host.virsh("dumpxml", "tower")


REFUSED: list[tuple[Callable[..., Any], tuple[Any, ...], str]] = [
    (devices_request.change_hardware, (HardwarePatch(vcpus=900),), "vcpus"),
    (devices_request.change_hardware, (HardwarePatch(memory_bytes=2**49),), "memory_bytes"),
    (devices_request.change_hardware, (HardwarePatch(memory_max_bytes=2**49),), "memory_max_bytes"),
    (devices_request.change_hardware, (HardwarePatch(boot=["vdz"]),), "boot.0"),
    (devices_request.add_disk, (DiskSpec(pool="none-such", size_bytes=MIB),), "disk.pool"),
    (devices_request.add_nic, (NicSpec(network="none-such"),), "nic.network"),
    (devices_request.change_media, ("vda", Media()), "target"),
]


def test_bad_input_names_its_field_and_changes_nothing(host: LabHost, site: Site) -> None:
    before = host.virsh("dumpxml", "tower")
    for service, arguments, field in REFUSED:
        with pytest.raises(InvalidInput) as reported:
            ask(site, service, *arguments)
        assert reported.value.field == field
    for service, arguments in (
        (devices_request.remove_device, ("vdz",)),
        (devices_request.change_nic, ("52:54:00:00:00:99", NicPatch(link_up=True))),
    ):
        with pytest.raises(NotFound):
            ask(site, service, *arguments)
    assert host.virsh("dumpxml", "tower") == before


def test_a_vm_is_renamed_while_it_is_off(host: LabHost, site: Site) -> None:
    known = vm_id(site)
    assert site.task(ask(site, rename_vm, RenameSpec(name="castle"))).state is TaskState.SUCCEEDED
    renamed = site.vm("castle")
    assert renamed is not None
    assert renamed.id == known
    host.virsh("start", "castle")
    site.wait_vm("castle", VmState.RUNNING)
    with site.services.database.begin() as session, pytest.raises(Conflict) as reported:
        rename_vm(site.ctx(session), known, RenameSpec(name="tower"))
    assert reported.value.code == "vm_active"


def test_of_a_vm_that_ran_already_the_saved_definition_is_known_too(fresh_lab: Lab, site: Site) -> None:
    host = fresh_lab.hosts[0]
    host.create_guest("tower", start=True, boots=False)
    site.add(host)
    eventually(lambda: row(site, Vm, Vm.name == "tower") and definition(site).saved_xml, 15, "it is read")
    host.virsh("setvcpus", "tower", "3", "--config", "--maximum")
    eventually(lambda: definition(site).pending == ["vCPUs"], 45, "what virsh changed waits")
    with site.services.database.read() as session:
        assert len(definitions.list_versions(site.ctx(session), vm_id(site)).items) == 2


@pytest.mark.parametrize("mark", ["", "<shareable/>"])
@pytest.mark.parametrize("by", ["path", "pool and volume"])
def test_a_definition_cannot_take_the_disk_of_another_vm(
    by: str, mark: str, host: LabHost, site: Site
) -> None:
    host.create_guest("keep")
    site.wait_vm("keep", VmState.SHUTOFF)
    path = read_vm(host.virsh("dumpxml", "keep")).disks[0].source or ""
    pool, name = host.virsh("vol-pool", path).strip(), path.rpartition("/")[2]
    source = f"file='{path}'" if by == "path" else f"pool='{pool}' volume='{name}'"
    disk = f"<disk type='{'file' if by == 'path' else 'volume'}' device='disk'><driver name='qemu' type='qcow2'/>"
    disk += f"<source {source}/><target dev='vdf' bus='virtio'/>{mark}</disk>"
    with site.services.database.read() as session:
        before = definitions.show_definition(site.ctx(session), vm_id(site)).saved
    task = site.task(ask(site, definitions.replace, before.replace("</devices>", f"{disk}</devices>"), None))
    assert task.error is not None
    assert (task.error.code, "keep" in (task.error.why or "")) == ("volume_in_use", True)
    assert name not in host.virsh("dumpxml", "tower")


@pytest.mark.parametrize("looked", ["when it is asked", "in the task"])
def test_a_definition_cannot_take_the_cloud_init_drive_of_another_vm(
    looked: str, host: LabHost, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.create_guest("keep")
    site.wait_vm("keep", VmState.SHUTOFF)
    path = f"{POOLS['local']}/boot.iso"
    drive = f"<disk type='file' device='cdrom'><source file='{path.replace('/boot', '//boot')}'/>"
    drive += "<target dev='sdy' bus='sata'/><readonly/></disk>"
    with site.services.database.read() as session:
        before = definitions.show_definition(site.ctx(session), vm_id(site)).saved
    done(site, definitions.replace, before.replace("</devices>", f"{drive}</devices>"), None)
    done(site, definitions.replace, before, None)
    place = {
        "pool_uuid": row(site, Pool, Pool.name == "local").uuid,
        "volume_name": "boot.iso",
        "target": "sda",
    }
    with site.services.database.begin() as session:
        session.add(
            CloudInitDrive(
                vm_id=site.vm("keep").id, host_id=site.host_ids[host.name], keep=True,  # type: ignore[union-attr]
                created_at=datetime.now(UTC), **place,
            )
        )  # fmt: skip
    xml = before.replace("</devices>", f"{drive}</devices>")
    number = version_with(site, "boot.iso")
    if looked == "in the task":
        monkeypatch.setattr(redefine, "refuse_cloud_init_drives_in", lambda *_: None)
    for service, arguments in ((definitions.replace, (xml, None)), (definitions.restore_version, (number,))):
        assert refusal(site, service, *arguments) == "volume_is_cloud_init_drive"
    assert "boot.iso" not in host.virsh("dumpxml", "tower")


def test_a_vm_does_not_come_back_with_the_cloud_init_drive_of_another(
    host: LabHost, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.create_guest("keep")
    site.wait_vm("keep", VmState.SHUTOFF)
    path, known = f"{POOLS['local']}/boot.iso", vm_id(site)
    host.virsh("attach-disk", "tower", path, "sdy", "--type", "cdrom", "--targetbus", "sata", "--config")
    done(site, delete.delete_vm, DeleteSpec())
    place = {
        "pool_uuid": row(site, Pool, Pool.name == "local").uuid,
        "volume_name": "boot.iso",
        "target": "sda",
    }
    with site.services.database.begin() as session:
        session.add(
            CloudInitDrive(
                vm_id=site.vm("keep").id, host_id=site.host_ids[host.name], keep=True,  # type: ignore[union-attr]
                created_at=datetime.now(UTC), **place,
            )
        )  # fmt: skip
    with site.services.database.begin() as session, pytest.raises(Conflict) as reported:
        undelete_vm(site.ctx(session), known)
    assert reported.value.code == "volume_is_cloud_init_drive"
    monkeypatch.setattr(undelete, "refuse_cloud_init_drives_in", lambda *_: None)
    with site.services.database.begin() as session:
        requested = undelete_vm(site.ctx(session), known).id
    error = site.task(requested).error
    assert error is not None
    assert error.code == "volume_is_cloud_init_drive"
    assert "tower" not in host.virsh("list", "--all", "--name")


def test_a_crash_as_a_change_is_noted_does_not_let_its_rerun_skip_the_comparison(
    host: LabHost, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = row(site, Vm).uuid
    context = context_on(site, site.engine.host(site.host_ids[host.name]), uuid)

    def crash() -> None:
        raise Interrupted

    monkeypatch.setattr(context, "note_begun", crash)
    with pytest.raises(HypervisorRefused) as reported:
        DefinitionGuard(context, uuid, "of what the asker saw").begin()
    assert reported.value.code == "changed_meanwhile"
