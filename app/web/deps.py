"""How a handler gets its transaction.

    router = SignedRouter(tags=["vms"])

    @router.get("/vms/{id}")
    def show_vm(id: str, ctx: Reader) -> …          # one read transaction
    @router.post("/vms/{id}/…")
    def act(id: str, ctx: Writer) -> …              # committed before the answer is made
    @router.post("/hosts")
    def add_host(spec: HostSpec, visitor: HostCaller) -> …   # no transaction; may wait for a host

Every route of a `SignedRouter` first finds out who calls, before it looks at anything else of the request. A
plain `def` handler then runs from the opening of its transaction to its end in one thread, so that a waiting
request never holds a transaction while it waits for a thread. Readers, writers and callers of hosts have
separate numbers of threads: a locked database or hung hosts cannot keep readers out.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Coroutine
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote_plus

import anyio.to_thread
from anyio import CapacityLimiter
from anyio.lowlevel import RunVar
from fastapi import APIRouter, Depends, Request
from fastapi import Path as PathParameter
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.responses import Response

from app.access import audit
from app.access.context import Ctx, Services
from app.core.errors import InvalidInput, NotAllowed, NotFound, VigieError
from app.core.ids import ID_PATTERN
from app.core.messages import N_
from app.core.vms.power import VmVerb
from app.web.auth import SAFE_METHODS, Visitor, identify, services_of, visitor_of
from app.web.quotas import quotas_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_JSON_DEPTH = 32


class Mode(Enum):
    """What a handler needs around it, and how many handlers of the kind may run at the same time."""

    READ = 32
    WRITE = 16
    HOST = 8


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a dependency leaves in the arguments: the handler's thread turns it into a Ctx."""

    visitor: Visitor
    mode: Mode

    @contextmanager
    def opened(self) -> Iterator[Ctx]:
        services = self.visitor.services
        transaction = services.database.begin if self.mode is Mode.WRITE else services.database.read
        with transaction() as session:
            yield Ctx(services, session, self.visitor.actor, self.visitor.translate)


def _known(request: Request) -> Visitor:
    visitor = visitor_of(request)
    assert visitor is not None, "this dependency works on routes of a SignedRouter only"
    return visitor


async def _reader(request: Request) -> _Entry:
    return _Entry(_known(request), Mode.READ)


async def _writer(request: Request) -> _Entry:
    return _Entry(_known(request), Mode.WRITE)


async def _host_caller(request: Request) -> Visitor:
    return _known(request)


async def _visitor(request: Request) -> Visitor:
    return _known(request)


async def _services(request: Request) -> Services:
    return services_of(request)


_host_dependency = Depends(_host_caller)

Reader = Annotated[Ctx, Depends(_reader)]
"""A read transaction for somebody who is signed in."""
Writer = Annotated[Ctx, Depends(_writer)]
"""A transaction that is committed when the handler returns, before anything is answered."""
HostCaller = Annotated[Visitor, _host_dependency]
"""Somebody who is signed in; the handler may wait for a host, and opens transactions through services."""
Signed = Annotated[Visitor, Depends(_visitor)]
"""Somebody who is signed in; no transaction."""
Program = Annotated[Services, Depends(_services)]
"""The program itself, for doors that nobody must be signed in for, such as the login page."""


PageId = Annotated[str, PathParameter(pattern=ID_PATTERN)]
"""The id in the address of a page; what cannot be one is not found."""


class SignedRoute(APIRoute):
    """A route for which somebody must be signed in, with its transaction in one thread (see the module)."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, _in_one_thread(endpoint, options.get("status_code")), **options)

    def check_query(self, request: Request) -> None:
        """Refuse a query before it is parsed; pages ignore parameters that they do not know."""

    async def check_body(self, request: Request) -> None:
        """Have the whole body at hand, and refuse what is wrong with it before it is parsed."""
        await request.body()

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Identify the caller, then parse strictly, then handle; refused changes and reads go to the audit."""
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                visitor = await anyio.to_thread.run_sync(identify, request, limiter=_limiter(Mode.READ))
                quotas_of(request).identified(request, visitor)
                _refuse_nul(request)
                self.check_query(request)
                strict = _StrictRequest(request.scope, request.receive)
                if request.method not in SAFE_METHODS:
                    await self.check_body(strict)
                    # Rights may have ended while a slow body came in.
                    await anyio.to_thread.run_sync(identify, request, limiter=_limiter(Mode.READ))
                return await handle(strict)
            except VigieError as error:
                await _audit_refusal(request, error)
                raise

        return handler


SignedRouter = functools.partial(APIRouter, route_class=SignedRoute)
"""An APIRouter whose routes are all `SignedRoute`s."""


_limiters: RunVar[dict[Mode, CapacityLimiter]] = RunVar("vigie_limiters")


def _limiter(mode: Mode) -> CapacityLimiter:
    """The threads of one kind, of the running event loop."""
    limiters = _limiters.get(None)
    if limiters is None:
        limiters = {item: CapacityLimiter(item.value) for item in Mode}
        _limiters.set(limiters)
    return limiters[mode]


def _in_one_thread(endpoint: Callable[..., Any], status: int | None) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(endpoint):
        return endpoint
    signature = inspect.signature(endpoint, eval_str=True)
    waits_for_hosts = any(
        _host_dependency in getattr(parameter.annotation, "__metadata__", ())
        for parameter in signature.parameters.values()
    )

    def work(values: dict[str, Any]) -> Any:
        name, entry = next(((n, v) for n, v in values.items() if isinstance(v, _Entry)), (None, None))
        if name is None or entry is None:
            return _as_response(endpoint(**values), status)
        with entry.opened() as ctx:
            answer = endpoint(**{**values, name: ctx})
        return _as_response(answer, status)

    async def run(**values: Any) -> Any:
        entry = next((value for value in values.values() if isinstance(value, _Entry)), None)
        mode = Mode.HOST if waits_for_hosts else entry.mode if entry else Mode.READ
        return await anyio.to_thread.run_sync(work, values, limiter=_limiter(mode))

    functools.update_wrapper(run, endpoint)
    run.__signature__ = signature  # type: ignore[attr-defined]
    return run


def _as_response(answer: object, status: int | None) -> object:
    """Records become JSON here, in the handler's thread: a second validation by FastAPI would cost more than the query."""
    if isinstance(answer, BaseModel):
        return Response(answer.model_dump_json(), status_code=status or 200, media_type="application/json")
    return answer


async def _audit_refusal(request: Request, error: VigieError) -> None:
    visitor = visitor_of(request)
    is_read = request.method in SAFE_METHODS
    # What cannot be read for another reason than a missing right, such as its age, says nothing of who asks.
    if visitor is None or (is_read and not isinstance(error, NotAllowed)):
        return
    parameters = request.path_params
    name: str = request.scope["route"].name
    verb = parameters.get("verb")
    action = f"vm.{verb}" if verb in set(VmVerb) else name
    target = parameters.get("id")
    write = audit.record_refused_read if is_read else audit.record_refusal
    record = functools.partial(write, visitor.services, visitor.actor, action, error, target)
    await anyio.to_thread.run_sync(record, limiter=_limiter(Mode.WRITE))


def _refuse_nul(request: Request) -> None:
    """No text of ours holds NUL, and databases stumble over it."""
    if "\x00" in request.url.path or "\x00" in unquote_plus(request.url.path):
        raise NotFound(N_("There is nothing at this address."))
    query: bytes = request.scope["query_string"]
    if "\x00" in unquote_plus(query.decode("latin-1")):
        raise InvalidInput("query", N_("must not contain NUL characters"))


class _StrictRequest(Request):
    """A request whose JSON must be UTF-8, at most `MAX_JSON_DEPTH` deep, without NaN, Infinity and text that no
    database takes (NUL, halves of surrogate pairs).

    Problems are raised as ValueError, which FastAPI reports as an unreadable body.
    """

    async def json(self) -> Any:
        """The parsed body."""
        body = await self.body()
        parsed = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
        _check_json(parsed)
        return parsed


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _check_json(parsed: object) -> None:
    level = [parsed]
    for _ in range(MAX_JSON_DEPTH):
        below: list[object] = []
        for item in level:
            if isinstance(item, str):
                if "\x00" in item:
                    raise ValueError("NUL in a text")
                item.encode()  # raises UnicodeEncodeError, a ValueError
            elif isinstance(item, dict):
                below += item.keys()
                below += item.values()
            elif isinstance(item, list):
                below += item
        level = below
    if level:
        raise ValueError("too deep")
