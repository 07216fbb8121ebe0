"""The compute settings of a definition: what is read is what was changed (what is written: test_golden)."""

from typing import Any

import pytest
from lxml import etree

from app.core.vms.compute import ComputePatch, DiskPatch, Pin, ResourcesPatch
from app.hypervisor.xml.domains.compute_edit import change_compute, change_resources
from app.hypervisor.xml.domains.compute_read import read_hardware
from app.hypervisor.xml.domains.device_edit import change_disk, change_nic, device_at, limits_to_set
from app.hypervisor.xml.domains.read import parse
from app.hypervisor.xml.schema import schema_error
from app.hypervisor.xml.write import edited

XML = """
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>tower</name>
  <uuid>00000000-0000-4000-8000-000000000001</uuid>
  <memory unit='KiB'>1048576</memory>
  <currentMemory unit='KiB'>1048576</currentMemory>
  <vcpu placement='static' current='2'>4</vcpu>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <features><acpi/><apic/></features>
  <cpu mode='custom' match='exact' check='partial'><model fallback='forbid'>qemu64</model>
    <topology sockets='1' dies='1' cores='4' threads='1'/><feature policy='disable' name='vmx'/></cpu>
  <clock offset='utc'/>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2' discard='unmap'/>
      <source file='/var/lib/libvirt/images/a'/><target dev='vda' bus='virtio'/>
      <iotune><total_iops_sec>500</total_iops_sec></iotune><boot order='2'/></disk>
    <interface type='network'><mac address='52:54:00:AA:00:01'/><source network='default'/>
      <model type='virtio'/><boot order='1'/></interface>
    <serial type='pty'><target port='0'/></serial>
    <console type='pty'><target type='serial' port='0'/></console>
    <graphics type='vnc' port='-1' autoport='yes' passwd='secret'/>
    <video><model type='qxl' ram='65536' vram='65536'/></video>
  </devices>
  <qemu:commandline><qemu:arg value='-S'/></qemu:commandline>
</domain>"""

EVERYTHING: list[dict[str, Any]] = [
    {"cpu_mode": "host-passthrough"},
    {"cpu_mode": "default"},
    {"cpu_mode": "custom", "cpu_model": "Nehalem"},
    {"topology": {"sockets": 2, "cores": 2, "threads": 1}},
    {"firmware": "efi"},
    {"firmware": "efi-secure"},
    {"huge_pages": True},
    {"memory_locked": True},
    {"huge_pages": True, "memory_locked": True},
    {"graphics": "spice"},
    {"graphics": "none"},
    {"video": "virtio"},
    {"video": "none"},
    {"watchdog": "reset"},
    {"sound": True},
    {"tpm": True},
    {"rng": True},
    {"guest_agent": True},
    {"serial": False},
]


def changed(patch: dict[str, Any], xml: str = XML) -> str:
    tree = parse(xml, "domain")
    change_compute(tree, ComputePatch.model_validate(patch))
    return edited(tree)


def machine(xml: str) -> dict[str, Any]:
    return read_hardware(parse(xml, "domain")).model_dump()


def test_a_machine_is_read() -> None:
    found = machine(XML)
    assert (found["cpu_mode"], found["cpu_model"], found["cores"]) == ("custom", "qemu64", 4)
    assert (found["firmware"], found["graphics"], found["video"]) == ("bios", "vnc", "qxl")
    assert (found["serial"], found["tpm"], found["guest_agent"]) == (True, False, False)
    assert found["boot"] == ("52:54:00:aa:00:01", "vda")
    assert found["disks"][0]["discard"] is True


@pytest.mark.parametrize("patch", EVERYTHING, ids=str)
def test_a_change_is_what_is_read_then_and_nothing_else(patch: dict[str, Any]) -> None:
    before, after = machine(XML), machine(changed(patch))
    wanted = {**patch, **patch.get("topology", {})}
    wanted.pop("topology", None)
    if patch.get("cpu_mode") not in (None, "custom"):
        wanted["cpu_model"] = None
    assert {name: after[name] for name in wanted} == wanted
    assert {name for name in before if before[name] != after[name]} <= set(wanted)


def test_switches_go_on_and_off_again() -> None:
    on = dict.fromkeys(("huge_pages", "memory_locked", "sound", "tpm", "rng", "guest_agent"), True)
    off = dict.fromkeys(on, False)
    assert machine(changed(off, changed(on))) == machine(XML)
    assert machine(changed({"watchdog": "none"}, changed({"watchdog": "pause"})))["watchdog"] == "none"
    assert machine(changed({"firmware": "bios"}, changed({"firmware": "efi-secure"})))["firmware"] == "bios"


def test_limits_and_pins() -> None:
    tree = parse(XML, "domain")
    pins = [Pin(vcpu=0, cpus="0-1"), Pin(vcpu=3, cpus="2,^3")]
    patch = ResourcesPatch(
        cpu_shares=512,
        cpu_limit_percent=50,
        pins=pins,
        emulator_cpus="0",
        numa_nodes="0",
        numa_mode="preferred",
    )
    change_resources(tree, patch)
    assert schema_error(edited(tree)) is None
    found = read_hardware(tree)
    assert (found.cpu_shares, found.cpu_limit_percent, found.emulator_cpus) == (512, 50, "0")
    assert [(pin.vcpu, pin.cpus) for pin in found.pins] == [(0, "0-1"), (3, "2,^3")]
    assert (found.numa_nodes, found.numa_mode) == ("0", "preferred")
    change_resources(
        tree, ResourcesPatch(cpu_shares=0, cpu_limit_percent=0, pins=[], emulator_cpus="", numa_nodes="")
    )
    assert etree.tostring(tree) == etree.tostring(parse(XML, "domain"))


def test_limits_of_disks_and_interfaces() -> None:
    tree = parse(XML, "domain")
    disk, nic = device_at(tree, "vda"), device_at(tree, "52:54:00:aa:00:01")
    assert disk is not None
    assert nic is not None
    change_disk(disk, DiskPatch(read_iops=100, write_bps=2**20, cache="none", io="native", discard=False))
    change_nic(nic, link_up=None, network=None, in_kbps=1000, out_kbps=500, filter="clean-traffic")
    assert schema_error(edited(tree)) is None
    found = read_hardware(tree)
    (drive,), (card,) = found.disks, found.nics
    assert (drive.read_iops, drive.write_bps, drive.cache, drive.io, drive.discard) == (
        *(100, 2**20, "none", "native"),
        False,
    )
    assert "total_iops_sec" not in edited(tree), "libvirt refuses a total beside its parts"
    assert (card.in_kbps, card.out_kbps, card.filter) == (1000, 500, "clean-traffic")
    assert limits_to_set(disk, DiskPatch(read_iops=5)) == {"read_iops_sec": 100, "write_iops_sec": 0}
    change_disk(disk, DiskPatch(read_iops=0, write_bps=0, cache="default", io="default"))
    change_nic(nic, link_up=None, network=None, in_kbps=0, out_kbps=0, filter="")
    found = read_hardware(tree)
    assert (found.disks[0].read_iops, found.disks[0].cache) == (None, "default")
    assert (found.nics[0].in_kbps, found.nics[0].filter) == (None, None)
    assert "iotune" not in edited(tree)
    assert "bandwidth" not in edited(tree)
