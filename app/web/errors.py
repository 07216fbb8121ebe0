"""Errors as people and programs see them: RFC 9457 problems for the API, a page or a toast for browsers.

Texts are constant and safe: what a hypervisor said is shown only to people with `host.view-diagnostics`, values that
were sent are never echoed, and an unexpected failure shows nothing but a reference to the log.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import cast

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from app.core.errors import (
    Busy,
    HostIdentityChanged,
    IdentityUnconfirmed,
    InvalidInput,
    NotFound,
    NotSignedIn,
    TooLarge,
    TooManyRequests,
    VigieError,
    rule_of,
)
from app.core.messages import N_
from app.core.records import FieldProblem, Problem
from app.web.auth import language_of, visitor_of
from app.web.i18n import Translate, translator

log = structlog.get_logger(__name__)

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_S = 5
MAX_FIELDS = 50
ErrorPage = Callable[[Request, VigieError, Problem], Response]
_PROGRAM_PATHS = ("/api/", "/metrics", "/healthz", "/readyz", "/live", "/static/")


class MethodNotAllowed(VigieError):
    """The address exists, but not for this method. `allow` lists those it knows."""

    status = HTTPStatus.METHOD_NOT_ALLOWED
    code = "method_not_allowed"

    def __init__(self, allow: str) -> None:
        super().__init__(N_("This address does not know the method."), why=allow and f"Allow: {allow}")
        self.allow = allow


class BodyTimeout(VigieError):
    """The body of the request did not come in time."""

    status = HTTPStatus.REQUEST_TIMEOUT
    code = "body_timeout"

    def __init__(self) -> None:
        super().__init__(
            N_("The request took too long to come."),
            why=N_("Its body was not complete when the time that Vigie allows was over."),
            hint=N_("Send it again over a faster connection, or less at once."),
        )


class FieldsInvalid(InvalidInput):
    """Several fields break rules."""

    def __init__(self, errors: list[FieldProblem]) -> None:
        super().__init__(errors[0].field, errors[0].rule)
        self.title = N_("The request breaks rules of the API.")
        self.errors = errors


class Internal(VigieError):
    """A failure nobody foresaw. `reference` finds it in the log."""

    def __init__(self, reference: str) -> None:
        super().__init__(
            N_("Something went wrong inside Vigie."),
            why=N_("The failure is in Vigie's log under the reference %(reference)s."),
            hint=N_("Try again; if it happens again, give the reference to whoever runs Vigie."),
            params={"reference": reference},
        )
        self.reference = reference


def install_errors(app: FastAPI, page: ErrorPage) -> None:
    """Answer every error of handlers and routing in our own shape; `page` makes the answers for browsers."""
    app.state.error_page = page
    app.add_exception_handler(VigieError, _on_vigie_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)


async def _on_vigie_error(request: Request, error: Exception) -> Response:
    return answer(request, cast("VigieError", error))


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    return answer(request, _of_validation(cast("RequestValidationError", error)))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    return answer(request, _of_http(cast("HTTPException", error)))


def answer(request: HTTPConnection, error: VigieError) -> Response:
    """The response that tells the error to whoever asked, in their language."""
    problem = problem_of(request, error)
    if request.url.path.startswith(_PROGRAM_PATHS):
        response = Response(
            problem.model_dump_json(exclude_none=True), problem.status, media_type=PROBLEM_JSON
        )
    else:
        page: ErrorPage = request.app.state.error_page
        response = page(cast("Request", request), error, problem)
    if isinstance(error, TooManyRequests):
        response.headers["Retry-After"] = str(error.retry_after_s)
    elif problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    if isinstance(error, NotSignedIn):
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = error.allow
    if isinstance(error, (BodyTimeout, TooLarge)):
        response.headers["Connection"] = "close"  # the rest of the body is not waited for
    return response


async def refuse(scope: Scope, receive: Receive, send: Send, error: VigieError) -> None:
    """Answer a request or the opening of a WebSocket with an error, before anything looks at it."""
    response = answer(HTTPConnection(scope), error)
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(response)
    else:
        await response(scope, receive, send)


def problem_of(request: HTTPConnection, error: VigieError) -> Problem:
    """The error as the API says it."""
    _ = translator(language_of(request))
    visitor = visitor_of(request)
    diagnoses = visitor is not None and "host.view-diagnostics" in visitor.actor.role.privileges
    return Problem(
        type=f"urn:vigie:problem:{error.code}",
        title=_title(error, _),
        status=int(error.status),
        detail=error.detail if diagnoses else None,
        code=error.code,
        why=error.texts(_).why,
        hint=error.texts(_).hint,
        field=error.field if isinstance(error, InvalidInput) else None,
        errors=_fields(error, _),
        task=error.task_id if isinstance(error, Busy) else None,
        fingerprint=error.fingerprint
        if isinstance(error, (IdentityUnconfirmed, HostIdentityChanged))
        else None,
    )


def _title(error: VigieError, _: Translate) -> str:
    if isinstance(error, InvalidInput) and not isinstance(error, FieldsInvalid):
        return _("The field %(field)s breaks a rule.") % {"field": error.field}
    return error.texts(_).title


def _fields(error: VigieError, _: Translate) -> list[FieldProblem] | None:
    if isinstance(error, FieldsInvalid):
        return error.errors
    if isinstance(error, InvalidInput):
        return [FieldProblem(field=error.field, rule=error.rule_text(_))]
    return None


def _of_validation(error: RequestValidationError) -> VigieError:
    """Which fields break which rules. Input is left out: it may be a secret."""
    found = error.errors()
    if found and all(item["loc"][0] == "path" for item in found):
        return NotFound(N_("There is no such object."))
    fields = [
        FieldProblem(field=_field(item["loc"]), rule=rule_of(item)[:300]) for item in found[:MAX_FIELDS]
    ]
    return FieldsInvalid(fields) if fields else _unreadable()


def _field(location: tuple[str | int, ...]) -> str:
    """The field's path in the body, or the parameter's name; names that the caller made up are cut."""
    parts = [str(part)[:64] for part in location[1:7]]
    return ".".join(parts) or str(location[0])


def _unreadable() -> InvalidInput:
    return InvalidInput(
        "body",
        N_("must be JSON in UTF-8, at most 32 levels deep, without NaN, Infinity and NUL"),
        code="unreadable_body",
    )


def _of_http(error: HTTPException) -> VigieError:
    match error.status_code:
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return MethodNotAllowed((error.headers or {}).get("Allow") or "")
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return too_large()
        case HTTPStatus.REQUEST_TIMEOUT:
            return BodyTimeout()
        case HTTPStatus.BAD_REQUEST:
            return _unreadable()
        case HTTPStatus.NOT_FOUND | HTTPStatus.UNAUTHORIZED:  # the latter: a static file that we may not read
            return NotFound(N_("There is nothing at this address."))
        case _:
            raise error


def too_large() -> TooLarge:
    """The request is larger than the settings allow."""
    return TooLarge(
        N_("The request is too large."),
        why=N_("Its body is larger than VIGIE_MAX_BODY_BYTES allows."),
        hint=N_("Send less at once."),
    )
