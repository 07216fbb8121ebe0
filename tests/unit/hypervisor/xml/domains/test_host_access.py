"""What definitions name of their host."""

from pathlib import Path

import pytest

from app.core.vms.host_access import host_access_of
from app.hypervisor.xml.domains.read import read_vm

PLACES = ("/srv/vms", "/mnt/shared/", "/dev/vg", "/dev/sdz1")
QEMU = "xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'"

HARMLESS = """
<domain type='kvm'><name>x</name>
  <os><type>hvm</type><loader type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader>
    <nvram template='/usr/share/OVMF/OVMF_VARS.fd'>/var/lib/libvirt/qemu/nvram/x_VARS.fd</nvram></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file'><source file='/srv/vms/a.qcow2'/>
      <backingStore type='file'><source file='/mnt/shared/base.qcow2'/></backingStore></disk>
    <disk type='block'><source dev='/dev/vg/lv'/></disk>
    <disk type='block'><source dev='/dev/sdz1'/></disk>
    <disk type='volume'><source pool='p' volume='v'/></disk>
    <disk type='file' device='cdrom'/>
    <disk type='file' device='cdrom'><source file='/usr/share/virtio-win/virtio-win.iso'/><readonly/></disk>
    <interface type='network'><source network='default'/></interface>
    <channel type='unix'><source mode='bind' path='/var/lib/libvirt/qemu/channel/a'/></channel>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>
    <channel type='qemu-vdagent'><source><clipboard copypaste='yes'/></source></channel>
    <redirdev bus='usb' type='spicevmc'/>
    <smartcard mode='passthrough' type='spicevmc'/>
    <serial type='pty'><source path='/dev/pts/3'/></serial>
    <console type='pty' tty='/dev/pts/3'><source path='/dev/pts/3'/></console>
    <controller type='usb' model='qemu-xhci'/>
    <input type='tablet' bus='usb'/><input type='mouse' bus='ps2'/><input type='keyboard' bus='ps2'/>
    <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>
    <graphics type='vnc' port='-1'><listen type='address' address='127.0.0.1'/></graphics>
    <graphics type='spice'><listen type='socket' socket='/var/lib/libvirt/qemu/domain-1-x/spice.sock'/></graphics>
    <sound model='ich9'/><audio id='1' type='spice'/><audio id='2' type='none'/>
    <video><model type='virtio'/></video>
    <watchdog model='itco' action='reset'/><memballoon model='virtio'/><panic model='isa'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <rng model='virtio'><backend model='builtin'/></rng>
    <vsock model='virtio'/><iommu model='intel'/>
  </devices>
  <seclabel type='dynamic' model='apparmor'/>
</domain>"""


def host_access(xml: str) -> list[str]:
    return host_access_of(read_vm(xml).reaches, PLACES)


def test_a_usual_vm_reaches_nothing() -> None:
    assert host_access(HARMLESS) == []


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
        ("<disk type='block'><source dev='/dev/sdz'/></disk>", "host_path"),
        ("<disk type='block'><source dev='/dev/mapper/vg-root'/></disk>", "host_path"),
        ("<disk type='file'><source file='/dev/mapper/vg-root'/></disk>", "host_path"),
        (
            "<disk type='file'><source file='/srv/vms/a'/><mirror><source file='/root/b'/></mirror></disk>",
            "host_path",
        ),
        ("<serial type='file'><source path='/etc/passwd'/></serial>", "host_path"),
        ("<rng model='virtio'><backend model='random'>/dev/mem</backend></rng>", "host_path"),
        (
            "<rng model='virtio'><backend model='egd' type='tcp'><source mode='connect' host='h' service='1'/></backend></rng>",
            "connection",
        ),
        (
            "<disk type='nvme'><source type='pci' namespace='1'><address bus='1'/></source></disk>",
            "host_device",
        ),
        ("<disk type='vhostvdpa'><source dev='/dev/vg/x'/></disk>", "host_device"),
        ("<disk type='block' device='lun'><source dev='/dev/vg/x'/></disk>", "host_device"),
        ("<disk type='vhostuser'><source type='unix'/></disk>", "connection"),
        (
            "<disk type='file'><source file='/srv/vms/a'/><backingStore type='network'><source protocol='nbd'/></backingStore></disk>",
            "network_disk",
        ),
        (
            "<disk type='block'><source dev='/dev/vg/x'><reservations managed='no'><source type='unix' path='/run/x'/></reservations></source></disk>",
            "host_path",
        ),
        ("<tpm><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>", "host_device"),
        ("<tpm><backend type='external'><source type='unix'/></backend></tpm>", "connection"),
        ("<tpm><backend type='emulator'><source type='dir' path='/root'/></backend></tpm>", "host_path"),
        ("<input type='evdev'><source dev='/dev/input/event1'/></input>", "host_device"),
        ("<input type='passthrough'><source evdev='/dev/input/event1'/></input>", "host_device"),
        ("<redirdev bus='usb' type='unix'><source mode='connect' path='/run/x'/></redirdev>", "host_path"),
        ("<redirdev bus='usb' type='dev'><source path='/dev/ttyS0'/></redirdev>", "host_path"),
        (
            "<redirdev bus='usb' type='tcp'><source mode='connect' host='h' service='1'/></redirdev>",
            "connection",
        ),
        ("<serial type='tcp'><source mode='connect' host='h' service='1'/></serial>", "connection"),
        ("<channel type='udp'><source mode='connect' host='h' service='1'/></channel>", "connection"),
        ("<shmem name='m'/>", "connection"),
        ("<shmem name='m'><server path='/run/x'/></shmem>", "connection"),
        ("<smartcard mode='host'/>", "host_device"),
        ("<smartcard mode='host-certificates'><certificate>a</certificate></smartcard>", "host_device"),
        (
            "<smartcard mode='passthrough' type='tcp'><source mode='bind' service='1'/></smartcard>",
            "connection",
        ),
        (
            "<smartcard mode='passthrough' type='unix'><source mode='connect' path='/run/x'/></smartcard>",
            "host_path",
        ),
        ("<graphics type='vnc' socket='/var/lib/libvirt/qemu/domain-1-x/monitor.sock'/>", "host_path"),
        ("<graphics type='sdl'/>", "host_device"),
        ("<audio id='1' type='alsa'/>", "host_device"),
        ("<pstore backend='acpi-erst'><path>/etc/shadow</path></pstore>", "host_path"),
        ("<interface type='network'><backend tap='/dev/mem'/></interface>", "host_path"),
        ("<newdevice/>", "host_device"),
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
    assert host_access(HARMLESS.replace("</devices>", f"{part}</devices>")) == [key]


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ("<os><type>hvm</type><kernel>/boot/vmlinuz</kernel></os>", "kernel"),
        ("<os><type>hvm</type><nvram>/etc/shadow</nvram></os>", "host_path"),
        ("<os><type>hvm</type><nvram template='/etc/shadow'/></os>", "host_path"),
        ("<os><type>hvm</type><acpi><table type='slic'>/etc/shadow</table></acpi></os>", "host_path"),
        ("<sysinfo type='fwcfg'><entry name='opt/a' file='/etc/shadow'/></sysinfo>", "host_path"),
        ("<seclabel type='none'/>", "seclabel"),
        (f"<q:capabilities {QEMU}><q:add capability='x'/></q:capabilities>", "command_line"),
        (f"<q:commandline {QEMU}><q:arg value='-S'/></q:commandline>", "command_line"),
    ],
)
def test_a_definition_that_reaches_the_host_is_told(part: str, key: str) -> None:
    assert host_access(HARMLESS.replace("<devices>", f"{part}<devices>")) == [key]


def test_two_things_of_a_kind_are_two() -> None:
    """Who may not add a host's device may not add a second one to a VM that has one."""
    one = HARMLESS.replace("</devices>", "<hostdev type='usb'><source a='1'/></hostdev></devices>")
    two = one.replace("</devices>", "<hostdev type='usb'><source a='2'/></hostdev></devices>")
    new = [reach for reach in read_vm(two).reaches if reach not in read_vm(one).reaches]
    assert host_access_of(new, PLACES) == ["host_device"]


@pytest.mark.parametrize("name", ["fresh-live", "fresh-saved"])
def test_a_new_vm_as_its_host_has_it_reaches_nothing(name: str) -> None:
    assert host_access((Path(__file__).parent / "data" / f"{name}.xml").read_text()) == []
