"""Finds in a definition what reaches the host (core.dangers)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection

from app.core.views import VmDefinition
from app.hypervisor.xml.read import UnreadableXml, parse
from app.hypervisor.xml.write import Element

_EMULATORS = ("/usr/bin/qemu-system-", "/usr/libexec/qemu-kvm", "/usr/bin/qemu-kvm", "/usr/bin/kvm")
_QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"
# Where libvirt itself keeps what belongs to VMs.
_OWN = ("/var/lib/libvirt/", "/usr/share/", "/var/run/libvirt/", "/run/libvirt/")


# What most definitions have nothing of: only those that do are looked at element by element.
_SIGNS = re.compile(
    r"<hostdev|<filesystem|<qemu:|<kernel>|<initrd>|<dtb>|<loader|type=['\"](?:hostdev|network)['\"] device"
    r"|<seclabel type=['\"](?:none|static)|<(?:serial|parallel|console|channel|rng|shmem|smartcard) type=['\"](?:file|pipe|dev|unix)"
    r"|<emulator>(?!/usr/bin/qemu-system-|/usr/libexec/qemu-kvm|/usr/bin/qemu-kvm|/usr/bin/kvm)"
)


def quick_dangers(definition: VmDefinition, volumes: Collection[str]) -> list[str]:
    """As `find_dangers`, for many: `volumes` are the paths of the host's volumes."""
    sources = [disk.source for disk in definition.disks if disk.source and disk.source.startswith("/")]
    if all(source in volumes for source in sources) and not _SIGNS.search(definition.xml):
        return []
    places = {posixpath.dirname(path) for path in volumes if path.startswith("/")}
    try:
        return find_dangers(definition.xml, places)
    except UnreadableXml:
        return []


def find_dangers(xml: str, places: Collection[str]) -> list[str]:
    """Keys of core.dangers. `places` are the folders of the host's storage pools. Raises UnreadableXml."""
    tree = parse(xml, "domain")
    emulator = (tree.findtext("devices/emulator") or "").strip()
    found = {
        "emulator": bool(emulator) and not emulator.startswith(_EMULATORS),
        "command_line": any(
            tree.find(f"{_QEMU}{name}") is not None for name in ("commandline", "override", "deprecation")
        ),
        "host_path": any(_is_outside(path, places) for path in _paths(tree)),
        "host_device": tree.find("devices/hostdev") is not None
        or any(nic.get("type") == "hostdev" for nic in tree.iterfind("devices/interface")),
        "filesystem": tree.find("devices/filesystem") is not None,
        "kernel": any(
            _is_outside(tree.findtext(f"os/{name}"), places) for name in ("kernel", "initrd", "dtb")
        ),
        "network_disk": any(disk.get("type") == "network" for disk in tree.iterfind("devices/disk")),
        "seclabel": any(each.get("type") in ("none", "static") for each in tree.iterfind("seclabel")),
    }
    return [key for key, there in found.items() if there]


def _paths(tree: Element) -> list[str | None]:
    """Paths that disks, ports and sockets name."""
    found: list[str | None] = []
    for disk in tree.iterfind("devices/disk"):
        for source in disk.iter("source"):
            found += [source.get("file"), source.get("dir")]
            found.append(None if (source.get("dev") or "").startswith("/dev/mapper/") else source.get("dev"))
    for kind in ("serial", "parallel", "console", "channel", "rng", "shmem", "smartcard"):
        for device in tree.iterfind(f"devices/{kind}"):
            if device.get("type") in ("file", "pipe", "dev", "unix"):
                found += [source.get("path") for source in device.iterfind("source")]
    found.append(tree.findtext("os/loader"))
    return found


def _is_outside(path: str | None, places: Collection[str]) -> bool:
    if not path or not path.strip():
        return False
    path = path.strip()
    if "/../" in path or path.endswith("/.."):
        return True
    return not path.startswith((*_OWN, *(f"{place.rstrip('/')}/" for place in places)))
