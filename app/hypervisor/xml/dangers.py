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
# Where disks, kernels and media may lie without being in a pool; read-only ones also where packages put theirs.
_DISKS = ("/var/lib/libvirt/images/", "/var/lib/libvirt/boot/")
_READ_ONLY = (*_DISKS, "/usr/share/")
_FIRMWARE = ("/usr/share/",)
_VARIABLES = ("/var/lib/libvirt/qemu/nvram/",)
# Sockets that QEMU makes itself. Those beside them, such as monitors of other VMs, are nobody's to connect to.
_CHANNELS = ("/var/lib/libvirt/qemu/channel/", "/run/libvirt/qemu/", "/var/run/libvirt/qemu/")
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
            found += (
                ("kernel", path)
                for path in _outside(map(child.findtext, ("kernel", "initrd", "dtb")), _DISKS)
            )
            found += (("host_path", path) for path in _firmware_of(child))
        elif child.tag == "sysinfo":
            found += (("host_path", path) for path in _outside((each.get("file") for each in child), ()))
        elif child.tag == "devices":
            for device in child:
                key = _danger_of(device)
                if key is not None:
                    found.append((key, _print(device)))
                found += (("host_path", path) for path in _paths_of(device))
    return tuple(dict.fromkeys(found))


def _print(element: Element) -> str:
    """A fingerprint of what an element says."""
    return hashlib.sha256(etree.tostring(element, method="c14n", with_tail=False)).hexdigest()[:16]


def _outside(paths: Iterable[str | None], own: tuple[str, ...]) -> Iterator[str]:
    """The paths that are not in one of these folders, where they belong to the VM."""
    for path in paths:
        cleaned = (path or "").strip()
        if cleaned and (climbs(cleaned) or not cleaned.startswith(own)):
            yield cleaned


def _firmware_of(os: Element) -> Iterator[str]:
    """Files of firmware elsewhere than packages put them, and ACPI tables: QEMU reads and, of variables, writes them."""
    yield from _outside([os.findtext("loader")], _FIRMWARE)
    for variables in os.iterfind("nvram"):
        yield from _outside([variables.get("template")], _FIRMWARE)
        yield from _outside(
            [variables.text, *(each.get("file") for each in variables.iter("source"))], _VARIABLES
        )
    yield from _outside((each.text for each in os.iterfind("acpi/table")), ())


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


def _paths_of(device: Element) -> Iterator[str]:
    """Paths elsewhere than they belong, that a disk with all its layers, a port, a log or other memory names."""
    if device.tag == "disk":
        read_only = device.get("device") == "cdrom" or device.find("readonly") is not None
        for source in device.iter("source"):
            node = source.get("dev")
            mapped = node is not None and node.startswith(_MAPPED) and not climbs(node)
            paths = [source.get("file"), source.get("dir"), None if mapped else node]
            yield from _outside(paths, _READ_ONLY if read_only else _DISKS)
    elif device.tag in _PORTS and device.get("type") in _PORTS_WITH_PATHS:
        for source in device.iterfind("source"):
            own = _CHANNELS if source.get("mode") == "bind" else ()
            yield from _outside([source.get("path")], own)
    elif device.tag == "audio":
        yield from _outside([device.get("path")], ())
    elif device.tag == "memory":
        yield from _outside([device.findtext("source/path")], ())
    yield from _outside((each.get("file") for each in device.iterfind("log")), ())
