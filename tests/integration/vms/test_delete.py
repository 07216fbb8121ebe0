"""Deleting VMs on real hosts: what was chosen goes, what others use stays, and definitions come back."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa

from app.access.context import Actor, Ctx
from app.core.access.privileges import Role
from app.core.errors import Conflict, HypervisorRefused, InvalidInput, NotAllowed
from app.core.tasks.states import TaskState
from app.core.vms.delete import DeletePreview, DeleteSpec
from app.core.vms.power import VmVerb
from app.core.vms.specs import ActionOptions, VmPatch
from app.core.vms.states import VmState
from app.db.models import Audit, DeletedVm, Event, History, Tag, Task, VmDefinition, Volume
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.lab.paths import POOLS
from app.services.vms import power, vms
from app.services.vms.delete import delete
from app.services.vms.delete.undelete import undelete_vm
from app.services.vms.operation import RunningVm
from app.services.vms.power.restore import check_saved
from tests.integration.site import ACTOR, Site, eventually
from tests.integration.vms.test_power import context_on


@pytest.fixture
def host(fresh_lab: Lab, site: Site) -> LabHost:
    """A host with two guests, `doomed` and `parent`; on the disk of that one, another volume is built."""
    host = fresh_lab.hosts[0]
    host.create_guest("doomed")
    base = re.search(
        r"source file='([^']+)'", host.create_guest("parent") and host.virsh("dumpxml", "parent")
    )
    assert base is not None
    child = f"{POOLS['local']}/child.qcow2"
    host.exec("qemu-img", "create", "-f", "qcow2", "-b", base[1], "-F", "qcow2", child)
    host.virsh("pool-refresh", "local")
    site.add(host)
    for name in ("doomed", "parent"):
        site.wait_vm(name, VmState.SHUTOFF)
    eventually(lambda: paths(site), 15, "the volumes are read")
    return host


def paths(site: Site) -> dict[str, str]:
    """Volume ids by path."""
    with site.services.database.read() as session:
        return {row.path: row.id for row in session.scalars(sa.select(Volume))}


def look(site: Site, name: str) -> DeletePreview:
    vm = site.vm(name)
    assert vm is not None
    with site.services.database.read() as session:
        return delete.preview_delete(site.ctx(session), vm.id)


def ask(site: Site, name: str, **what: Any) -> str:
    vm = site.vm(name)
    assert vm is not None
    with site.services.database.begin() as session:
        return delete.delete_vm(site.ctx(session), vm.id, DeleteSpec(**what)).id


def back(site: Site, vm_id: str) -> str:
    with site.services.database.begin() as session:
        return undelete_vm(site.ctx(session), vm_id).id


def row(site: Site, model: Any, *where: Any) -> Any:
    with site.services.database.read() as session:
        return session.scalar(sa.select(model).where(*where))


def test_a_vm_goes_with_the_volumes_that_were_chosen_and_comes_back_as_it_was(
    host: LabHost, site: Site
) -> None:
    vm = site.vm("doomed")
    assert vm is not None
    with site.services.database.begin() as session:
        vms.update_vm(site.ctx(session), vm.id, VmPatch(tags=["web"], notes="mine"))
    before = host.virsh("dumpxml", "--inactive", "doomed")
    disks = [disk for disk in look(site, "doomed").disks if disk.volume]
    assert [(disk.deletable, disk.own) for disk in disks] == [(True, True)]
    task = site.task(ask(site, "doomed", volumes=[disks[0].volume.id]))  # type: ignore[union-attr]
    assert task.state is TaskState.SUCCEEDED, task
    assert "doomed" not in host.virsh("list", "--all", "--name")
    assert disks[0].path not in host.virsh("vol-list", "local")
    assert site.vm("doomed") is None
    assert disks[0].path not in paths(site), "the pages know it when the task ends"
    assert row(site, Tag, Tag.object_id == vm.id) is None

    task = site.task(back(site, vm.id))
    assert task.state is TaskState.SUCCEEDED, task
    again = site.vm("doomed")
    assert again is not None
    assert (again.id, again.uuid, again.tags, again.notes) == (vm.id, vm.uuid, ["web"], "mine")
    assert host.virsh("dumpxml", "--inactive", "doomed") == before
    assert row(site, DeletedVm) is None
    with site.services.database.read() as session:
        reported = sa.select(Event.kind, Event.actor_name).where(Event.object_id == vm.id).order_by(Event.id)
        assert session.execute(reported).all() == [("vm.deleted", "tester"), ("vm.defined", "tester")]


VNC = "<graphics type='vnc' port='-1' autoport='yes' passwd='s3cret99'><listen type='address' address='{0}'/></graphics>"
DRIVE = "<disk type='file' device='cdrom'><source file='/etc/hostname'/><target dev='sda' bus='scsi'/><readonly/></disk>"
OPERATOR = Actor(None, "operator", Role.OPERATOR, "api")


def with_devices(host: LabHost, name: str, devices: str, *, without: str = "") -> None:
    """Give the VM these devices; without those that the pattern finds."""
    xml = host.virsh("dumpxml", "--inactive", "--security-info", name)
    xml = re.sub(without, "", xml, flags=re.DOTALL) if without else xml
    host.exec("sh", "-c", f"cat > /tmp/vm.xml <<'X'\n{xml.replace('</devices>', f'{devices}</devices>')}\nX")
    host.virsh("define", "/tmp/vm.xml")


def stored(site: Site) -> str:
    """All that the database has of deleted VMs, tasks, definitions and their history, as text."""
    with site.services.database.read() as session:
        tables = [model.__table__ for model in (DeletedVm, Task, VmDefinition, History, Event, Audit)]
        return str([tuple(row) for table in tables for row in session.execute(sa.select(table))])


def test_undelete_gives_back_the_password_of_a_display_and_no_host_access_to_operators(
    host: LabHost, site: Site
) -> None:
    with_devices(
        host, "doomed", VNC.format("0.0.0.0") + DRIVE, without="<graphics.*?</graphics>|<graphics[^>]*/>"
    )
    eventually(lambda: "/etc/hostname" in stored(site), 15, "the change is read")
    vm = site.vm("doomed")
    assert vm is not None
    assert site.task(ask(site, "doomed")).state is TaskState.SUCCEEDED
    with site.services.database.begin() as session, pytest.raises(NotAllowed) as reported:
        undelete_vm(Ctx(site.services, session, OPERATOR), vm.id)
    assert "vm.host-access" in (reported.value.texts().why or "")
    assert site.task(back(site, vm.id)).state is TaskState.SUCCEEDED
    assert "passwd='s3cret99'" in host.virsh("dumpxml", "--inactive", "--security-info", "doomed")
    assert "s3cret99" not in stored(site)


def test_what_virsh_undefined_comes_back_with_its_display_closed(host: LabHost, site: Site) -> None:
    with_devices(host, "doomed", VNC.format("0.0.0.0"), without="<graphics.*?</graphics>|<graphics[^>]*/>")
    eventually(lambda: "0.0.0.0" in stored(site), 15, "the change is read")
    vm = site.vm("doomed")
    assert vm is not None
    host.virsh("undefine", "doomed")
    site.wait_vm("doomed", VmState.MISSING)
    task = site.task(back(site, vm.id))
    assert (task.state, "127.0.0.1" in (task.message or "")) == (TaskState.SUCCEEDED, True)
    assert "0.0.0.0" not in host.virsh("dumpxml", "--inactive", "doomed")


def test_a_saved_state_does_not_give_back_host_access_that_was_taken(host: LabHost, site: Site) -> None:
    with_devices(host, "doomed", DRIVE)
    host.virsh("start", "doomed")
    host.virsh("managedsave", "doomed")
    with_devices(host, "doomed", "", without="<disk type='file' device='cdrom'>.*?</disk>")
    site.wait_vm("doomed", VmState.SAVED)
    vm = site.vm("doomed")
    assert vm is not None
    with site.services.database.begin() as session:
        requested = power.act(Ctx(site.services, session, OPERATOR), vm.id, VmVerb.RESTORE, ActionOptions())
    task = site.task(requested.id)
    assert task.error is not None
    assert task.error.code == "host_access_needed"
    site.do("doomed", VmVerb.RESTORE)


def test_what_others_use_stays(host: LabHost, site: Site) -> None:
    (disk,) = [disk for disk in look(site, "parent").disks if disk.volume]
    assert (disk.deletable, disk.own, "child.qcow2" in (disk.why or "")) == (False, False, True)
    with pytest.raises(Conflict) as reported:
        ask(site, "parent", volumes=[disk.volume.id])  # type: ignore[union-attr]
    assert (reported.value.code, "child.qcow2" in (reported.value.texts().why or "")) == (
        "volume_in_use",
        True,
    )
    other = next(disk.volume for disk in look(site, "doomed").disks if disk.volume)
    with pytest.raises(InvalidInput) as wrong:
        ask(site, "parent", volumes=[other.id])  # type: ignore[union-attr]
    assert wrong.value.field == "volumes.0"
    assert site.task(ask(site, "parent")).state is TaskState.SUCCEEDED
    assert str(disk.path) in paths(site)


def test_a_running_vm_needs_its_power_to_be_cut(host: LabHost, site: Site) -> None:
    host.virsh("start", "doomed")
    site.wait_vm("doomed", VmState.RUNNING)
    with pytest.raises(Conflict) as reported:
        ask(site, "doomed")
    assert reported.value.code == "vm_active"
    assert site.task(ask(site, "doomed", force_off=True)).state is TaskState.SUCCEEDED
    assert "doomed" not in host.virsh("list", "--all", "--name")


def test_a_vm_with_snapshots_and_a_saved_state_goes_whole(host: LabHost, site: Site) -> None:
    host.virsh("snapshot-create-as", "doomed", "before")
    host.virsh("start", "doomed")
    host.virsh("managedsave", "doomed")
    site.wait_vm("doomed", VmState.SAVED)
    vm = site.vm("doomed")
    assert vm is not None
    found = delete.preview_with_snapshots(site.services, ACTOR, str, vm.id)
    assert (found.managed_save, found.snapshots) == (True, ("before",))
    assert site.task(ask(site, "doomed")).state is TaskState.SUCCEEDED


def test_what_virsh_undefined_can_be_defined_again(host: LabHost, site: Site) -> None:
    vm = site.vm("doomed")
    assert vm is not None
    with pytest.raises(Conflict) as reported:
        back(site, vm.id)
    assert reported.value.code == "vm_present"
    host.virsh("undefine", "doomed")
    site.wait_vm("doomed", VmState.MISSING)
    with pytest.raises(Conflict) as reported:
        ask(site, "doomed")
    assert reported.value.code == "vm_missing"
    assert site.task(back(site, vm.id)).state is TaskState.SUCCEEDED
    site.wait_vm("doomed", VmState.SHUTOFF)
    assert site.vm("doomed").id == vm.id  # type: ignore[union-attr]


def test_a_host_lost_in_the_middle_ends_true(fresh_lab: Lab, host: LabHost, site: Site) -> None:
    volume = next(disk.volume for disk in look(site, "doomed").disks if disk.volume)
    host.freeze()
    task_id = ask(site, "doomed", volumes=[volume.id])
    site.services.hub.publish([])
    host.thaw()
    assert site.task(task_id, 60).state is TaskState.SUCCEEDED
    assert "doomed" not in host.virsh("list", "--all", "--name")
    assert site.vm("doomed") is None


def test_a_vm_does_not_come_back_to_a_disk_that_another_vm_was_given(host: LabHost, site: Site) -> None:
    vm = site.vm("doomed")
    assert vm is not None
    disk = look(site, "doomed").disks[0].path
    assert site.task(ask(site, "doomed")).state is TaskState.SUCCEEDED
    host.virsh(
        "attach-disk", "parent", str(disk), "vdb", "--config", "--driver", "qemu", "--subdriver", "qcow2"
    )
    task = site.task(back(site, vm.id))
    assert task.error is not None
    assert (task.error.code, "parent" in (task.error.why or "")) == ("volume_in_use", True)
    assert "doomed" not in host.virsh("list", "--all", "--name")
    host.virsh("detach-disk", "parent", "vdb", "--config")
    parent = site.vm("parent")
    assert parent is not None
    eventually(
        lambda: str(disk) not in row(site, VmDefinition.xml, VmDefinition.vm_id == parent.id),
        30,
        "it is read",
    )
    task = site.task(back(site, vm.id))
    assert task.state is TaskState.SUCCEEDED, task.error


def forge(host: LabHost, path: str) -> None:
    """Put a raw volume in the place, with what its guest writes into it: a header that names a file of the host."""
    name = path.rpartition("/")[2]
    host.virsh("vol-delete", "--pool", "local", name)
    host.virsh("vol-create-as", "--pool", "local", name, "4M", "--format", "raw")
    host.exec(
        "qemu-img", "create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", "/tmp/forged", "1M"
    )
    host.exec("dd", "if=/tmp/forged", f"of={path}", "conv=notrunc", "status=none")
    host.virsh("pool-refresh", "local")


def test_undelete_gives_no_vm_a_disk_that_was_made_anew_with_a_forged_header(
    host: LabHost, site: Site
) -> None:
    vm = site.vm("doomed")
    path = look(site, "doomed").disks[0].path
    assert vm is not None
    assert path is not None
    assert site.task(ask(site, "doomed")).state is TaskState.SUCCEEDED
    forge(host, path)
    task = site.task(back(site, vm.id))
    assert (task.error and task.error.code) == "volume_refused", task
    assert "doomed" not in host.virsh("list", "--all", "--name")
    host.virsh("vol-delete", "--pool", "local", path.rpartition("/")[2])
    assert site.task(back(site, vm.id)).state is TaskState.SUCCEEDED, "a missing disk holds nothing"


def test_a_saved_state_goes_on_with_its_own_disks_and_with_none_that_was_made_anew(
    host: LabHost, site: Site
) -> None:
    spec = host.create_guest("sleeper", start=True, boots=False)
    site.wait_vm("sleeper", VmState.RUNNING)
    for _ in range(2):  # the second time, what the guest itself wrote is on its disk
        site.do("sleeper", VmVerb.SAVE)
        site.do("sleeper", VmVerb.RESTORE)
    site.do("sleeper", VmVerb.SAVE)
    xml = host.virsh("dumpxml", "--inactive", "sleeper")
    host.define(re.sub(r"<disk .*?</disk>", "", xml, flags=re.DOTALL))
    forge(host, spec.disk_path)
    task = site.task(site.act("sleeper", VmVerb.RESTORE))
    assert (task.error and task.error.code) == "volume_refused", task
    assert "running" not in host.virsh("domstate", "sleeper")


def test_a_saved_state_that_cannot_be_read_is_not_taken_for_none(host: LabHost, site: Site) -> None:
    host.create_guest("sleeper", start=True, boots=False)
    site.wait_vm("sleeper", VmState.RUNNING)
    site.do("sleeper", VmVerb.SAVE)
    saved = "/var/lib/libvirt/qemu/save/sleeper.save"
    host.exec("dd", "if=/dev/zero", f"of={saved}", "bs=8", "count=1", "conv=notrunc", "status=none")
    vm = site.vm("sleeper")
    assert vm is not None
    context = context_on(site, site.engine.host(vm.host_id), vm.uuid)
    with pytest.raises(HypervisorRefused):
        check_saved(context, RunningVm(context, vm.uuid), may_reach=False)
