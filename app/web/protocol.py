"""Uvicorn's HTTP and WebSockets, with bounds on what one connection and one address may hold.

Neither uvicorn nor httptools has any: without them one connection fills the memory, idle ones take all descriptors,
and a body that trickles in after its answer keeps a connection for ever. Idle connections between requests have
uvicorn's own bound. Bodies that a handler reads are refused by the middleware, with an answer, before this is due.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from app.config import Settings
from app.core.hosts.addresses import network_of
from app.core.records import Problem
from app.web.middleware import body_timeout_s
from app.web.quotas import RETRY_S, Quotas

log = structlog.get_logger("app.connections")

MAX_HEAD_BYTES = 64 * 1024  # of the request line and all headers, or as much as is read at once
HEAD_S = 15.0
LATE_S = 5.0  # how much later than the middleware a body that nobody reads ends its connection
UNREAD_S = 2.0  # for the rest of a body whose answer was sent already
STUCK_S = 60.0  # a client that takes nothing of its answer for so long is gone
GOODBYE_S = 1.0  # for a refusal to be read; what the client sends meanwhile is thrown away
MAX_GOODBYES = 64
LEAST_ROOM = 64  # connections, however few descriptors there are
REFUSALS_LOGGED_S = 60.0
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Gate:
    """Counts the connections of a server, by address. One for all protocols."""

    def __init__(self, settings: Settings, quotas: Quotas, room: int) -> None:
        self.settings = settings
        self._quotas = quotas
        self._most = min(settings.connections_total, max(room, LEAST_ROOM))
        self._open = 0
        self.goodbyes = 0
        self._logged_at = 0.0

    def enter(self, address: str | None) -> bytes | None:
        """Count one more connection; None, or the answer with which it is refused."""
        refusal = None
        if self._open >= self._most:
            refusal = _refusal(
                503,
                "unavailable",
                "Vigie holds as many connections as it can.",
                "VIGIE_CONNECTIONS_TOTAL",
            )
        elif (
            address
            and not self._quotas.is_proxy(address)
            and not self._quotas.connections.take(network_of(address))
        ):
            refusal = _refusal(
                429,
                "too_many_at_once",
                "Your address has too many connections open.",
                "VIGIE_CONNECTIONS_PER_ADDRESS",
            )
        if refusal is None:
            self._open += 1
        else:
            self._log(address)
        return refusal

    def leave(self, address: str | None) -> None:
        """Count one less."""
        self._open -= 1
        if address and not self._quotas.is_proxy(address):
            self._quotas.connections.give_back(network_of(address))

    def _log(self, address: str | None) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._logged_at >= REFUSALS_LOGGED_S or not self._logged_at:
            self._logged_at = now
            log.warning("connections_refused", remote=address, open=self._open, most=self._most)


def _refusal(status: int, code: str, title: str, setting: str) -> bytes:
    """A whole answer, in English: who asks, and in which language, is not known yet."""
    body = Problem(
        type=f"urn:vigie:problem:{code}", title=title, status=status, code=code, why=f"{setting} limits them."
    ).model_dump_json(exclude_none=True)
    reason = "Service Unavailable" if status == 503 else "Too Many Requests"
    return (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nRetry-After: {RETRY_S}\r\n"
        f"Content-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


class CountedSocket(WebSocketsSansIOProtocol):
    """A WebSocket; it takes over the place of the HTTP connection that it was."""

    def __init__(self, gate: Gate, **options: Any) -> None:
        super().__init__(**options)
        self._gate = gate
        self._address: str | None = None

    def connection_made(self, transport: Any) -> None:
        """The connection becomes a WebSocket."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else None

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._gate.leave(self._address)
        super().connection_lost(exc)


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, gate: Gate, **options: Any) -> None:
        super().__init__(**options)
        self._gate = gate
        self._address: str | None = None
        self._is_refused = False
        self._timer: asyncio.TimerHandle | None = None  # of the head or the body that is coming
        self._is_head = True
        self._head_bytes = 0
        self._stuck_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A connection: its first request must begin soon."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else None
        refusal = self._gate.enter(self._address)
        if refusal is not None:
            self._refuse(refusal)
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._forget_timers()
        if self._is_refused:
            self._gate.goodbyes -= 1
        else:
            self._gate.leave(self._address)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came: while they belong to a head that is not complete, they count."""
        if self._is_refused:
            return
        self._head_bytes += len(data)
        super().data_received(data)
        if self._timer is not None and self._is_head and self._head_bytes > MAX_HEAD_BYTES:
            self.transport.write(_TOO_LARGE)
            self._give_up()

    def handle_websocket_upgrade(self) -> None:
        """From now on another protocol has the connection."""
        self._forget_timers()
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        if self._timer is None or not self._is_head:
            self._await_head()

    def on_headers_complete(self) -> None:
        """All of a request but its body."""
        super().on_headers_complete()
        self._is_head = False
        self._start_timer(body_timeout_s(self._gate.settings, self.scope.get("path", "")) + LATE_S)

    def on_message_complete(self) -> None:
        """All of a request."""
        self._forget_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer was sent: nobody reads the rest of a body that is still coming."""
        super().on_response_complete()
        if self._timer is not None and not self._is_head and self.cycle.response_complete:
            self._start_timer(UNREAD_S)

    def pause_writing(self) -> None:
        """The client does not take what is sent to it, for now."""
        super().pause_writing()
        self._watch_writing(-1)

    def resume_writing(self) -> None:
        """The client takes what is sent to it."""
        super().resume_writing()
        if self._stuck_timer is not None:
            self._stuck_timer.cancel()
            self._stuck_timer = None

    def _watch_writing(self, before: int) -> None:
        waiting = self.transport.get_write_buffer_size()
        if waiting == before:
            self.transport.abort()
        else:
            self._stuck_timer = self.loop.call_later(STUCK_S, self._watch_writing, waiting)

    def _refuse(self, refusal: bytes) -> None:
        self._is_refused = True
        self._gate.goodbyes += 1
        if self._gate.goodbyes > MAX_GOODBYES:
            self.transport.abort()
            return
        self.transport.write(refusal)
        self._timer = self.loop.call_later(GOODBYE_S, self.transport.abort)

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._is_head = True
        self._start_timer(HEAD_S)

    def _start_timer(self, seconds: float) -> None:
        self._forget_timer()
        self._timer = self.loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        """End the connection; a client that does not take the rest of its answer cannot hold it."""
        self._forget_timer()
        self.transport.close()
        self._timer = self.loop.call_later(STUCK_S, self.transport.abort)

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _forget_timers(self) -> None:
        self._forget_timer()
        if self._stuck_timer is not None:
            self._stuck_timer.cancel()
            self._stuck_timer = None
