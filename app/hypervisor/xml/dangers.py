"""Finds in a definition what reaches the host (core.dangers)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from lxml import etree

from app.core.dangers import climbs
from app.hypervisor.xml.write import Element

_EMULATORS = ("/usr/bin/qemu-system-", "/usr/libexec/qemu-kvm", "/usr/bin/qemu-kvm", "/usr/bin/kvm")
_QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"
_COMMAND_LINE = frozenset(f"{_QEMU}{name}" for name in ("commandline", "override", "deprecation"))
# Where libvirt itself keeps what belongs to VMs.
_OWN = ("/var/lib/libvirt/", "/usr/share/", "/var/run/libvirt/", "/run/libvirt/")
_PORTS = frozenset({"serial", "parallel", "console", "channel", "rng", "shmem", "smartcard"})
_PORTS_WITH_PATHS = frozenset({"file", "pipe", "dev", "unix"})
_MAPPED = "/dev/mapper/"


def read_reaches(tree: Element) -> tuple[tuple[str, str], ...]:
    """What a definition names of its host: see core.views.VmDefinition."""
    found: list[tuple[str, str]] = []
    for child in tree:
        if child.tag in _COMMAND_LINE:
            found.append(("command_line", _print(child)))
        elif child.tag == "seclabel" and child.get("type") in ("none", "static"):
            found.append(("seclabel", _print(child)))
        elif child.tag == "os":
            found += (("kernel", path) for path in _outside(map(child.findtext, ("kernel", "initrd", "dtb"))))
            found += (("host_path", path) for path in _outside([child.findtext("loader")]))
        elif child.tag == "devices":
            for device in child:
                key = _danger_of(device)
                if key is not None:
                    found.append((key, _print(device)))
                found += (("host_path", path) for path in _outside(_paths_of(device)))
    return tuple(dict.fromkeys(found))


def _print(element: Element) -> str:
    """A fingerprint of what an element says."""
    return hashlib.sha256(etree.tostring(element, method="c14n", with_tail=False)).hexdigest()[:16]


def _outside(paths: Iterable[str | None]) -> Iterator[str]:
    """The paths that are not where libvirt itself keeps what belongs to VMs."""
    for path in paths:
        cleaned = (path or "").strip()
        if cleaned and (climbs(cleaned) or not cleaned.startswith(_OWN)):
            yield cleaned


def _danger_of(device: Element) -> str | None:
    tag, kind = device.tag, device.get("type")
    if tag == "emulator":
        program = (device.text or "").strip()
        return "emulator" if program and not program.startswith(_EMULATORS) else None
    if tag == "hostdev" or (tag == "interface" and kind == "hostdev"):
        return "host_device"
    if tag == "filesystem":
        return "filesystem"
    return "network_disk" if tag == "disk" and kind == "network" else None


def _paths_of(device: Element) -> Iterator[str | None]:
    """Paths that a disk, with all its layers, or a port names."""
    if device.tag == "disk":
        for source in device.iter("source"):
            yield source.get("file")
            yield source.get("dir")
            node = source.get("dev")
            yield None if node and node.startswith(_MAPPED) and not climbs(node) else node
    elif device.tag in _PORTS and device.get("type") in _PORTS_WITH_PATHS:
        for source in device.iterfind("source"):
            yield source.get("path")
