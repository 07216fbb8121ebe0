"""Where a request was sent to: the host that it names, and whether that way is encrypted."""

from __future__ import annotations

import ipaddress
import re

from starlette.requests import HTTPConnection

_HOST = re.compile(r"([a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE)


def named_host(header: str) -> str | None:
    """The host of a Host header in lower case, without port and brackets; None for what is no such header."""
    match = _HOST.fullmatch(header.strip())
    return match[1].strip("[]").rstrip(".").lower() if match else None


def is_loopback(host: str | None) -> bool:
    """Whether a name means the machine of the browser itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def is_https(request: HTTPConnection) -> bool:
    """Whether browsers reach us encrypted, so that cookies may demand it."""
    public: str | None = request.app.state.services.settings.public_url
    return public.startswith("https://") if public else request.url.scheme in ("https", "wss")


def is_private(request: HTTPConnection) -> bool:
    """Whether nobody on the way can read along: encrypted, or inside the browser's own machine."""
    return is_https(request) or is_loopback(named_host(request.headers.get("host", "")))
