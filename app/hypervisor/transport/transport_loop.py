"""The one asyncio loop, in a daemon thread, that owns all links; and the deadlines of calls made through them.

Blocking code calls `run`. Deadlines are kept by `arm` and `disarm`: two dictionary operations, because it
happens on every libvirt call; a tick in the loop looks for those that have passed.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from functools import cache
from typing import TypeVar

import uvloop

T = TypeVar("T")
TICK_S = 0.05
# A coroutine keeps its own deadline; this much later the loop itself must be stuck.
GRACE_S = 5.0

_making = threading.Lock()
_make_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop


class TransportLoop:
    """An asyncio loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = _make_loop()
        self._armed: dict[object, tuple[float, Callable[[], None]]] = {}
        self._loop.call_soon(self._tick)
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[object, object, T], deadline_s: float) -> T:
        """Run a coroutine and wait for it. TimeoutError when it takes longer than `deadline_s` seconds."""

        async def bounded() -> T:
            async with asyncio.timeout(deadline_s):
                return await work

        return asyncio.run_coroutine_threadsafe(bounded(), self._loop).result(deadline_s + GRACE_S)

    def soon(self, action: Callable[[], object]) -> None:
        """Have `action` called in the loop's thread; at once when this is that thread."""
        if threading.current_thread() is self._thread:
            action()
        else:
            self._loop.call_soon_threadsafe(action)

    def arm(self, deadline_s: float, on_passed: Callable[[], None]) -> object:
        """Call `on_passed` in the loop's thread in `deadline_s` seconds, unless disarmed with the answer."""
        key = object()
        self._armed[key] = (time.monotonic() + deadline_s, on_passed)
        return key

    def disarm(self, key: object) -> None:
        """Undo `arm`."""
        self._armed.pop(key, None)

    def _tick(self) -> None:
        now = time.monotonic()
        # dict.copy is one step under the interpreter's lock; other threads arm and disarm meanwhile.
        for key, (deadline, on_passed) in self._armed.copy().items():
            if deadline <= now and self._armed.pop(key, None) is not None:
                on_passed()
        self._loop.call_later(TICK_S, self._tick)


def serve_many_threads() -> None:
    """For a process in which many threads call hosts: take asyncio's own loop. Before any link is made.

    uvloop is the faster one for consoles, but it writes to sockets with the interpreter's lock held, and the kernel
    may run the woken daemon first: the first sync of 1,000 hosts took a tenth longer with it.
    """
    global _make_loop
    _make_loop = asyncio.new_event_loop


def link_loop() -> TransportLoop:
    """The loop of this process; made on first use."""
    with _making:
        return _made()


@cache
def _made() -> TransportLoop:
    return TransportLoop()
