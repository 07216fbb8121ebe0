"""Compute settings, limits, and what of the host it has, on real hosts."""

from __future__ import annotations

import re
from dataclasses import asdict

import pytest

from app.core.errors import Conflict, InvalidInput, NotAllowed, NotFound
from app.core.tasks.states import TaskState
from app.core.vms.compute import ComputePatch, DiskPatch, HardwareRecord, Pin, ResourcesPatch, Topology
from app.core.vms.devices import NicPatch
from app.core.vms.host_devices import FilesystemAdd, HostDevice, HostDeviceAdd
from app.core.vms.states import VmState
from app.db.models import Host, HostCapabilities, Vm
from app.lab.hosts.host import LabHost
from app.services.vms.hardware import show_hardware
from app.services.vms.reconfigure import compute_request, devices_request, host_devices
from tests.integration.site import Site, eventually
from tests.integration.vms.test_devices import OPERATOR, ask, definition, done, host, row, vm_id
from tests.integration.waiting import wait_for_agent

__all__ = ["host"]


def host_id(site: Site) -> str:
    return str(row(site, Host).id)


def seen(site: Site) -> HardwareRecord:
    with site.services.database.read() as session:
        return show_hardware(site.ctx(session), vm_id(site))


def test_a_machine_is_changed_and_still_starts(host: LabHost, site: Site) -> None:
    before = seen(site)
    patch = ComputePatch(
        video="vga",
        watchdog="reset",
        rng=True,
        guest_agent=True,
        topology=Topology(cores=definition(site).parsed["vcpus_max"]),
        memory_locked=False,
    )
    done(site, compute_request.change_compute, patch)
    now = seen(site)
    assert (now.video, now.watchdog, now.rng, now.guest_agent) == ("vga", "reset", True, True)
    assert now.cores == definition(site).parsed["vcpus_max"]
    assert (now.cpu_mode, now.firmware, now.serial) == (before.cpu_mode, before.firmware, before.serial)
    host.virsh("start", "tower")
    wait_for_agent(host, row(site, Vm, Vm.name == "tower").uuid)
    message = done(site, compute_request.change_compute, ComputePatch(watchdog="none", rng=False))
    assert "After the next power-off" in message
    eventually(lambda: definition(site).pending, 10, "the change waits for the power-off")
    assert "watchdog" in host.virsh("dumpxml", "tower")
    assert "watchdog" not in host.virsh("dumpxml", "--inactive", "tower")


def test_limits_of_a_running_vm_count_at_once_where_the_host_can(host: LabHost, site: Site) -> None:
    host.virsh("start", "tower")
    site.wait_vm("tower", VmState.RUNNING)
    target = definition(site).parsed["disks"][0]["target"]
    done(site, compute_request.change_disk, target, DiskPatch(write_iops=300, read_bps=10 * 2**20))
    live = host.virsh("blkdeviotune", "tower", target)
    assert "write_iops_sec : 300" in live
    assert seen(site).disks[0].write_iops == 300
    done(site, compute_request.change_disk, target, DiskPatch(write_bps=5 * 2**20))
    live = {line.split(":")[0].strip(): line.split(":")[1].strip() for line in live_limits(host, target)}
    assert (live["read_bytes_sec"], live["write_bytes_sec"]) == ("10485760", "5242880")
    done(site, compute_request.change_disk, target, DiskPatch(write_iops=0, read_bps=0, write_bps=0))
    assert "write_iops_sec : 0" in host.virsh("blkdeviotune", "tower", target)
    message = done(site, compute_request.change_disk, target, DiskPatch(cache="unsafe"))
    assert "After the next power-off" in message
    mac = definition(site).parsed["nics"][0]["mac"]
    done(site, devices_request.change_nic, mac, NicPatch(in_kbps=2000, out_kbps=1000))
    assert (seen(site).nics[0].in_kbps, seen(site).nics[0].out_kbps) == (2000, 1000)


def live_limits(host: LabHost, target: str) -> list[str]:
    return [line for line in host.virsh("blkdeviotune", "tower", target).splitlines() if ":" in line]


def test_pins_count_at_once(host: LabHost, site: Site) -> None:
    host.virsh("start", "tower")
    site.wait_vm("tower", VmState.RUNNING)
    done(
        site,
        compute_request.change_resources,
        ResourcesPatch(pins=[Pin(vcpu=0, cpus="0")], emulator_cpus="1"),
    )
    assert [(pin.vcpu, pin.cpus) for pin in seen(site).pins] == [(0, "0")]
    assert seen(site).emulator_cpus == "1"
    assert host.virsh("vcpupin", "tower", "--vcpu", "0").split()[-1] == "0"
    done(site, compute_request.change_resources, ResourcesPatch(pins=[], emulator_cpus=""))
    assert (seen(site).pins, seen(site).emulator_cpus) == ((), None)


BAD = [
    (compute_request.change_compute, (ComputePatch(video="voodoo"),), "video"),
    (compute_request.change_compute, (ComputePatch(cpu_mode="custom", cpu_model="Abacus"),), "cpu_model"),
    (compute_request.change_compute, (ComputePatch(topology=Topology(sockets=7)),), "topology"),
    (compute_request.change_resources, (ResourcesPatch(pins=[Pin(vcpu=900, cpus="0")]),), "pins.0.vcpu"),
    (compute_request.change_resources, (ResourcesPatch(pins=[Pin(vcpu=0, cpus="0-9999")]),), "pins.0.cpus"),
    (compute_request.change_resources, (ResourcesPatch(emulator_cpus="3-1"),), "emulator_cpus"),
    (compute_request.change_disk, ("vda", DiskPatch(io="native")), "io"),
    (devices_request.change_nic, ("", NicPatch(filter="none-such")), "filter"),
    (host_devices.add_device, (HostDeviceAdd(name="pci_none"),), "name"),
]


def test_bad_input_names_its_field_and_changes_nothing(host: LabHost, site: Site) -> None:
    before = host.virsh("dumpxml", "tower")
    mac = definition(site).parsed["nics"][0]["mac"]
    for service, arguments, field in BAD:
        given = (mac, *arguments[1:]) if arguments[0] == "" else arguments
        with pytest.raises(InvalidInput) as reported:
            ask(site, service, *given)
        assert reported.value.field == field
    with pytest.raises(NotFound):
        ask(site, compute_request.change_disk, "vdz", DiskPatch(read_bps=1))
    with pytest.raises(NotFound):
        ask(site, host_devices.remove_filesystem, "none")
    assert host.virsh("dumpxml", "tower") == before


def test_what_the_host_refuses_is_told_and_changes_nothing(host: LabHost, site: Site) -> None:
    before = host.virsh("dumpxml", "tower")
    task = site.task(
        ask(site, compute_request.change_resources, ResourcesPatch(numa_nodes="63", numa_mode="strict")), 30
    )
    if task.state is TaskState.SUCCEEDED:
        # The node is looked at when the VM starts.
        assert "63" in host.virsh("dumpxml", "tower")
        return
    assert task.error is not None
    assert task.error.why
    assert host.virsh("dumpxml", "tower") == before


def test_folders_are_shared_by_those_who_may(host: LabHost, site: Site) -> None:
    folder_add = FilesystemAdd(path="/srv", tag="media", driver="9p")
    with pytest.raises(NotAllowed):
        ask(site, host_devices.add_filesystem, folder_add, actor=OPERATOR)
    done(site, host_devices.add_filesystem, folder_add)
    (filesystem,) = seen(site).filesystems
    assert (filesystem.tag, filesystem.path, filesystem.driver) == ("media", "/srv", "9p")
    with pytest.raises(InvalidInput) as reported:
        ask(site, host_devices.add_filesystem, folder_add)
    assert reported.value.field == "tag"
    done(site, host_devices.remove_filesystem, "media")
    assert seen(site).filesystems == ()


STICK = HostDevice("usb_1_4", "usb", "0x046d:0xc52b", "Receiver")
CARD = HostDevice("pci_0000_01_00_0", "pci", "0000:01:00.0", "Card")


def know(site: Site, *devices: HostDevice) -> None:
    """Have the host's devices listed as these; the lab has none to give away."""
    with site.services.database.begin() as session:
        session.get_one(HostCapabilities, host_id(site)).devices = [asdict(device) for device in devices]


def test_devices_of_the_host_are_given_once(host: LabHost, site: Site) -> None:
    xml = host.virsh("dumpxml", "--inactive", "tower")
    host.define(re.sub(r"(<controller type='usb'[^>]*model=)'none'", r"\1'qemu-xhci'", xml))
    know(site, STICK, CARD)
    with pytest.raises(NotAllowed):
        ask(site, host_devices.add_device, HostDeviceAdd(name=STICK.name), actor=OPERATOR)
    with pytest.raises(Conflict) as reported:
        ask(site, host_devices.add_device, HostDeviceAdd(name=CARD.name))
    assert reported.value.code == "no_iommu"
    done(site, host_devices.add_device, HostDeviceAdd(name=STICK.name))
    assert [host_device.address for host_device in seen(site).host_devices] == [STICK.address]
    know(site, STICK, CARD)
    with site.services.database.read() as session:
        ctx = site.ctx(session)
        listed = host_devices.list_devices(ctx, host_id(site))
    assert [[user.name for user in item.users] for item in listed.items] == [["tower"], []]
    done(site, host_devices.remove_device, STICK.address)
    assert seen(site).host_devices == ()


def test_devices_are_read_when_somebody_asks(host: LabHost, site: Site) -> None:
    def listed() -> object:
        with site.services.database.read() as session:
            return host_devices.list_devices(site.ctx(session), host_id(site)).read_at

    eventually(listed, 15, "the engine reads the devices")
