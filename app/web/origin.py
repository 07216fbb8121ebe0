"""Where a request was sent to: the host that it names, and whether that way is encrypted."""

from __future__ import annotations

import re

from starlette.requests import HTTPConnection

from app.config import Settings
from app.core.hosts.addresses import address_in

_HOST = re.compile(r"([a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE)


def named_host(header: str) -> str | None:
    """The host of a Host header in lower case, without port and brackets; None for what is no such header."""
    match = _HOST.fullmatch(header.strip())
    return match[1].strip("[]").rstrip(".").lower() if match else None


def is_loopback(host: str | None) -> bool:
    """Whether a name means the machine of the browser itself."""
    address = address_in(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def is_https(request: HTTPConnection) -> bool:
    """Whether the browser reaches us encrypted, so that cookies may demand it.

    The server has put a trusted proxy's word in the place of the connection's own scheme. While the settings name no
    proxy, one on this machine is believed without a word: what comes by the loopback, for another name than the
    loopback's, was sent to the public URL.
    """
    if request.url.scheme in ("https", "wss"):
        return True
    settings: Settings = request.app.state.services.settings
    if settings.proxy_addresses or not (settings.public_url or "").startswith("https://"):
        return False
    caller = request.client.host if request.client else None
    return is_loopback(caller) and not _is_for_loopback(request)


def is_private(request: HTTPConnection) -> bool:
    """Whether nobody on the way can read along: encrypted, or inside the browser's own machine."""
    return is_https(request) or _is_for_loopback(request)


def _is_for_loopback(request: HTTPConnection) -> bool:
    return is_loopback(named_host(request.headers.get("host", "")))
