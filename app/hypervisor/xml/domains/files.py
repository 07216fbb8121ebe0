"""Files, block devices and volumes of a host that a domain names: disks and the layers under them, kernels, ports."""

from __future__ import annotations

from collections.abc import Iterator
from posixpath import normpath

from app.core.vms.observations import FileUse
from app.hypervisor.xml.write import Element

_PORTS = frozenset({"serial", "parallel", "console", "channel"})
_BOOT_FILES = frozenset({"kernel", "initrd", "dtb", "loader"})


def normal(source: str) -> str:
    """A path as hosts list it: without doubled slashes, `.` and `..`; other sources as they are."""
    return f"/{normpath(source).lstrip('/')}" if source.startswith("/") else source


def source_of(disk: Element) -> str | None:
    """The path of a disk, or its volume as `pool/volume`; None for an empty drive and what lies on the network."""
    source = disk.find("source")
    if source is None:
        return None
    if disk.get("type") == "volume":
        return f"{source.get('pool', '')}/{source.get('volume', '')}"
    path = source.get("file") or source.get("dev")
    return normal(path) if path else None


def read_files(tree: Element) -> tuple[FileUse, ...]:
    """All that a domain names, each once for each way in which it is used."""
    found: list[FileUse] = []
    for part in tree:
        if part.tag == "os":
            found += _of_boot(part)
        elif part.tag == "sysinfo":
            found += (_path(entry.get("file")) for entry in part.iterfind("entry"))
        elif part.tag == "devices":
            for device in part:
                found += _of_device(device)
    return tuple(dict.fromkeys(use for use in found if use.source))


def _of_boot(system: Element) -> Iterator[FileUse]:
    for part in system:
        if part.tag in _BOOT_FILES:
            yield _path(part.text)
        elif part.tag == "nvram":
            yield FileUse(source_of(part) or normal((part.text or "").strip()), writes=True)
            yield _path(part.get("template"))
        elif part.tag == "acpi":
            yield _path(part.findtext("table"))


def _of_device(device: Element) -> Iterator[FileUse]:
    if device.tag == "disk":
        yield from _of_disk(device)
    elif device.tag in _PORTS:
        source, log = device.find("source"), device.find("log")
        if source is not None and device.get("type") in ("file", "dev"):
            yield _path(source.get("path"), writes=True)
        if log is not None:
            yield _path(log.get("file"), writes=True)
    elif device.tag == "memory":
        yield _path(device.findtext("source/path"), writes=True)
    elif device.tag == "hostdev":
        yield _path(device.findtext("source/block"), writes=True)


def _of_disk(disk: Element) -> Iterator[FileUse]:
    # A guest may write to every drive but a CD, floppies too, unless the definition says otherwise.
    writes = disk.get("device", "disk") != "cdrom" and disk.find("readonly") is None
    shared = disk.find("shareable") is not None
    yield FileUse(source_of(disk) or "", writes, shared)
    for layer in disk.iter("backingStore"):
        yield FileUse(source_of(layer) or "")
    for layer in disk.iter("mirror", "dataStore"):
        yield FileUse(source_of(layer) or "", writes, shared)


def _path(text: str | None, *, writes: bool = False) -> FileUse:
    return FileUse(normal((text or "").strip()), writes)
