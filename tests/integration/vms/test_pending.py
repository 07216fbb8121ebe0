"""What is pending and what is done: the tasks, the pages and the host say the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.access.context import Actor, Ctx
from app.core.access.privileges import Role
from app.core.errors import EditConflict
from app.core.tasks.records import TaskRecord
from app.core.tasks.states import TaskState
from app.core.vms.create.spec import DiskSpec
from app.core.vms.devices import HardwarePatch
from app.core.vms.states import VmState
from app.db.models import Event, HostCapabilities, VmDefinition
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.services.vms import vms
from app.services.vms.definitions import definitions
from app.services.vms.reconfigure import devices_request
from app.tasks import tasks
from tests.integration.site import Site, eventually
from tests.integration.vms.test_create import created, row

MIB = 1024**2


@pytest.fixture
def host(fresh_lab: Lab, site: Site) -> LabHost:
    """A host that is known with what it has and offers."""
    host = fresh_lab.hosts[0]
    site.add(host)
    eventually(lambda: row(site, HostCapabilities), 15, "what the host offers is read")
    return host


def definition(site: Site, name: str) -> VmDefinition:
    return row(site, VmDefinition, VmDefinition.vm_id == site.vm(name).id)  # type: ignore[return-value, union-attr]


def test_a_fresh_vm_has_no_pending_differences(host: LabHost, site: Site) -> None:
    for name, firmware in (("fresh-bios", "bios"), ("fresh-uefi", "efi")):
        created(
            site,
            name=name,
            host_id=site.host_ids[host.name],
            memory_bytes=64 * MIB,
            firmware=firmware,
            sound=True,
            watchdog="reset",
            disks=[
                {"pool": "local", "size_bytes": 8 * MIB},
                {"pool": "local", "size_bytes": 8 * MIB, "bus": "scsi"},
                {"device": "cdrom"},
            ],
            nics=[{"network": "default"}],
        )
        site.wait_vm(name, VmState.RUNNING)
        eventually(lambda name=name: definition(site, name).saved_xml, 10, "both definitions are read")
        assert (definition(site, name).pending, site.vm(name).pending) == ([], False)  # type: ignore[union-attr]
        changes = row(site, Event, Event.kind == "vm.changed", Event.object_id == site.vm(name).id)  # type: ignore[union-attr]
        assert changes is None, "nobody changed what was only started"


def ask(site: Site, service: Callable[..., TaskRecord], name: str, *arguments: Any) -> TaskRecord:
    with site.services.database.begin() as session:
        task = service(site.ctx(session), site.vm(name).id, *arguments)  # type: ignore[union-attr]
    return site.task(task.id, 60)


def test_a_definition_that_changed_since_it_was_seen_is_not_changed(host: LabHost, site: Site) -> None:
    created(site, name="twice", host_id=site.host_ids[host.name], memory_bytes=64 * MIB, graphics="none")
    eventually(lambda: definition(site, "twice").saved_xml, 10, "the saved definition is read")
    version = definitions.version_of(definition(site, "twice"))
    host.virsh("iothreadadd", "twice", "1", "--config")  # of which no host tells
    before = host.virsh("dumpxml", "twice", "--inactive")
    task = ask(site, devices_request.add_disk, "twice", DiskSpec(pool="local", size_bytes=8 * MIB), version)
    assert task.error is not None
    assert task.error.code == "changed_meanwhile"
    assert host.virsh("dumpxml", "twice", "--inactive") == before
    assert "twice-vda" not in host.virsh("vol-list", "local")
    task = ask(site, devices_request.change_hardware, "twice", HardwarePatch(title="mine"))
    assert task.state is TaskState.SUCCEEDED, "what is there now was read"
    assert "<iothreads>1</iothreads>" in host.virsh("dumpxml", "twice", "--inactive")
    version = definitions.version_of(definition(site, "twice"))
    assert (
        ask(site, devices_request.change_hardware, "twice", HardwarePatch(title="ours"), version).state
        is TaskState.SUCCEEDED
    )
    with pytest.raises(EditConflict):
        ask(site, devices_request.change_hardware, "twice", HardwarePatch(title="theirs"), version)


def test_eight_devices_are_plugged_in_and_one_too_many_is_said_to_wait(host: LabHost, site: Site) -> None:
    created(site, name="full", host_id=site.host_ids[host.name], memory_bytes=64 * MIB, graphics="none")
    message = []
    for _ in range(12):
        task = ask(
            site, devices_request.add_disk, "full", DiskSpec(pool="local", size_bytes=MIB, format="raw")
        )
        assert task.state is TaskState.SUCCEEDED, task
        message.append(task.message or "")
        if task.result:
            break
    assert message[:8] == ["It is changed."] * 8
    assert message[-1].startswith(
        "Saved. After the next power-off: Disks. The VM has no free PCI port for another device."
    )
    last = f"vd{'abcdefghijkl'[len(message) - 1]}"
    with site.services.database.read() as session:
        found = vms.show_vm(site.ctx(session), site.vm("full").id)  # type: ignore[union-attr]
        viewer = Ctx(site.services, session, Actor(None, "ann", Role.VIEWER, "page"))
        assert tasks.show_task(viewer, task.id).result is None, "libvirt's own words are not for everybody"
    assert [(disk.target, disk.pending) for disk in found.disks if disk.pending] == [(last, "added")]
    assert f"dev='{last}'" not in host.virsh("dumpxml", "full")
    assert f"dev='{last}'" in host.virsh("dumpxml", "full", "--inactive")
    assert definition(site, "full").pending == ["Disks"]
