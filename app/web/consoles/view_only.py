"""Filter a VNC client's messages for view-only consoles: what shows the screen passes, input does not.

The stream is followed message by message, whatever pieces it comes in; nothing is kept but the head of a message.
Unknown messages end the console: their length is not known, so what comes after could be anything.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import unpack

from app.core.errors import HostError
from app.core.messages import N_

_NEVER = 1 << 31
# Pseudo-encodings that would let the server expect messages in other forms than those below.
_EXTENSIONS = {-258, -259, -309, -316, -308, -1063131698}


class ViewOnlyFilter:
    """Takes what a client sends after its first message, gives what the server may see of it."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._skip = 0

    def feed(self, data: bytes) -> bytes:
        """What to pass on. Raises HostError (view_only) for a message that is not known."""
        passed = bytearray()
        at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
                at += step
                continue
            self._head.append(data[at])
            at += 1
            passed += self._take()
        return bytes(passed)

    def _take(self) -> bytes:
        """The message that is complete now, if it may pass."""
        head = self._head
        if head[0] not in _KINDS:
            raise _unknown()
        enough, length, passes = _KINDS[head[0]]
        if len(head) < enough:
            return b""
        size = length(head)
        if passes is None:
            self._skip = size - len(head)
            head.clear()
            return b""
        if len(head) < size:
            return b""
        message = passes(bytes(head))
        head.clear()
        return message


def _unknown() -> HostError:
    return HostError(
        N_("The console only looks, and its client sent a message that Vigie does not know."),
        code="view_only_message",
    )


def _same(message: bytes) -> bytes:
    return message


def _encodings(message: bytes) -> bytes:
    """SetEncodings without extensions."""
    wanted = unpack(f">{(len(message) - 4) // 4}i", message[4:])
    kept = [item for item in wanted if item not in _EXTENSIONS]
    return (
        message[:2]
        + len(kept).to_bytes(2, "big")
        + b"".join(item.to_bytes(4, "big", signed=True) for item in kept)
    )


def _cut_text(head: bytearray) -> int:
    (length,) = unpack(">i", head[4:8])
    return 8 + (abs(length) if length != -_NEVER else _NEVER)


def _qemu(head: bytearray) -> int:
    """QEMU's own messages: a key with its scan code, or audio."""
    if head[1] > 1:
        raise _unknown()
    if head[1] == 0:
        return 12
    sets_format = unpack(">H", head[2:4])[0] == 2
    return 10 if sets_format else 4


_Kind = tuple[int, Callable[[bytearray], int], Callable[[bytes], bytes] | None]
# By type: how many bytes tell the length, the length, and what passes (None: nothing).
_KINDS: dict[int, _Kind] = {
    0: (1, lambda _: 20, _same),  # SetPixelFormat
    2: (4, lambda head: 4 + 4 * unpack(">H", head[2:4])[0], _encodings),
    3: (1, lambda _: 10, _same),  # FramebufferUpdateRequest
    4: (1, lambda _: 8, None),  # KeyEvent
    5: (1, lambda _: 6, None),  # PointerEvent
    6: (8, _cut_text, None),  # ClientCutText
    150: (1, lambda _: 10, _same),  # EnableContinuousUpdates
    248: (9, lambda head: 9 + head[8], _same),  # ClientFence
    250: (1, lambda _: 4, None),  # xvp: power
    251: (7, lambda head: 8 + 16 * head[6], None),  # SetDesktopSize
    255: (4, _qemu, None),
}
