"""Live updates: `GET /live` tells an open page which objects changed; the page reads them again by plain GETs.

event: changed      data: {"topics": ["vm_…", "tasks"]}
event: resync       the listener fell behind: read everything again
event: signed-out   the login ended; the stream ends, too
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import threading
import time
from collections.abc import AsyncIterator

import anyio.to_thread
from fastapi import Request
from sse_starlette import EventSourceResponse, ServerSentEvent

from app.access.topics import visible_topics
from app.core import notices
from app.core.errors import NotSignedIn, Unavailable
from app.core.notices import Hub
from app.web.auth import Visitor, identify
from app.web.deps import Signed, SignedRouter
from app.web.quotas import quotas_of

COALESCE_S = 0.15
HEARTBEAT_S = 15
RECHECK_S = 60.0  # a login that ran out is noticed this late at most; one that was ended, at once
SEND_TIMEOUT_S = 30.0  # a browser that takes nothing for so long is gone
MAX_WAITING = 2000
RETRY_MS = 1000
SIGNED_OUT = ServerSentEvent(event="signed-out", data="{}")

router = SignedRouter(include_in_schema=False)


class Inbox:
    """Topics waiting for one listener; bounded. Filled from any thread, emptied in the event loop."""

    def __init__(self, hub: Hub) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._lock = threading.Lock()
        self._waiting: set[str] = set()
        self._overflown = False
        self._stop = hub.listen(self._hear)

    def close(self) -> None:
        """Hear nothing any more."""
        self._stop()

    async def take(self, timeout_s: float) -> frozenset[str] | None:
        """What changed since the last call, waiting for it; empty after the timeout; None when too much did."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        except TimeoutError:
            return frozenset()
        with self._lock:
            self._ready.clear()
            taken = None if self._overflown else frozenset(self._waiting)
            self._waiting.clear()
            self._overflown = False
        return taken

    def _hear(self, topics: frozenset[str]) -> None:
        with self._lock:
            first = not self._waiting and not self._overflown
            if not self._overflown:
                self._waiting |= topics
                if len(self._waiting) > MAX_WAITING:
                    self._overflown = True
                    self._waiting.clear()
        if first:
            try:
                self._loop.call_soon_threadsafe(self._ready.set)
            except RuntimeError:  # the loop ended while a thread of the engine was still publishing
                self._stop()


class Listener:
    """The inbox of somebody who is signed in, for as long as they are."""

    def __init__(self, request: Request, visitor: Visitor) -> None:
        self._request = request
        self._mine = notices.USER_ACCESS + (visitor.actor.user_id or "")
        self._checked = time.monotonic()
        self._inbox = Inbox(visitor.services.hub)

    def close(self) -> None:
        """Hear nothing any more."""
        self._inbox.close()

    async def take(self, until: float = math.inf) -> frozenset[str] | None:
        """What changed, as `Inbox.take`; empty at the monotonic time `until`, or earlier.

        Raises NotSignedIn once the login or token does not count any more.
        """
        due = self._checked + RECHECK_S
        topics = await self._inbox.take(max(0.0, min(due, until) - time.monotonic()))
        if topics is None or self._mine in topics or time.monotonic() >= due:
            self._checked = time.monotonic()
            with contextlib.suppress(
                Unavailable
            ):  # a locked database signs nobody out; the next look will tell
                await anyio.to_thread.run_sync(identify, self._request)
        return topics


@router.get("/live", name="live")
async def live(request: Request, visitor: Signed) -> EventSourceResponse:
    """The stream of changes for one open page."""
    quotas_of(request).becomes_stream(request, visitor)
    return EventSourceResponse(_changes(request, visitor), ping=HEARTBEAT_S, send_timeout=SEND_TIMEOUT_S)


async def _changes(request: Request, visitor: Visitor) -> AsyncIterator[ServerSentEvent]:
    listener = Listener(request, visitor)
    try:
        yield ServerSentEvent(comment="listening", retry=RETRY_MS)
        while True:
            topics = await listener.take()
            if topics is None:
                yield ServerSentEvent(event="resync", data="{}")
            elif shown := visible_topics(visitor.actor, topics):
                yield ServerSentEvent(event="changed", data=json.dumps({"topics": shown}))
            else:
                continue
            await asyncio.sleep(COALESCE_S)  # the first change went out at once; the next ones gather
    except NotSignedIn:
        yield SIGNED_OUT
    finally:
        listener.close()
