"""Changes of definitions in place: what Vigie does not know stays as it is, comments and order included."""

from __future__ import annotations

from lxml import etree

from app.hypervisor.xml.read import parse
from app.hypervisor.xml.write import Element, node


def edited(tree: Element) -> str:
    """The tree as text, as it was but for what was changed."""
    return etree.tostring(tree, encoding="unicode")


def disk_at(tree: Element, path: str) -> Element | None:
    """The disk whose source is this path."""
    for disk in tree.iterfind("devices/disk"):
        source = disk.find("source")
        if source is not None and path in (source.get("file"), source.get("dev")):
            return disk
    return None


def repointed(xml: str, path: str, to: str, format: str) -> str:
    """The definition with the disk at `path` at `to`; as it was when it has none there. Raises UnreadableXml."""
    tree = parse(xml, "domain")
    disk = disk_at(tree, path)
    if disk is None:
        return xml
    kind = "block" if to.startswith("/dev/") else "file"
    disk.set("type", kind)
    source = disk.find("source")
    if source is None:
        source = node("source")
        disk.append(source)
    for name in ("file", "dev"):
        if name in source.attrib:
            del source.attrib[name]
    source.set("dev" if kind == "block" else "file", to)
    driver = disk.find("driver")
    if driver is not None:
        driver.set("type", format)
    return edited(tree)


def copy_target(path: str, format: str) -> str:
    """The disk element that a block copy writes to."""
    kind = "block" if path.startswith("/dev/") else "file"
    source = node("source", {"dev" if kind == "block" else "file": path})
    tree = node("disk", node("driver", name="qemu", type=format), source, type=kind)
    return edited(tree)
