"""Devices of hosts, and VMs that have them."""

import pytest

from app.core.vms.host_devices import DevicePlan, FilesystemAdd
from app.hypervisor.xml.domains.device_edit import add_filesystem
from app.hypervisor.xml.domains.read import UnreadableXml, parse, read_vm
from app.hypervisor.xml.node_devices import (
    address_of,
    filesystem_at,
    host_device,
    host_device_at,
    read_device,
)
from app.hypervisor.xml.schema import schema_error
from app.hypervisor.xml.write import edited

NIC = """
<device><name>pci_0000_01_00_0</name><parent>pci_0000_00_01_0</parent><driver><name>igb</name></driver>
  <capability type='pci'><class>0x020000</class><domain>0</domain><bus>1</bus><slot>0</slot><function>0</function>
    <product id='0x1521'>I350 Gigabit</product><vendor id='0x8086'>Intel</vendor>
    <iommuGroup number='15'><address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>
      <address domain='0x0000' bus='0x01' slot='0x00' function='0x1'/></iommuGroup><numa node='1'/>
  </capability></device>"""
BRIDGE = NIC.replace("0x020000", "0x060400")
STICK = """
<device><name>usb_1_4</name><capability type='usb_device'><bus>1</bus><device>5</device>
  <product id='0xc52b'>Receiver</product><vendor id='0x046d'>Logitech</vendor></capability></device>"""
MDEV = """
<device><name>mdev_c60cc60c_c60c_c60c_c60c_c60cc60cc60c_0000_00_02_0</name>
  <capability type='mdev'><type id='i915-GVTg_V5_4'/><uuid>c60cc60c-c60c-c60c-c60c-c60cc60cc60c</uuid>
  <iommuGroup number='3'/></capability></device>"""
VM = """<domain type='qemu'><name>x</name><memory unit='KiB'>1024</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os><devices/></domain>"""


def test_devices_are_read() -> None:
    nic, stick, mdev = (read_device(xml) for xml in (NIC, STICK, MDEV))
    assert nic is not None
    assert (nic.kind, nic.address, nic.title, nic.driver) == (
        "pci",
        "0000:01:00.0",
        "Intel I350 Gigabit",
        "igb",
    )
    assert (nic.iommu_group, nic.numa_node) == (15, 1)
    assert nic.group_members == ("0000:01:00.0", "0000:01:00.1")
    assert stick is not None
    assert (stick.kind, stick.address) == ("usb", "0x046d:0xc52b")
    assert mdev is not None
    assert (mdev.kind, mdev.address, mdev.title) == (
        *("mdev", "c60cc60c-c60c-c60c-c60c-c60cc60cc60c"),
        "i915-GVTg_V5_4",
    )
    assert read_device(BRIDGE) is None
    assert read_device("<device><name>net</name><capability type='net'/></device>") is None
    with pytest.raises(UnreadableXml):
        read_device(NIC.replace("bus='0x01'", "bus='evil'"))


@pytest.mark.parametrize("xml", [NIC, STICK, MDEV], ids=["pci", "usb", "mdev"])
def test_a_device_in_a_vm_is_known_again(xml: str) -> None:
    device = read_device(xml)
    assert device is not None
    tree = parse(VM, "domain")
    devices = tree.find("devices")
    assert devices is not None
    devices.append(host_device(DevicePlan(kind=device.kind, address=device.address)))
    assert schema_error(edited(tree)) is None
    found = host_device_at(tree, device.address)
    assert found is not None
    assert address_of(found) == (device.kind, device.address)
    seen = read_vm(edited(tree))
    assert [key for key, _ in seen.reaches] == ["host_device"]
    assert seen.devices[-1].summary.endswith(device.address), "so users are found in what is stored"
    assert host_device_at(tree, "0000:09:00.0") is None


def test_a_folder_is_known_by_its_tag() -> None:
    tree = parse(VM, "domain")
    add_filesystem(tree, FilesystemAdd(path="/srv/media", tag="media"))
    assert filesystem_at(tree, "media") is not None
    assert filesystem_at(tree, "other") is None


@pytest.mark.parametrize("path", ["srv", "/srv/../etc", "/srv/./x", "//srv", "/a\nb", ""])
def test_a_folder_is_an_absolute_path(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        FilesystemAdd(path=path, tag="t")
