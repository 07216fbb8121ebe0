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


def layers(xml: str) -> list[tuple[str, str | None]]:
    """Sources of all disks, drives and the layers under them that a definition names, with the formats that it gives.

    Raises UnreadableXml.
    """
    found: list[tuple[str, str | None]] = []
    for disk in parse(xml, "domain").iterfind("devices/disk"):
        driver = disk.find("driver")
        found.append((source_of(disk) or "", None if driver is None else driver.get("type")))
        for layer in disk.iter("backingStore", "mirror", "dataStore"):
            format = layer.find("format")
            found.append((source_of(layer) or "", None if format is None else format.get("type")))
    return [each for each in found if each[0]]


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
