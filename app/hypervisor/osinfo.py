"""Reads osinfo-db, the list of operating systems that distributions ship as XML files.

https://gitlab.com/libosinfo/osinfo-db; the format is that of libosinfo.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from pathlib import Path

from app.core.library.os_variants import Media, OsVariant
from app.hypervisor.xml.domains.read import UnreadableXml, parse
from app.hypervisor.xml.write import Element

PLACES = ("/usr/share/osinfo", "/usr/local/share/osinfo", "/etc/osinfo")
MAX_FILE = 2 * 1024**2
_PCI = "http://pcisig.com/pci/1af4/"
_DISKS = frozenset({f"{_PCI}1001", f"{_PCI}1042"})
_NICS = frozenset({f"{_PCI}1000", f"{_PCI}1041"})
_VIDEO = frozenset({f"{_PCI}1050"})


@cache
def os_variants() -> Mapping[str, OsVariant]:
    """All systems by short id, and by every other short id that they have; empty where osinfo-db is not installed."""
    trees = {tree.get("id", ""): tree for tree in _trees()}
    found: dict[str, OsVariant] = {}
    for uri, tree in trees.items():
        names = [short_id.text for short_id in tree.findall("short-id") if short_id.text]
        if names:
            os_variant = _system(uri, names[0], tree, _devices(uri, trees))
            found |= dict.fromkeys(names, os_variant)
    return found


def _trees() -> Iterator[Element]:
    for place in PLACES:
        for path in sorted(Path(place, "os").rglob("*.xml")):
            try:
                if os.path.getsize(path) > MAX_FILE:
                    continue
                yield from parse(path.read_bytes(), "libosinfo").findall("os")
            except (OSError, UnreadableXml):
                continue


def _devices(uri: str, trees: Mapping[str, Element]) -> frozenset[str]:
    """Devices that the system has drivers for: its own, and those of the systems that it derives from."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [uri]
    while waiting:
        tree = trees.get(item := waiting.pop())
        if tree is None or item in seen:
            continue
        seen.add(item)
        found |= {device.get("id", "") for device in tree.iterfind("devices/device")}
        waiting += [
            parent.get("id", "") for name in ("derives-from", "clones") for parent in tree.findall(name)
        ]
    return frozenset(found)


def _system(uri: str, short_id: str, tree: Element, devices: frozenset[str]) -> OsVariant:
    return OsVariant(
        short_id=short_id,
        uri=uri,
        name=next((name.text or short_id for name in tree.findall("name") if not name.attrib), short_id),
        family=tree.findtext("family") or "",
        released=_date(tree.findtext("release-date")),
        memory_bytes=_resource(tree, "ram"),
        disk_bytes=_resource(tree, "storage"),
        vcpus=_resource(tree, "n-cpus"),
        has_virtio_disk=bool(devices & _DISKS),
        has_virtio_net=bool(devices & _NICS),
        has_virtio_video=bool(devices & _VIDEO),
        media=tuple(_media(tree)),
        codename=tree.findtext("codename"),
    )


def _resource(tree: Element, name: str) -> int | None:
    """The recommended amount, else the smallest."""
    for kind in ("recommended", "minimum"):
        for resources in tree.findall("resources"):
            text = resources.findtext(f"{kind}/{name}")
            if resources.get("arch") in ("all", "x86_64") and text and text.isdecimal():
                return int(text)
    return None


def _media(tree: Element) -> Iterator[Media]:
    for iso in tree.iterfind("media/iso"):
        volume = iso.findtext("volume-id")
        if volume:
            yield Media(volume, iso.findtext("system-id"), iso.findtext("publisher-id"))


def _date(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None
