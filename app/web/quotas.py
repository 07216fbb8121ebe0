"""How much one address, one user and all together may hold of the server at the same time.

Connections are counted before a byte is read (web.protocol). A request counts for its address until it is known who
sent it, then for its user; a stream or an open console counts as a stream, of both. All counters live in the event
loop's thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from fastapi import FastAPI
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.config import Settings
from app.core.errors import TooManyRequests
from app.core.hosts.addresses import network_of
from app.core.messages import N_
from app.web.auth import Visitor
from app.web.errors import refuse

RETRY_S = 2


class TooManyAtOnce(TooManyRequests):
    """An address or a user holds as many connections, requests or streams as the settings allow."""

    code = "too_many_at_once"

    def __init__(self, why: str, hint: str, params: Mapping[str, object]) -> None:
        super().__init__(N_("Too many requests at once."), retry_after_s=RETRY_S, hint=hint)
        self.why, self.params = why, params


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `most` at the same time for each key. `why` and `hint` are messages for who gets no more."""

    most: int
    setting: str
    why: str
    hint: str = N_("Wait for some of them to end, or raise %(setting)s.")
    held: Counter[str] = field(default_factory=Counter)

    def take(self, key: str) -> bool:
        """Count one more; False when there are as many as there may be."""
        if self.held[key] >= self.most:
            return False
        self.held[key] += 1
        return True

    def give_back(self, key: str) -> None:
        """Count one less."""
        self.held[key] -= 1
        if self.held[key] <= 0:
            del self.held[key]

    def error(self) -> TooManyAtOnce:
        """What to tell who gets no more."""
        params = {"count": self.most, "setting": f"VIGIE_{self.setting.upper()}"}
        return TooManyAtOnce(self.why, self.hint, params)


class Quotas:
    """The quotas of one server."""

    def __init__(self, settings: Settings) -> None:
        self.connections_total = settings.connections_total
        self.connections = Quota(
            settings.connections_per_address,
            "connections_per_address",
            N_("One address may have %(count)d connections open."),
        )
        self.requests_of_address = Quota(
            settings.requests_per_address,
            "requests_per_address",
            N_("One address may have %(count)d requests under way before it is known who sends them."),
        )
        self.requests_of_user = Quota(
            settings.requests_per_user,
            "requests_per_user",
            N_("One user may have %(count)d requests under way."),
        )
        self.streams_of_address = Quota(
            settings.streams_per_address,
            "streams_per_address",
            N_("One address may have %(count)d live pages, event streams and consoles open."),
            N_("Close some of them, or raise %(setting)s."),
        )
        self.streams_of_user = Quota(
            settings.streams_per_user,
            "streams_per_user",
            N_("One user may have %(count)d live pages, event streams and consoles open."),
            N_("Close some of them, or raise %(setting)s."),
        )
        self._proxies = ProxyHeadersMiddleware(_nothing, settings.proxy_addresses).trusted_hosts

    def is_proxy(self, address: str) -> bool:
        """Whether the connections of an address are those of a trusted proxy, behind which many callers stand."""
        return address in self._proxies


async def _nothing(scope: object, receive: object, send: object) -> None:
    """No application: only the proxy rules of uvicorn's middleware are used."""


class RequestQuotas:
    """What one request holds; all of it is given back when the request ends."""

    def __init__(self, quotas: Quotas, address: str) -> None:
        self._quotas = quotas
        self._address = address
        self._held: list[tuple[Quota, str]] = []

    def enter(self, request: HTTPConnection) -> None:
        """Count the request for its address. Raises TooManyAtOnce."""
        self._take(request, self._quotas.requests_of_address, self._address)

    def identified(self, request: HTTPConnection, visitor: Visitor) -> None:
        """From now on the request counts for its user. Raises TooManyAtOnce."""
        self.leave()
        self._take(request, self._quotas.requests_of_user, _user(visitor))

    def becomes_stream(self, request: HTTPConnection, visitor: Visitor) -> None:
        """From now on the request is a stream of its user and its address. Raises TooManyAtOnce."""
        self.leave()
        self._take(request, self._quotas.streams_of_user, _user(visitor))
        self._take(request, self._quotas.streams_of_address, self._address)

    def leave(self) -> None:
        """Give back all."""
        while self._held:
            quota, key = self._held.pop()
            quota.give_back(key)

    def _take(self, request: HTTPConnection, quota: Quota, key: str) -> None:
        if not quota.take(key):
            raise quota.error()
        self._held.append((quota, key))


def _user(visitor: Visitor) -> str:
    return visitor.actor.user_id or visitor.actor.name


def quotas_of(request: HTTPConnection) -> RequestQuotas:
    """What the request holds."""
    held = request.scope["state"]["quotas"]
    assert isinstance(held, RequestQuotas)
    return held


class QuotaLayer:
    """The layer that counts requests and refuses what is too many; it never waits."""

    def __init__(self, app: ASGIApp, quotas: Quotas) -> None:
        self.app = app
        self.quotas = quotas

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        held = RequestQuotas(self.quotas, network_of(request.client.host if request.client else None))
        scope.setdefault("state", {})["quotas"] = held
        try:
            held.enter(request)
        except TooManyAtOnce as error:
            await refuse(scope, receive, send, error)
            return
        try:
            await self.app(scope, receive, send)
        finally:
            held.leave()


def install_quotas(app: FastAPI, settings: Settings) -> None:
    """Put the layer around the app; its quotas are shared with the connections."""
    app.state.quotas = Quotas(settings)
    app.add_middleware(QuotaLayer, quotas=app.state.quotas)
