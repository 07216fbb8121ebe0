"""By which names this server is called. A page of another site whose name was made to lead here is not served.

https://en.wikipedia.org/wiki/DNS_rebinding
"""

from __future__ import annotations

import ipaddress
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.config import Settings
from app.core.errors import VigieError
from app.core.messages import N_
from app.web.errors import refuse
from app.web.origin import is_loopback, named_host

# Monitors call by any address and learn nothing but that; the page that refuses a name has its looks from files.
OPEN = ("/healthz", "/readyz", "/static/")


class HostUnknown(VigieError):
    """The Host header names no name of this server."""

    status = HTTPStatus.MISDIRECTED_REQUEST
    code = "host_unknown"

    def __init__(self) -> None:
        super().__init__(
            N_("Vigie does not go by that name."),
            why=N_(
                "The host in the address is neither that of VIGIE_PUBLIC_URL, nor in VIGIE_ALLOWED_HOSTS."
            ),
            hint=N_(
                "Open Vigie by the address that it has, or let whoever runs it add the name to VIGIE_ALLOWED_HOSTS."
            ),
        )


class HostGuard:
    """The layer that refuses requests for names that are not ours."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        allowed = set(settings.allowed_host_names)
        if settings.public_url:
            allowed.add((urlsplit(settings.public_url).hostname or "").lower())
        self._names = frozenset(item for item in allowed if not item.startswith("*"))
        self._endings = tuple(item[1:] for item in allowed if item.startswith("*"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] in ("http", "websocket")
            and not scope["path"].startswith(OPEN)
            and not self._is_ours(scope)
        ):
            await refuse(scope, receive, send, HostUnknown())
            return
        await self.app(scope, receive, send)

    def _is_ours(self, scope: Scope) -> bool:
        headers = Headers(scope=scope).getlist("host")
        host = named_host(headers[0]) if len(headers) == 1 else None
        if host is None:
            return False
        return (
            host in self._names or host.endswith(self._endings) or is_loopback(host) or _came_to(scope, host)
        )


def _came_to(scope: Scope, host: str) -> bool:
    """Whether the host is the very address that the connection was made to: that needs no name server's word."""
    server = scope.get("server")
    try:
        return server is not None and ipaddress.ip_address(host) == ipaddress.ip_address(server[0])
    except ValueError:
        return False
