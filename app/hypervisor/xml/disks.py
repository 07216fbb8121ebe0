"""Disks as definitions name them."""

from __future__ import annotations

from collections.abc import Collection

from app.hypervisor.xml.read import parse
from app.hypervisor.xml.write import Element


def source_of(disk: Element) -> str | None:
    """The path of a disk, or its volume as `pool/volume`; None for an empty drive and what lies on the network."""
    source = disk.find("source")
    if source is None:
        return None
    if disk.get("type") == "volume":
        return f"{source.get('pool', '')}/{source.get('volume', '')}"
    return source.get("file") or source.get("dev")


def names_any(xml: str, sources: Collection[str]) -> bool:
    """Whether the definition has a disk or drive with one of these sources. Raises UnreadableXml."""
    return any(source_of(disk) in sources for disk in parse(xml, "domain").iterfind("devices/disk"))


def written_alone(xml: str) -> list[str]:
    """Sources of the disks that the VM writes to and does not declare to be shared. Raises UnreadableXml."""
    return _written(xml, shared=False)


def written_together(xml: str) -> list[str]:
    """Sources of the disks that the VM writes to and declares to be shared. Raises UnreadableXml."""
    return _written(xml, shared=True)


def _written(xml: str, *, shared: bool) -> list[str]:
    disks = parse(xml, "domain").iterfind("devices/disk")
    found = [
        source_of(disk)
        for disk in disks
        if disk.get("device", "disk") == "disk"
        and disk.find("readonly") is None
        and (disk.find("shareable") is not None) is shared
    ]
    return [source for source in found if source]
