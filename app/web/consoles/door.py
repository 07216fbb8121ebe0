"""Where consoles are opened: a WebSocket with a ticket, from the login or token that it was given to.

The ticket comes as a subprotocol, never in an address, since addresses are written to logs. Binary messages carry
the console; text messages are Vigie's own, in JSON: `{"event": "open"}`, and before the end
`{"event": "end", "problem": {…}}`.
"""

from __future__ import annotations

import anyio.to_thread
from anyio import CapacityLimiter
from anyio.lowlevel import RunVar
from fastapi import APIRouter, WebSocket

from app.core.errors import NotAllowed, VigieError
from app.core.messages import N_
from app.services.vms import consoles
from app.services.vms.consoles import Grant
from app.web.auth import Visitor, identify, services_of, socket_origin
from app.web.consoles.proxy import Session
from app.web.errors import answer
from app.web.quotas import quotas_of

PATH = "/api/v1/console"
PROTOCOL = "vigie"
TICKET = "vigie.ticket."
THREADS = 16  # consoles that are being opened, looked at or closed at the same time

router = APIRouter(include_in_schema=False)
_limiters: RunVar[CapacityLimiter] = RunVar("vigie_console_limiter")


@router.websocket(PATH, name="console")
async def console(socket: WebSocket) -> None:
    """One console, from its ticket to its end."""
    limiter = _limiter()
    try:
        visitor = await anyio.to_thread.run_sync(identify, socket, limiter=limiter)
        quotas_of(socket).becomes_stream(socket, visitor)
        grant = await anyio.to_thread.run_sync(_enter, socket, visitor, limiter=limiter)
    except VigieError as error:
        await socket.send_denial_response(answer(socket, error))
        return
    await socket.accept(subprotocol=PROTOCOL)
    await Session(socket, grant, limiter).run()


def _enter(socket: WebSocket, visitor: Visitor) -> Grant:
    """What the visitor's ticket is for. Raises NotAllowed, NotFound, Conflict."""
    origin = socket_origin(socket)
    offered: list[str] = socket.scope.get("subprotocols", [])
    secret = next((item.removeprefix(TICKET) for item in offered if item.startswith(TICKET)), None)
    if secret is None or PROTOCOL not in offered:
        raise NotAllowed(
            N_("The ticket for the console is missing."),
            why=N_("It must come as a subprotocol of the WebSocket: vigie, vigie.ticket.<ticket>."),
            code="ticket_invalid",
        )
    return consoles.redeem(services_of(socket), visitor.actor, secret, origin)


def _limiter() -> CapacityLimiter:
    """The threads of consoles, of the running event loop."""
    limiter = _limiters.get(None)
    if limiter is None:
        limiter = CapacityLimiter(THREADS)
        _limiters.set(limiter)
    return limiter
