"""Disks found by what they name, and pointed at another file or device, in place; what a block copy writes to."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from app.hypervisor.xml.domains.files import source_of
from app.hypervisor.xml.domains.read import parse_for_edit
from app.hypervisor.xml.write import Element, edited, node


def disk_at(tree: Element, sources: Collection[str]) -> Element | None:
    """The first disk with one of these sources: paths, or `pool/volume`."""
    return next(_disks_at(tree, sources), None)


def repointed(xml: str, sources: Collection[str], to: str, format: str) -> str:
    """The definition with every disk that has one of these sources at the path `to`; as it was when it has none.

    Raises UnreadableXml.
    """
    tree = parse_for_edit(xml, "domain")
    disks = list(_disks_at(tree, sources))
    kind = "block" if to.startswith("/dev/") else "file"
    for disk in disks:
        disk.set("type", kind)
        for source in disk.findall("source"):
            for name in ("file", "dev", "pool", "volume", "mode"):
                if name in source.attrib:
                    del source.attrib[name]
            source.set("dev" if kind == "block" else "file", to)
        driver = disk.find("driver")
        if driver is None:
            driver = node("driver", name="qemu")
            disk.insert(0, driver)
        driver.set("type", format)
    return edited(tree) if disks else xml


def copy_target(path: str, format: str) -> str:
    """The disk element that a block copy writes to."""
    kind = "block" if path.startswith("/dev/") else "file"
    source = node("source", {"dev" if kind == "block" else "file": path})
    tree = node("disk", node("driver", name="qemu", type=format), source, type=kind)
    return edited(tree)


def _disks_at(tree: Element, sources: Collection[str]) -> Iterator[Element]:
    return (disk for disk in tree.iterfind("devices/disk") if source_of(disk) in sources)
