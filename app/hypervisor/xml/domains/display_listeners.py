"""Where a VM's displays and serial consoles are, and displays closed to all but their host.

What is read must be the live definition; `with_displays_closed` takes any.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from app.hypervisor.xml.domains.read import parse, parse_for_edit
from app.hypervisor.xml.write import Element, edited

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class DisplayPlace:
    """Where a display listens; `port` and `path` are None when nowhere. `listens_on` is as the XML has it."""

    kind: str  # vnc, spice, ...
    listens_on: str = ""
    port: int | None = None
    tls_port: int | None = None
    path: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def is_open(self) -> bool:
        """Whether it listens at all."""
        return self.path is not None or self.port is not None


def read_displays(xml: str) -> tuple[DisplayPlace, ...]:
    """The displays of a domain, in order. Raises UnreadableXml."""
    return tuple(_display(item) for item in parse(xml, "domain").iterfind("devices/graphics"))


def has_serial(xml: str) -> bool:
    """Whether a domain has a serial port or console. Raises UnreadableXml."""
    devices = parse(xml, "domain").find("devices")
    return devices is not None and any(devices.find(tag) is not None for tag in ("console", "serial"))


def with_displays_closed(xml: str) -> tuple[str, bool]:
    """The definition with displays that have no password reachable from their host only, and whether any was not.

    Raises UnreadableXml.
    """
    tree = parse_for_edit(xml, "domain")
    closed = False
    for display in tree.iterfind("devices/graphics"):
        if display.get("passwd") is not None or display.get("type") not in ("vnc", "spice"):
            continue
        for listen in display.findall("listen"):
            if listen.get("type") == "network" or not _is_closed(listen.get("address")):
                listen.attrib.clear()
                listen.set("type", "address")
                listen.set("address", LOOPBACK)
                closed = True
        if not _is_closed(display.get("listen")):
            display.set("listen", LOOPBACK)
            closed = True
    return edited(tree) if closed else xml, closed


def _display(graphics: Element) -> DisplayPlace:
    listen = graphics.find("listen")
    given: dict[str, str] = {} if listen is None else {str(k): str(v) for k, v in listen.attrib.items()}
    return DisplayPlace(
        kind=graphics.get("type", ""),
        listens_on=given.get("address") or graphics.get("listen") or "",
        port=_port(graphics.get("port")),
        tls_port=_port(graphics.get("tlsPort")),
        path=graphics.get("socket") or given.get("socket"),
        password=graphics.get("passwd"),
    )


def _port(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and 0 < int(text[:6]) < 65536 else None


def _is_closed(address: str | None) -> bool:
    """Whether nothing but the host itself reaches a display that listens there. None: the host's own default."""
    return address in (None, "", "localhost", "::1") or str(address).startswith("127.")
