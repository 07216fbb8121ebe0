"""What a console that only looks lets through, in whatever pieces it comes."""

from struct import pack

import pytest

from app.core.errors import HostError
from app.web.consoles.view_only import ViewOnlyFilter

FORMAT = bytes([0]) + bytes(19)
ENCODINGS = pack(">BxH4i", 2, 4, 0, 7, -258, -223)
KEPT_ENCODINGS = pack(">BxH3i", 2, 3, 0, 7, -223)
UPDATE = pack(">BBHHHH", 3, 1, 0, 0, 640, 480)
CONTINUOUS = pack(">BBHHHH", 150, 1, 0, 0, 640, 480)
FENCE = pack(">BxxxIB", 248, 1, 5) + b"fence"
KEY = pack(">BBxxI", 4, 1, 0x41)
POINTER = pack(">BBHH", 5, 1, 3, 4)
CUT = pack(">Bxxxi", 6, 300) + b"x" * 300
EXTENDED_CUT = pack(">Bxxxi", 6, -12) + b"\x03" * 12
QEMU_KEY = pack(">BBHII", 255, 0, 1, 0x41, 0x1E)
QEMU_AUDIO = pack(">BBH", 255, 1, 0) + pack(">BBHBBI", 255, 1, 2, 3, 2, 44100)
POWER = pack(">BxBB", 250, 1, 3)
RESIZE = pack(">BxHHBx", 251, 800, 600, 2) + bytes(32)

DROPPED = [KEY, POINTER, CUT, EXTENDED_CUT, QEMU_KEY, QEMU_AUDIO, POWER, RESIZE]
STREAM = FORMAT + b"".join(item + UPDATE for item in DROPPED) + ENCODINGS + FENCE + CONTINUOUS
PASSED = FORMAT + UPDATE * len(DROPPED) + KEPT_ENCODINGS + FENCE + CONTINUOUS


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64, len(STREAM)])
def test_only_what_looks_passes(piece: int) -> None:
    view_only = ViewOnlyFilter()
    pieces = [STREAM[start : start + piece] for start in range(0, len(STREAM), piece)]
    assert b"".join(view_only.feed(item) for item in pieces) == PASSED


@pytest.mark.parametrize("message", [b"\x01", b"\x07", b"\xfe", pack(">BBH", 255, 9, 0)])
def test_an_unknown_message_is_the_end(message: bytes) -> None:
    with pytest.raises(HostError) as raised:
        ViewOnlyFilter().feed(UPDATE + message)
    assert raised.value.code == "view_only_message"


def test_a_text_that_never_ends_takes_no_memory() -> None:
    view_only = ViewOnlyFilter()
    assert view_only.feed(pack(">Bxxxi", 6, -(1 << 31))) == b""
    assert view_only.feed(KEY * 1000) == b""
    assert len(view_only._head) == 0
