"""What definitions name of their host."""

import pytest

from app.core.dangers import dangers_of
from app.hypervisor.xml.read import read_vm

PLACES = ("/srv/vms", "/mnt/shared/")
QEMU = "xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'"

HARMLESS = """
<domain type='kvm'><name>x</name>
  <os><type>hvm</type><loader type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader>
    <nvram template='/usr/share/OVMF/OVMF_VARS.fd'>/var/lib/libvirt/qemu/nvram/x_VARS.fd</nvram></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file'><source file='/srv/vms/a.qcow2'/>
      <backingStore type='file'><source file='/mnt/shared/base.qcow2'/></backingStore></disk>
    <disk type='block'><source dev='/dev/mapper/vg-lv'/></disk>
    <disk type='volume'><source pool='p' volume='v'/></disk>
    <disk type='file' device='cdrom'/>
    <disk type='file' device='cdrom'><source file='/usr/share/virtio-win/virtio-win.iso'/><readonly/></disk>
    <interface type='network'><source network='default'/></interface>
    <channel type='unix'><source mode='bind' path='/var/lib/libvirt/qemu/channel/a'/></channel>
    <serial type='pty'><source path='/dev/pts/3'/></serial>
  </devices>
  <seclabel type='dynamic' model='apparmor'/>
</domain>"""


def dangers(xml: str) -> list[str]:
    return dangers_of(read_vm(xml).reaches, PLACES)


def test_a_usual_vm_reaches_nothing() -> None:
    assert dangers(HARMLESS) == []


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ("<emulator>/tmp/evil</emulator>", "emulator"),
        ("<disk type='file'><source file='/etc/shadow'/></disk>", "host_path"),
        ("<disk type='file'><source file='/srv/vms/../../etc/shadow'/></disk>", "host_path"),
        ("<disk type='file'><source file='/var/lib/libvirt/../../../etc/shadow'/></disk>", "host_path"),
        ("<disk type='file'><source file='/srv/vms-of-others/a'/></disk>", "host_path"),
        ("<disk type='dir'><source dir='/home'/></disk>", "host_path"),
        ("<disk type='block'><source dev='/dev/sda'/></disk>", "host_path"),
        ("<disk type='block'><source dev='/dev/mapper/../sda'/></disk>", "host_path"),
        (
            "<disk type='file'><source file='/srv/vms/a'/><mirror><source file='/root/b'/></mirror></disk>",
            "host_path",
        ),
        ("<serial type='file'><source path='/etc/passwd'/></serial>", "host_path"),
        ("<rng type='dev'><source path='/dev/mem'/></rng>", "host_path"),
        ("<disk type='file'><source file='/var/lib/libvirt/secrets/a.base64'/></disk>", "host_path"),
        ("<disk type='file'><source file='/usr/share/passwords'/></disk>", "host_path"),
        (
            "<channel type='unix'><source mode='connect' path='/var/lib/libvirt/qemu/domain-1-x/monitor.sock'/></channel>",
            "host_path",
        ),
        (
            "<channel type='unix'><source mode='bind' path='/var/lib/libvirt/qemu/save/x'/></channel>",
            "host_path",
        ),
        ("<serial type='pty'><log file='/etc/cron.d/x'/></serial>", "host_path"),
        ("<audio id='1' type='file' path='/etc/cron.d/x'/>", "host_path"),
        ("<memory model='nvdimm'><source><path>/etc/shadow</path></source></memory>", "host_path"),
        ("<disk type='network'><source protocol='nbd' name='x'/></disk>", "network_disk"),
        ("<interface type='hostdev'><source/></interface>", "host_device"),
        ("<hostdev mode='subsystem' type='pci'><source/></hostdev>", "host_device"),
        ("<filesystem type='mount'><source dir='/'/><target dir='r'/></filesystem>", "filesystem"),
    ],
)
def test_a_device_that_reaches_the_host_is_told(part: str, key: str) -> None:
    assert dangers(HARMLESS.replace("</devices>", f"{part}</devices>")) == [key]


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ("<os><type>hvm</type><kernel>/boot/vmlinuz</kernel></os>", "kernel"),
        ("<os><type>hvm</type><nvram>/etc/shadow</nvram></os>", "host_path"),
        ("<os><type>hvm</type><nvram template='/etc/shadow'/></os>", "host_path"),
        ("<os><type>hvm</type><acpi><table type='slic'>/etc/shadow</table></acpi></os>", "host_path"),
        ("<sysinfo type='fwcfg'><entry name='opt/a' file='/etc/shadow'/></sysinfo>", "host_path"),
        ("<seclabel type='none'/>", "seclabel"),
        (f"<q:commandline {QEMU}><q:arg value='-S'/></q:commandline>", "command_line"),
    ],
)
def test_a_definition_that_reaches_the_host_is_told(part: str, key: str) -> None:
    assert dangers(HARMLESS.replace("<devices>", f"{part}<devices>")) == [key]


def test_two_things_of_a_kind_are_two() -> None:
    """Who may not add a host's device may not add a second one to a VM that has one."""
    one = HARMLESS.replace("</devices>", "<hostdev type='usb'><source a='1'/></hostdev></devices>")
    two = one.replace("</devices>", "<hostdev type='usb'><source a='2'/></hostdev></devices>")
    new = [each for each in read_vm(two).reaches if each not in read_vm(one).reaches]
    assert dangers_of(new, PLACES) == ["host_device"]
