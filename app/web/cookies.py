"""Cookies: over HTTPS each is Secure and has the prefix `__Host-`, so that no other site or port can plant it.

static/js/cookies.js names them by the same rule.
"""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.responses import Response

from app.web.origin import is_https


def cookie_name(request: HTTPConnection, name: str) -> str:
    """What the cookie is called on this connection."""
    return f"__Host-{name}" if is_https(request) else name


def cookie_of(request: HTTPConnection, name: str) -> str | None:
    """The value that the browser sent."""
    return request.cookies.get(cookie_name(request, name))


def set_cookie(
    request: HTTPConnection,
    response: Response,
    name: str,
    value: str,
    *,
    max_age_s: int,
    httponly: bool = False,
) -> None:
    """Put a cookie of ours on the response."""
    response.set_cookie(
        cookie_name(request, name),
        value,
        max_age=max_age_s,
        httponly=httponly,
        samesite="lax",
        secure=is_https(request),
        path="/",
    )
