"""What a definition says of the files that it names: see `files`."""

from __future__ import annotations

from collections.abc import Collection

from app.hypervisor.xml.domains.files import read_files, source_of
from app.hypervisor.xml.domains.read import parse


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
    return [item for item in found if item[0]]


def names_any(xml: str, sources: Collection[str], *, sharing: bool = True) -> bool:
    """Whether the definition names one of these, in whatever way; with `sharing` off, one that it does not share.

    Raises UnreadableXml.
    """
    uses = read_files(parse(xml, "domain"))
    return any(use.source in sources for use in uses if sharing or not use.shared)


def written_alone(xml: str) -> list[str]:
    """What the VM writes to and does not declare to be shared. Raises UnreadableXml."""
    return [use.source for use in read_files(parse(xml, "domain")) if use.writes and not use.shared]


def written_together(xml: str) -> list[str]:
    """What the VM writes to and declares to be shared. Raises UnreadableXml."""
    return [use.source for use in read_files(parse(xml, "domain")) if use.writes and use.shared]
