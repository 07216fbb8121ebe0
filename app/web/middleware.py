"""What surrounds every request: reference, timing, access log, limits, headers. Plain ASGI, nothing is buffered."""

from __future__ import annotations

import asyncio
import secrets
import time
from urllib.parse import parse_qs

import structlog
from fastapi import FastAPI
from prometheus_client import Histogram
from secure import (
    ContentSecurityPolicy,
    CrossOriginOpenerPolicy,
    CrossOriginResourcePolicy,
    PermissionsPolicy,
    ReferrerPolicy,
    Secure,
    StrictTransportSecurity,
    XContentTypeOptions,
    XFrameOptions,
)
from secure.middleware import SecureASGIMiddleware
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.config import Settings
from app.core.storage.uploads import MAX_PART
from app.web.auth import visitor_of
from app.web.errors import Internal, answer, refuse, too_large
from app.web.host_header import HostGuard
from app.web.quotas import install_quotas

log = structlog.get_logger("app.access")
failures = structlog.get_logger("app.failures")

UPLOADS = "/api/v1/uploads/"  # parts of files, which have a limit of their own
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
IMMUTABLE = "public, max-age=31536000, immutable"


def install_middleware(app: FastAPI, settings: Settings, durations: Histogram) -> None:
    """Put the layers around the app; the last one added is the outermost."""
    app.add_middleware(FailureBoundary)
    app.add_middleware(BodyLimit, settings=settings)
    install_quotas(app, settings)
    app.add_middleware(HostGuard, settings=settings)
    app.add_middleware(SecureASGIMiddleware, secure=_headers(settings))
    app.add_middleware(Observed, durations=durations)


def _headers(settings: Settings) -> Secure:
    https = bool(settings.public_url and settings.public_url.startswith("https://"))
    policy = (
        ContentSecurityPolicy()
        .default_src("'none'")
        .script_src("'self'")
        .style_src("'self'")
        .img_src("'self'", "data:", "blob:")
        .connect_src("'self'")
        .font_src("'self'")
        .form_action("'self'")
        .frame_ancestors("'none'")
        .base_uri("'none'")
    )
    return Secure(
        csp=policy,
        coop=CrossOriginOpenerPolicy().same_origin(),
        corp=CrossOriginResourcePolicy().same_origin(),
        referrer=ReferrerPolicy().same_origin(),
        permissions=PermissionsPolicy().camera().microphone().geolocation(),
        xcto=XContentTypeOptions(),
        xfo=XFrameOptions().deny(),
        hsts=StrictTransportSecurity().max_age(31536000) if https else None,
    )


class Observed:
    """Gives each request a reference, and each response Server-Timing and Cache-Control; writes the access log."""

    def __init__(self, app: ASGIApp, durations: Histogram) -> None:
        self.app = app
        self.durations = durations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        reference = secrets.token_hex(8)
        scope.setdefault("state", {})["reference"] = reference
        started = time.perf_counter()
        status = 0

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = reference
                headers.append("Server-Timing", f"app;dur={(time.perf_counter() - started) * 1000:.1f}")
                headers.setdefault("Cache-Control", _caching(scope))
            await send(message)

        try:
            await self.app(scope, receive, observed_send)
        finally:
            self._note(scope, status, time.perf_counter() - started, reference)

    def _note(self, scope: Scope, status: int, took_s: float, reference: str) -> None:
        request = Request(scope)
        visitor = visitor_of(request)
        handler = getattr(scope.get("route"), "name", "none")
        # People may send any word as a method: each would stay as a series of its own.
        method = scope["method"] if scope["method"] in METHODS and status != 405 else "other"
        self.durations.labels(method, handler, str(status)).observe(took_s)
        log.info(
            "request",
            method=scope["method"],
            path=scope["path"],  # without the query, which may hold what people typed
            status=status,
            ms=round(took_s * 1000, 1),
            actor=visitor.actor.name if visitor else None,
            remote=request.client.host if request.client else None,
            reference=reference,
        )


def _caching(scope: Scope) -> str:
    """Dynamic answers are never kept; files named with their hash always are; other files are asked for again."""
    if not scope["path"].startswith("/static/"):
        return "no-store"
    return IMMUTABLE if parse_qs(scope["query_string"].decode("latin-1")).get("v") else "no-cache"


class BodyLimit:
    """Refuses bodies that are too large, by their announced length at once, else as soon as they are; and slow ones."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = MAX_PART if scope["path"].startswith(UPLOADS) else self.settings.max_body_bytes
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced[:20]) > most:
            await refuse(scope, receive, send, too_large())
            return
        deadline = asyncio.get_running_loop().time() + body_timeout_s(self.settings, scope["path"])
        seen = 0
        complete = False

        # HTTPException is the one kind that FastAPI lets through while it reads a body.
        async def limited_receive() -> Message:
            nonlocal seen, complete
            try:
                async with asyncio.timeout_at(None if complete else deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408) from None
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                complete = not message.get("more_body", False)
                if seen > most:
                    raise HTTPException(413)
            return message

        await self.app(scope, limited_receive, send)


def body_timeout_s(settings: Settings, path: str) -> int:
    """Seconds within which the body of a request to this path must have come."""
    return settings.part_timeout_s if path.startswith(UPLOADS) else settings.body_timeout_s


class FailureBoundary:
    """Where an exception that nobody foresaw ends: in the log with its traceback, and as a reference outside."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noted_send(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, noted_send)
        except Exception:  # the boundary of one request
            if scope["type"] != "http":
                raise
            reference = scope["state"]["reference"]
            failures.exception(
                "request_failed", path=scope["path"], method=scope["method"], reference=reference
            )
            if started:
                raise
            await answer(Request(scope), Internal(reference))(scope, receive, send)
