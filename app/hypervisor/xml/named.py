"""What a definition names, wherever in it that stands: for questions that no kind of device may get around."""

from __future__ import annotations

from collections.abc import Iterator

from app.hypervisor.xml.domains.files import normal
from app.hypervisor.xml.domains.host_access import is_read_only, paths_in
from app.hypervisor.xml.domains.read import parse
from app.hypervisor.xml.write import Element


def read_named(xml: str) -> frozenset[str]:
    """All absolute paths, in their shortest spelling, and volumes as `pool/volume`. Raises UnreadableXml."""
    return frozenset(name for element in parse(xml, "domain").iter() for name in _named_by(element))


def read_written(xml: str) -> frozenset[str]:
    """Paths, as they are spelled, of the disks that the guest can write to, with their layers. Raises UnreadableXml."""
    disks = [disk for disk in parse(xml, "domain").iterfind("devices/disk") if not is_read_only(disk)]
    paths = (path for disk in disks for source in disk.iter("source") for path in paths_in(source))
    return frozenset(path.strip() for path in paths if path)


def _named_by(element: Element) -> Iterator[str]:
    for text in (element.text, *element.attrib.values()):
        message = (text or "").strip()
        if message.startswith("/"):
            yield normal(message)
    pool, volume = element.get("pool"), element.get("volume")
    if pool and volume:
        yield f"{pool}/{volume}"
