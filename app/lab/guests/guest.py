"""The lab's guests: their XML, and making them with virsh, as a person would (never by Vigie)."""

import hashlib
import re
from dataclasses import dataclass
from typing import TypedDict
from xml.etree import ElementTree

from app.lab.paths import ASSETS, POOLS
from app.lab.state import Accelerator

KERNEL = f"{ASSETS}/vmlinuz"
INITRD = f"{ASSETS}/initrd"
CONSOLE = "console=tty0 console=ttyS0 quiet nokaslr mitigations=off"
MEMORY_MIB = 128
MIN_MEMORY_MIB = 96  # with less its kernel dies at once, and it reboots for ever


class GuestOptions(TypedDict, total=False):
    """What a caller may choose of a GuestSpec, beside its name."""

    memory_mib: int
    vcpus: int
    disk_mib: int
    pool: str
    network: str
    uuid: str
    mac: str
    deaf: bool
    agent: bool
    boots: bool
    description: str


@dataclass(frozen=True)
class GuestSpec:
    """A guest to make.

    `deaf` ignores the power button; without `agent` there is no guest agent in it. One that does not boot runs with
    nothing in it: its firmware finds no system and waits, deaf to the power button, which costs next to nothing.
    """

    name: str
    accelerator: Accelerator
    memory_mib: int = MEMORY_MIB
    vcpus: int = 1
    disk_mib: int = 64
    pool: str = "local"
    network: str = "default"
    uuid: str | None = None
    mac: str | None = None
    deaf: bool = False
    agent: bool = True
    boots: bool = True
    description: str | None = None

    @property
    def file_stem(self) -> str:
        """A name for files and for the guest's own host name; a VM's name may hold anything."""
        plain = re.sub(r"[^a-zA-Z0-9-]+", "-", self.name).strip("-")[:40]
        if plain == self.name:
            return plain
        return f"{plain or 'vm'}-{hashlib.sha256(self.name.encode()).hexdigest()[:6]}"

    @property
    def volume(self) -> str:
        """Name of the disk's volume in its pool."""
        return f"{self.file_stem}.qcow2"

    @property
    def disk_path(self) -> str:
        """Path of the disk on its host."""
        return f"{POOLS[self.pool]}/{self.volume}"


def domain_xml(spec: GuestSpec) -> str:
    """libvirt's XML of the guest: VNC, serial console, agent channel, virtio disk and network card."""
    domain = ElementTree.Element("domain", type=spec.accelerator)
    _text(domain, "name", spec.name)
    if spec.uuid:
        _text(domain, "uuid", spec.uuid)
    if spec.description:
        _text(domain, "description", spec.description)
    _text(domain, "memory", str(spec.memory_mib), unit="MiB")
    _text(domain, "vcpu", str(spec.vcpus))
    system = ElementTree.SubElement(domain, "os")
    _text(system, "type", "hvm", arch="x86_64", machine="pc")
    if spec.boots:
        _text(system, "kernel", KERNEL)
        _text(system, "initrd", INITRD)
        _text(system, "cmdline", _command_line(spec))
    features = ElementTree.SubElement(domain, "features")
    ElementTree.SubElement(features, "acpi")
    ElementTree.SubElement(features, "apic")
    _text(domain, "on_poweroff", "destroy")
    _text(domain, "on_reboot", "restart")
    _text(domain, "on_crash", "destroy")
    _add_devices(ElementTree.SubElement(domain, "devices"), spec)
    ElementTree.indent(domain)
    return ElementTree.tostring(domain, encoding="unicode") + "\n"


def _command_line(spec: GuestSpec) -> str:
    words = [CONSOLE, f"vigie.name={spec.file_stem}"]
    if spec.deaf:
        words.append("vigie.acpi=off")
    if not spec.agent:
        words.append("vigie.agent=off")
    return " ".join(words)


def _add_devices(devices: ElementTree.Element, spec: GuestSpec) -> None:
    disk = ElementTree.SubElement(devices, "disk", type="file", device="disk")
    ElementTree.SubElement(disk, "driver", name="qemu", type="qcow2", cache="none", discard="unmap")
    ElementTree.SubElement(disk, "source", file=spec.disk_path)
    ElementTree.SubElement(disk, "target", dev="vda", bus="virtio")
    ElementTree.SubElement(devices, "controller", type="usb", model="none")
    card = ElementTree.SubElement(devices, "interface", type="network")
    if spec.mac:
        ElementTree.SubElement(card, "mac", address=spec.mac)
    ElementTree.SubElement(card, "source", network=spec.network)
    ElementTree.SubElement(card, "model", type="virtio")
    # The guest never boots from the network; its boot ROM alone would take a second.
    ElementTree.SubElement(card, "rom", enabled="no")
    serial = ElementTree.SubElement(devices, "serial", type="pty")
    ElementTree.SubElement(serial, "target", port="0")
    console = ElementTree.SubElement(devices, "console", type="pty")
    ElementTree.SubElement(console, "target", type="serial", port="0")
    channel = ElementTree.SubElement(devices, "channel", type="unix")
    ElementTree.SubElement(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
    screen = ElementTree.SubElement(devices, "graphics", type="vnc", port="-1", autoport="yes")
    ElementTree.SubElement(screen, "listen", type="address", address="127.0.0.1")
    video = ElementTree.SubElement(devices, "video")
    ElementTree.SubElement(video, "model", type="vga", vram="8192")
    ElementTree.SubElement(devices, "memballoon", model="virtio")


def _text(parent: ElementTree.Element, tag: str, text: str, **attributes: str) -> None:
    ElementTree.SubElement(parent, tag, attributes).text = text
