"""Where displays are, as definitions say it."""

import pytest

from app.hypervisor.transport.transports import HostSocket
from app.hypervisor.xml.domains.display_listeners import (
    DisplayPlace,
    has_serial,
    read_displays,
    with_displays_closed,
)


def domain(devices: str) -> str:
    return f"<domain><name>x</name><devices>{devices}</devices></domain>"


@pytest.mark.parametrize(
    ("graphics", "place"),
    [
        (
            "<graphics type='vnc' port='5901' listen='127.0.0.1' passwd='p'><listen type='address' address='127.0.0.1'/></graphics>",
            DisplayPlace("vnc", "127.0.0.1", 5901, password="p"),
        ),
        ("<graphics type='vnc' port='-1'/>", DisplayPlace("vnc")),
        (
            "<graphics type='vnc' socket='/a'><listen type='socket' socket='/b'/></graphics>",
            DisplayPlace("vnc", path="/a"),
        ),
        ("<graphics type='vnc'><listen type='none'/></graphics>", DisplayPlace("vnc")),
        (
            "<graphics type='spice' port='5902' tlsPort='5903' listen='0.0.0.0'/>",
            DisplayPlace("spice", "0.0.0.0", 5902, 5903),
        ),
        ("<graphics type='vnc' port='99999999999999'/>", DisplayPlace("vnc")),
    ],
)
def test_a_display_is_read(graphics: str, place: DisplayPlace) -> None:
    assert read_displays(domain(graphics)) == (place,)


def test_passwords_are_not_shown() -> None:
    (display,) = read_displays(domain("<graphics type='vnc' port='5901' passwd='very secret'/>"))
    assert "very secret" not in repr(display)


def test_a_serial_port_is_seen() -> None:
    assert has_serial(domain("<serial type='pty'/>"))
    assert has_serial(domain("<console type='pty'/>"))
    assert not has_serial(domain("<channel type='unix'/>"))


@pytest.mark.parametrize(
    ("listens_on", "is_local", "address"),
    [
        ("127.0.0.1", True, "127.0.0.1"),
        ("", True, "127.0.0.1"),
        ("::1", True, "::1"),
        ("localhost", True, "localhost"),
        ("0.0.0.0", False, "127.0.0.1"),
        ("::", False, "::1"),
        ("192.0.2.1", False, "192.0.2.1"),
    ],
)
def test_a_place_is_seen_from_inside_and_outside(listens_on: str, is_local: bool, address: str) -> None:
    place = HostSocket(listens_on=listens_on, port=1)
    assert (place.is_local, place.address) == (is_local, address)
    assert HostSocket(path="/x").is_local


@pytest.mark.parametrize(
    ("graphics", "closed"),
    [
        ("<graphics type='vnc' listen='0.0.0.0'><listen type='address' address='0.0.0.0'/></graphics>", True),
        ("<graphics type='spice'><listen type='network' network='default'/></graphics>", True),
        ("<graphics type='vnc' listen='192.0.2.7'/>", True),
        ("<graphics type='vnc' passwd='p' listen='0.0.0.0'/>", False),
        (
            "<graphics type='vnc' listen='127.0.0.1'><listen type='address' address='127.0.0.1'/></graphics>",
            False,
        ),
        ("<graphics type='vnc'><listen type='socket' socket='/b'/></graphics>", False),
        ("<graphics type='vnc'><listen type='none'/></graphics>", False),
        ("<graphics type='vnc'/>", False),
    ],
)
def test_displays_without_a_known_password_are_closed_to_others(graphics: str, closed: bool) -> None:
    xml, changed = with_displays_closed(domain(graphics))
    assert changed is closed
    assert (xml == domain(graphics)) is not closed
    assert not closed or {place.listens_on for place in read_displays(xml)} == {"127.0.0.1"}
