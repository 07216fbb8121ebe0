"""Who is at the door: session cookie or bearer token, and whether a browser's request came from our own pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from app.access.context import Actor, Services
from app.access.sign_in import authentication
from app.access.sign_in.known_devices import DEVICE_S
from app.access.sign_in.sign_in import Browser, SignIn
from app.core.errors import NotAllowed, NotSignedIn
from app.core.messages import N_
from app.web.cookies import cookie_of, set_cookie
from app.web.i18n import Translate, negotiate, translator
from app.web.origin import is_private

COOKIE = "vigie_session"
DEVICE_COOKIE = "vigie_device"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is signed in: what a handler needs to call services that open their own transactions."""

    services: Services
    actor: Actor
    language: str
    translate: Translate


def services_of(request: HTTPConnection) -> Services:
    """The program that this request was made to."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


def remote_of(request: HTTPConnection) -> str | None:
    """The address of the caller; the server already put a trusted proxy's word in its place."""
    return request.client.host if request.client else None


def browser_of(request: HTTPConnection) -> Browser:
    """What an attempt to sign in comes with."""
    return Browser(
        remote=remote_of(request),
        user_agent=request.headers.get("user-agent"),
        device=cookie_of(request, DEVICE_COOKIE),
        secret=cookie_of(request, COOKIE),
    )


def bearer_of(request: HTTPConnection) -> str | None:
    """The secret of the Authorization header, or None when there is none of our kind."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and secret.strip() else None


def identify(request: HTTPConnection) -> Visitor:
    """Find out who calls. Reads the database, so never call it in the event loop.

    Raises NotSignedIn, and NotAllowed for a state change that a browser sends from a foreign page.
    """
    services, remote = services_of(request), remote_of(request)
    spoken = negotiate(request.headers.get("accept-language"))
    if token := bearer_of(request):
        actor = authentication.actor_of_token(services, token, remote, via="api")
        return _visitor(request, services, actor, spoken)
    secret = cookie_of(request, COOKIE)
    if not secret:
        raise NotSignedIn(
            N_("You are not signed in."), hint=N_("Sign in, or send a token: Authorization: Bearer vigie_…")
        )
    # WebSockets have no method; they are asked for their origin before (socket_origin).
    if request.scope.get("method", "GET") not in SAFE_METHODS:
        require_same_origin(request)
    actor, language = authentication.actor_of_session(services, secret, remote)
    return _visitor(request, services, actor, language or spoken)


def _visitor(request: HTTPConnection, services: Services, actor: Actor, language: str) -> Visitor:
    visitor = Visitor(services, actor, language, translator(language))
    request.state.visitor = visitor
    return visitor


def visitor_of(request: HTTPConnection) -> Visitor | None:
    """Who was identified for this request, or None when nobody was (yet)."""
    visitor = getattr(request.state, "visitor", None)
    return visitor if isinstance(visitor, Visitor) else None


def language_of(request: HTTPConnection) -> str:
    """The language to answer in: of the signed-in user, else of the browser."""
    visitor = visitor_of(request)
    return visitor.language if visitor else negotiate(request.headers.get("accept-language"))


def require_same_origin(request: HTTPConnection) -> None:
    """Raise NotAllowed unless a browser says that the request comes from one of our own pages.

    For what cookies authenticate (and for the login form itself). Sec-Fetch-Site is believed when it is there,
    else Origin or Referer must name our own origin.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        same = site in ("same-origin", "none")
    else:
        came_from = request.headers.get("origin") or request.headers.get("referer") or ""
        same = _origin(came_from) in _own_origins(request)
    if not same:
        raise _cross_origin()


def socket_origin(socket: HTTPConnection) -> str | None:
    """The origin of the page that opens a WebSocket; None when a program with a token names none.

    Browsers send cookies with WebSockets from any site, and always the origin. Raises NotAllowed for a foreign one.
    """
    named = socket.headers.get("origin")
    if named is None and bearer_of(socket):
        return None
    origin = _origin(named or "")
    if origin is None or origin not in _own_origins(socket):
        raise _cross_origin()
    return origin


def page_origin(request: HTTPConnection) -> str | None:
    """The origin of the page that sent the request; None when a program did."""
    if bearer_of(request):
        return _origin(request.headers.get("origin") or "")
    return _origin(request.headers.get("origin") or "") or next(iter(_own_origins(request)), None)


def _cross_origin() -> NotAllowed:
    return NotAllowed(
        N_("This request did not come from Vigie's own pages."),
        why=N_("A browser sent it from another site."),
        hint=N_("Open Vigie and do it there; programs send a token instead of the session cookie."),
        code="cross_origin",
    )


def _origin(url: str) -> str | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.scheme and parts.netloc else None


def _own_origins(request: HTTPConnection) -> set[str | None]:
    public = services_of(request).settings.public_url
    if public:
        return {public.lower()}
    host = request.headers.get("host", "")
    scheme = {"ws": "http", "wss": "https"}.get(request.url.scheme, request.url.scheme)
    return {f"{scheme}://{host}".lower()} if host else set()


def require_private(request: HTTPConnection) -> None:
    """Raise NotAllowed where a password or a session would travel in clear: over plain HTTP, but for the loopback."""
    if not is_private(request):
        raise NotAllowed(
            N_("Signing in needs HTTPS."),
            why=N_(
                "This page came over plain HTTP, on which anybody on the way can read passwords and sessions."
            ),
            hint=N_(
                "Open Vigie by HTTPS. If it has none yet: docs/install.md shows a proxy for it; until then, "
                "an SSH tunnel to its port makes it a page of your own machine."
            ),
            code="https_needed",
        )


def set_session(request: Request, response: Response, signed: SignIn) -> None:
    """Put the cookies of a fresh login on the response: the session's, and the one by which the browser is known."""
    left_s = max(0, int((signed.expires_at - datetime.now(UTC)).total_seconds()))
    set_cookie(request, response, COOKIE, signed.secret, max_age_s=left_s, httponly=True)
    set_cookie(request, response, DEVICE_COOKIE, signed.device, max_age_s=DEVICE_S, httponly=True)


def end_session(request: Request, response: Response) -> None:
    """Take the session cookie back."""
    set_cookie(request, response, COOKIE, "", max_age_s=0, httponly=True)
