"""Reading libvirt's XML: what realistic and hostile documents say."""

from pathlib import Path

import pytest

from app.core.vms.observations import DeviceView, DiskView, GraphicsView, NicView
from app.hypervisor.xml import host
from app.hypervisor.xml.domains import read
from app.hypervisor.xml.networks import networks

DATA = Path(__file__).parent / "data"
GIB = 1024**3


def test_a_desktop_with_everything() -> None:
    xml = (DATA / "desktop.xml").read_text()
    vm = read.read_vm(xml)
    assert vm.xml == xml
    assert (vm.os_type, vm.arch, vm.machine, vm.firmware, vm.hypervisor) == (
        "hvm",
        "x86_64",
        "pc-q35-7.2",
        "efi",
        "kvm",
    )
    assert (vm.vcpus, vm.vcpus_max, vm.cpu_mode, vm.cpu_model) == (4, 8, "host-passthrough", None)
    assert (vm.memory_bytes, vm.memory_max_bytes) == (8 * GIB, 16 * GIB)
    assert (vm.title, vm.os_id) == ("CAD workstation", "http://microsoft.com/win/11")
    assert vm.description == "Made by virt-manager.\nSecond line."
    assert vm.has_agent_channel
    assert read.is_agent_connected(xml)
    assert vm.disks == (
        DiskView("vda", "disk", "virtio", "/var/lib/libvirt/images/desktop.qcow2", "qcow2"),
        DiskView("vdb", "disk", "virtio", "fast/data.raw", "raw"),
        DiskView("sda", "disk", "scsi", "rbd://ceph-1:6789/vms/desktop", "raw"),
        DiskView("sdb", "lun", "scsi", "/dev/mapper/lun7", "raw"),
        DiskView("sdc", "cdrom", "sata", None, None, readonly=True),
    )
    assert vm.nics == (
        NicView("52:54:00:aa:bb:01", "network", "default", "virtio", "vnet3"),
        NicView("52:54:00:aa:bb:02", "direct", "eno1", "e1000e"),
    )
    assert vm.graphics == (
        GraphicsView("spice", "127.0.0.1", 5901),
        GraphicsView("vnc", "/run/vnc.sock", None),
    )
    assert vm.devices == (
        DeviceView("controller", "usb qemu-xhci #0"),
        DeviceView("filesystem", "virtiofs /srv/projects as projects"),
        DeviceView("channel", "unix org.qemu.guest_agent.0 (connected)"),
        DeviceView("channel", "spicevmc com.redhat.spice.0 (disconnected)"),
        DeviceView("input", "tablet usb"),
        DeviceView("tpm", "tpm-crb emulator version 2.0"),
        DeviceView("sound", "ich9"),
        DeviceView("video", "qxl 64 MiB 2 heads"),
        DeviceView("hostdev", "pci 0000:0a:00.1"),
        DeviceView("hostdev", "usb 0x046d:0xc52b"),
        DeviceView("redirdev", "usb spicevmc"),
        DeviceView("watchdog", "itco action reset"),
        DeviceView("memballoon", "virtio"),
        DeviceView("rng", "virtio random /dev/urandom"),
    )


def test_a_bare_server() -> None:
    vm = read.read_vm((DATA / "server.xml").read_text())
    assert (vm.firmware, vm.hypervisor, vm.cpu_mode, vm.cpu_model) == (
        "direct",
        "qemu",
        "custom",
        "Skylake-Server",
    )
    assert (vm.vcpus, vm.vcpus_max, vm.memory_bytes, vm.memory_max_bytes) == (2, 2, GIB // 2, GIB // 2)
    assert (vm.title, vm.os_id, vm.disks, vm.graphics, vm.has_agent_channel) == (None, None, (), (), False)
    assert vm.nics == (NicView("52:54:00:aa:bb:03", "bridge", "br0"),)


def test_the_digest_follows_the_text() -> None:
    xml = (DATA / "server.xml").read_text()
    assert read.read_vm(xml).digest == read.read_vm(xml).digest
    assert read.read_vm(xml).digest != read.read_vm(xml.replace("br0", "br1")).digest


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "no xml",
        "<domain>",
        "<network/>",
        "<domain>\x00</domain>",
        "<domain>" + "<a>" * 5000 + "</a>" * 5000 + "</domain>",
    ],
    ids=["empty", "text", "cut off", "another root", "control character", "deep"],
)
def test_what_is_no_domain_is_refused(xml: str) -> None:
    with pytest.raises(read.UnreadableXml):
        read.read_vm(xml)


def test_entities_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the-secret")
    outside = f'<!DOCTYPE domain [<!ENTITY x SYSTEM "file://{secret}">]><domain><title>&x;</title></domain>'
    assert "the-secret" not in (read.read_vm(outside).title or "")
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE domain [<!ENTITY l0 "ha">{laughs}]><domain><title>&l11;</title></domain>'
    try:
        title = read.read_vm(bomb).title or ""
    except read.UnreadableXml:
        title = ""
    assert len(title) < 100


@pytest.mark.parametrize("number", ["9" * 30, "-x", "", "1e9"])
def test_absurd_numbers_are_not_believed(number: str) -> None:
    vm = read.read_vm(f"<domain><memory>{number}</memory><vcpu current='{number}'>{number}</vcpu></domain>")
    assert (vm.memory_bytes, vm.vcpus, vm.vcpus_max) == (0, 1, 1)


def test_volumes_pools_and_networks() -> None:
    volume = read.read_volume(
        "<volume type='file'><name>a.qcow2</name><key>/p/a.qcow2</key><capacity unit='bytes'>100</capacity>"
        "<allocation unit='KiB'>2</allocation><target><path>/p/a.qcow2</path><format type='qcow2'/></target>"
        "<backingStore><path>/p/base.raw</path></backingStore></volume>"
    )
    assert (volume.name, volume.path, volume.format) == ("a.qcow2", "/p/a.qcow2", "qcow2")
    assert (volume.capacity_bytes, volume.allocation_bytes, volume.backing_path) == (100, 2048, "/p/base.raw")
    assert read.read_pool("<pool type='dir'><target><path>/p</path></target></pool>")[:2] == ("dir", "/p")
    xml = (
        "<network><forward mode='nat'/><bridge name='virbr0'/><ip address='192.168.122.1' netmask='255.255.255.0'>"
        "<dhcp/></ip><ip family='ipv6' address='fd00::1' prefix='64'/></network>"
    )
    network = networks.observe(xml, xml, "u", "default", active=True, autostart=False)
    assert (network.bridge, network.forward_mode, network.dhcp) == ("virbr0", "nat", True)
    assert network.addresses == ("192.168.122.1/24", "fd00::1/64")


def test_capabilities() -> None:
    seen = host.read_capabilities(
        "<capabilities><host><uuid>u</uuid><cpu><arch>x86_64</arch><model>Skylake</model><vendor>Intel</vendor>"
        "<feature name='vmx'/></cpu><iommu support='yes'/></host><guest><arch name='x86_64'><machine>q35</machine>"
        "<machine>pc</machine><domain type='qemu'/><domain type='kvm'/></arch></guest>"
        "<guest><arch name='aarch64'><machine>virt</machine><domain type='hvf'/></arch></guest></capabilities>"
    )
    assert (seen.uuid, seen.arch, seen.cpu_vendor, seen.cpu_model) == ("u", "x86_64", "Intel", "Skylake")
    assert (seen.cpu_features, seen.iommu, seen.machine_types) == (("vmx",), True, ("q35", "pc"))
    assert seen.domain_types == {"qemu", "kvm"}


def test_what_is_wrong_with_xml_is_said_without_the_name_of_a_file() -> None:
    with pytest.raises(read.UnreadableXml) as reported:
        read.read_vm("<domain><broken>")
    assert "<string>" not in str(reported.value)
    assert "line 1, column" in str(reported.value)
