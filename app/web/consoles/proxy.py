"""One open console: bytes both ways, a look at its holder's rights every two seconds, and a true end."""

from __future__ import annotations

import asyncio
import json
import socket as sockets
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TypeVar

import anyio.to_thread
import structlog
from anyio import CapacityLimiter
from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect

from app.core.errors import HostError, Unavailable, VigieError
from app.core.messages import N_
from app.hypervisor import Line
from app.services.vms import consoles
from app.services.vms.consoles import Grant
from app.web.auth import identify, services_of
from app.web.consoles import rfb
from app.web.consoles.view_only import ViewOnlyFilter
from app.web.errors import problem_of

T = TypeVar("T")
log = structlog.get_logger("app.consoles")

CHUNK = 64 * 1024
RECHECK_S = 2.0
GOODBYE_S = 2.0
ENDED, PROBLEM = 1000, 4000  # codes with which the WebSocket is closed


class Gone(Exception):
    """The browser has left."""


class Browser:
    """A WebSocket as a stream of bytes."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._rest = b""

    async def read(self) -> bytes:
        """What came next. Raises Gone at the end."""
        if self._rest:
            rest, self._rest = self._rest, b""
            return rest
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise Gone
            data: bytes | None = message.get("bytes")
            if data:
                return data

    async def exactly(self, count: int) -> bytes:
        """So many bytes. Raises Gone at the end."""
        data = b""
        while len(data) < count:
            data += await self.read()
        data, self._rest = data[:count], data[count:]
        return data

    async def write(self, data: bytes) -> None:
        """Send bytes of the console; waits while the browser does not take them. Raises Gone."""
        try:
            await self._socket.send_bytes(data)
        except (WebSocketDisconnect, RuntimeError):
            raise Gone from None

    async def tell(self, message: dict[str, object]) -> None:
        """Send a message of Vigie's own. Raises Gone."""
        try:
            await self._socket.send_text(json.dumps(message))
        except (WebSocketDisconnect, RuntimeError):
            raise Gone from None

    async def close(self, code: int) -> None:
        """End it; does not wait for long."""
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._socket.close(code)
        except (WebSocketDisconnect, RuntimeError, TimeoutError):
            return


class Session:
    """Runs one console whose ticket was redeemed."""

    def __init__(self, socket: WebSocket, grant: Grant, limiter: CapacityLimiter) -> None:
        self._socket = socket
        self._grant = grant
        self._browser = Browser(socket)
        self._services = services_of(socket)
        self._limiter = limiter

    async def run(self) -> None:
        """Open, carry and end it; tells the browser why it ended."""
        try:
            await self._carry()
        except Gone:
            return
        except VigieError as error:
            await self._say_why(error)
        else:
            await self._browser.close(ENDED)

    async def _carry(self) -> None:
        line = await self._in_thread(partial(consoles.connect, self._services, self._grant))
        try:
            closed = await self._in_thread(partial(consoles.opened, self._services, self._grant))
            try:
                await self._together(line)
            finally:
                await asyncio.shield(self._in_thread(closed))
        finally:
            await asyncio.shield(self._in_thread(line.close))

    async def _together(self, line: Line) -> None:
        """Until one of the parts ends. Raises what it ended with."""
        reader, writer = await _streams(line.socket)
        try:
            if self._grant.kind == "vnc":
                await rfb.sign_in(reader, writer, line.password)
            await self._browser.tell({"event": "open"})
            if self._grant.kind == "vnc":
                writer.write(await rfb.welcome(self._browser.exactly, self._browser.write))
            await _first_of(self._to_browser(reader), self._to_host(writer), self._watch())
        finally:
            writer.close()

    async def _to_browser(self, reader: asyncio.StreamReader) -> None:
        try:
            while data := await reader.read(CHUNK):
                await self._browser.write(data)
        except OSError:
            return

    async def _to_host(self, writer: asyncio.StreamWriter) -> None:
        passed = self._filter()
        try:
            while True:
                writer.write(passed(await self._browser.read()))
                await writer.drain()
        except OSError:
            return

    def _filter(self) -> Callable[[bytes], bytes]:
        """What of the browser's bytes reaches the VM."""
        if not self._grant.view_only:
            return bytes
        return ViewOnlyFilter().feed if self._grant.kind == "vnc" else lambda _: b""

    async def _watch(self) -> None:
        """Look again and again whether the holder still may. Raises NotSignedIn, NotAllowed, NotFound, Conflict."""
        while True:
            await asyncio.sleep(RECHECK_S)
            try:
                await self._in_thread(self._recheck)
            except Unavailable:
                continue  # a locked database takes nobody's rights

    def _recheck(self) -> None:
        actor = identify(self._socket).actor
        consoles.still_allowed(self._services, actor, self._grant)

    async def _say_why(self, error: VigieError) -> None:
        log.info("console_ended", vm=self._grant.vm_id, actor=self._grant.actor.name, code=error.code)
        problem = problem_of(self._socket, error).model_dump(mode="json", exclude_none=True)
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._browser.tell({"event": "end", "problem": problem})
        except (Gone, TimeoutError):
            return
        await self._browser.close(PROBLEM)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)


async def _streams(socket: sockets.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        return await asyncio.open_connection(sock=socket, limit=CHUNK)
    except OSError:
        raise HostError(
            N_("The console ended while it was opened."), hint=N_("Try again."), code="console_ended"
        ) from None


async def _first_of(*parts: Coroutine[object, object, None]) -> None:
    """Run all until the first ends; the others are cancelled. Raises what it ended with."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
