"""A tunnel to a place on a host, given to the caller as one end of a pair of sockets.

The other end is relayed in the link loop, so that any event loop may use the caller's end as an ordinary
socket. When one side ends, so does the other.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from functools import partial

from app.hypervisor.transport.relay import Half
from app.hypervisor.transport.transport_loop import TransportLoop, link_loop

# What was written to a side before its end has this long to be taken.
FINISH_S = 1.0

Connect = Callable[[Half], Awaitable[Half]]
"""Connects the far side, given the near one: they must know each other before the first byte comes."""


class Tunnel:
    """The caller's end is `socket`, non-blocking; whoever uses it closes it. `end` cuts both sides."""

    def __init__(self) -> None:
        self._loop: TransportLoop = link_loop()
        self.socket, self._inner = socket.socketpair()
        self.socket.setblocking(False)
        self._inner.setblocking(False)
        self._near = Half(self._lost)
        self._ended = False

    def open(self, connect: Connect, deadline_s: float) -> None:
        """Connect both sides. Raises TimeoutError, and what `connect` raises; then nothing is left open."""
        try:
            self._loop.run(self._open(connect), deadline_s)
        except BaseException:
            self.end()
            self.socket.close()
            raise

    def end(self) -> None:
        """Cut both sides, from any thread; returns at once."""
        self._loop.soon(self._lost)

    async def _open(self, connect: Connect) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(lambda: self._near, self._inner)
        far = await connect(self._near)
        if self._ended:
            _finish(far)

    def _lost(self) -> None:
        """One of the sides is gone."""
        self._ended = True
        if self._near.side is None:
            self._inner.close()
        for half in (self._near, self._near.other):
            if half is not None:
                _finish(half)


def _finish(half: Half) -> None:
    """Close a side once what was written to it is sent; at once when that takes long."""
    if half.side is not None:
        half.side.close()
        asyncio.get_running_loop().call_later(FINISH_S, partial(_abort, half))


def _abort(half: Half) -> None:
    if half.side is not None:
        half.side.abort()
