"""A program that opens consoles by the API: a ticket, a WebSocket, and a little of the VNC protocol."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from struct import pack, unpack
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from app.lab.rest import Rest


def ticket_for(rest: Rest, vm_id: str, **spec: object) -> dict[str, Any]:
    """A ticket, as the API gives it."""
    rest.close()  # an idle connection may be gone by now, and this must not be sent twice
    payload: dict[str, Any] = rest.call("POST", f"/vms/{vm_id}/consoles", spec)
    return payload


def dial(ticket: dict[str, Any], token: str, **options: Any) -> ClientConnection:
    """A WebSocket with the ticket. Raises InvalidStatus when it is refused."""
    return connect(
        ticket["url"],
        subprotocols=["vigie", f"vigie.ticket.{ticket['ticket']}"],  # type: ignore[list-item]
        additional_headers={"Authorization": f"Bearer {token}"} if token else {},
        compression=None,
        **options,
    )


class Console:
    """An open console: its bytes, whatever messages they come in, and how it ended."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._rest = b""
        self.opened = False
        self.problem: dict[str, Any] | None = None

    def pump(self, timeout_s: float) -> bool:
        """Take one message; False at the end. Raises TimeoutError."""
        try:
            message = self.socket.recv(timeout_s)
        except ConnectionClosed:
            return False
        if isinstance(message, bytes):
            self._rest += message
            return True
        reported = json.loads(message)
        self.opened = self.opened or reported["event"] == "open"
        self.problem = reported.get("problem", self.problem)
        return True

    def exactly(self, count: int, timeout_s: float = 10) -> bytes:
        """So many bytes of the console."""
        while len(self._rest) < count:
            assert self.pump(timeout_s), f"ended: {self.problem}"
        data, self._rest = self._rest[:count], self._rest[count:]
        return data

    def until(self, pattern: bytes, timeout_s: float = 60, *, nudge: bytes = b"") -> bytes:
        """All bytes up to a match of the pattern; `nudge` is sent once a second meanwhile."""
        deadline = time.monotonic() + timeout_s
        nudged = 0.0
        while not (found := re.search(pattern, self._rest)):
            assert time.monotonic() < deadline, self._rest[-300:]
            if nudge and time.monotonic() - nudged > 1:
                nudged = time.monotonic()
                self.socket.send(nudge)
            try:
                assert self.pump(1), f"ended: {self.problem}"
            except TimeoutError:
                continue
        data, self._rest = self._rest[: found.end()], self._rest[found.end() :]
        return data

    def log_in(self, timeout_s: float = 90) -> None:
        """Come to a shell of the lab's guest. What is typed while a prompt is being made, the guest throws away."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                self.until(rb"login: ", 60, nudge=b"\n")
                self._quiet()
                self.socket.send(b"root\n")
                self.until(rb"Password: ", 5)
                self._quiet()
                self.socket.send(b"vigie\n")
                self.until(rb"# ", 5)
                return
            except AssertionError:
                self._quiet()
        raise AssertionError(f"no shell: {self._rest[-300:]!r}")

    def _quiet(self) -> None:
        """Take what comes until nothing does for a while."""
        with suppress(TimeoutError):
            while self.pump(0.7):
                pass

    def end(self, timeout_s: float = 10) -> str | None:
        """The code of the problem with which it ends, None when there is none."""
        deadline = time.monotonic() + timeout_s
        while self.pump(max(0.1, deadline - time.monotonic())):
            pass
        return self.problem["code"] if self.problem else None

    def shake_hands(self) -> tuple[int, int]:
        """Open VNC as a client does; the size of the screen."""
        assert self.exactly(12) == b"RFB 003.008\n"
        self.socket.send(b"RFB 003.008\n")
        assert self.exactly(2) == b"\x01\x01"
        self.socket.send(b"\x01")
        assert self.exactly(4) == bytes(4)
        self.socket.send(b"\x00")
        width, height, _, length = unpack(">HH16sI", self.exactly(24))
        self.exactly(length)
        return width, height

    def press(self, text: str) -> None:
        """Press and release a key for each character, no faster than a keyboard's memory empties."""
        for item in text:
            for down in (1, 0):
                self.socket.send(pack(">BBxxI", 4, down, ord(item)))
            time.sleep(0.03)

    def picture(self, width: int, height: int) -> bytes:
        """The whole screen, by an update in raw encoding."""
        self.socket.send(pack(">BxHi", 2, 1, 0))
        self.socket.send(pack(">BBHHHH", 3, 0, 0, 0, width, height))
        kind, count = unpack(">BxH", self.exactly(4))
        assert kind == 0
        return b"".join(self._rectangle() for _ in range(count))

    def _rectangle(self) -> bytes:
        _, _, width, height, encoding = unpack(">HHHHi", self.exactly(12))
        assert encoding == 0
        return self.exactly(width * height * 4)


@contextmanager
def console(rest: Rest, token: str, vm_id: str, **spec: object) -> Iterator[Console]:
    """A console of the VM, for the block."""
    with dial(ticket_for(rest, vm_id, **spec), token) as socket:
        yield Console(socket)
