"""What the operations of the API have in common: declared problems, preconditions, repeats, lists and their CSV."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Header, Request
from fastapi import Path as PathParameter
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from starlette.responses import Response

from app.access.context import Ctx
from app.core.errors import EditConflict, InvalidInput
from app.core.ids import ID_PATTERN
from app.core.messages import N_
from app.core.networks.records import NetworkBatch
from app.core.records import Page, Record
from app.core.specs import MAX_LIMIT, ListQuery
from app.core.tasks.records import BulkRecord, TaskRecord
from app.core.tasks.stored import StoredAnswer
from app.tasks import idempotency
from app.web.deps import SignedRoute
from app.web.errors import PROBLEM_JSON

R = TypeVar("R", bound=Record)
Responses = dict[int | str, dict[str, object]]

PROBLEM = {"$ref": "#/components/schemas/Problem"}
_MEANINGS = {
    401: "Nobody is signed in, or the session or token has ended.",
    403: "The privilege is missing, or a browser sent this from a foreign page.",
    404: "There is no such object, or none that you may see.",
    408: "The request body took too long to come.",
    409: "The object's state forbids this; `code`, `why` and `hint` say more.",
    412: "Somebody changed the object since you read it: If-Match names an old version.",
    413: "The request body is too large.",
    421: "The Host header names no name of this server.",
    422: "A field or parameter breaks a rule, or is unknown.",
    429: "Too many attempts, or too many requests at once; Retry-After says when to go on.",
    503: "A host or the database does not answer now; Retry-After says when to try again.",
}


def problems(*statuses: int, signed: bool = True) -> Responses:
    """The problems that an operation can answer with; those that any can are added."""
    always: tuple[int, ...] = (401, 403, 421, 422, 429, 503) if signed else (421, 429)
    if 413 in statuses:
        always += (408,)
    return {
        status: {"description": _MEANINGS[status], "content": {PROBLEM_JSON: {"schema": PROBLEM}}}
        for status in sorted({*statuses, *always})
    }


class ApiRoute(SignedRoute):
    """A signed-in route of the API, which refuses query parameters that it does not know."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self._body = _strict_body(self)
        self._known = frozenset(_query_names(self.dependant))

    def check_query(self, request: Request) -> None:
        """Raise InvalidInput naming a query parameter that this operation does not have."""
        for name in request.query_params:
            if name not in self._known:
                raise InvalidInput(name[:64], N_("is not a parameter of this operation"))

    async def check_body(self, request: Request) -> None:
        """Refuse a JSON body whose values only could be read as what they should be: `true` or `"4"` for a number.

        Raises RequestValidationError. What is no JSON at all is told by who parses it.
        """
        body = await request.body()
        if self._body is None or not body:
            return
        try:
            self._body.validate_json(body, strict=True)
        except ValidationError as error:
            broken = [{**item, "loc": ("body", *item["loc"])} for item in error.errors(include_url=False)]
            if all(item["type"] != "json_invalid" for item in broken):
                raise RequestValidationError(broken) from None


def _strict_body(route: APIRoute) -> TypeAdapter[Any] | None:
    """What reads the route's body strictly; None when it takes none, or bytes."""
    taken: Any = route.body_field.field_info.annotation if route.body_field else None
    return None if taken in (None, bytes) else TypeAdapter(taken)


def _query_names(dependant: Dependant) -> Iterator[str]:
    for parameter in dependant.query_params:
        annotation = parameter.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from annotation.model_fields
        else:
            yield parameter.alias
    for dependency in dependant.dependencies:
        yield from _query_names(dependency)


def api_router(tag: str) -> APIRouter:
    """The router of one noun."""
    return APIRouter(tags=[tag], route_class=ApiRoute)


ObjectPath = Annotated[
    str,
    PathParameter(pattern=ID_PATTERN, description="Identifier of the object, such as vm_7k2m4q6s5t3u2v4w."),
]


def _if_match(
    if_match: Annotated[
        str | None,
        Header(
            max_length=64,
            description='The ETag of the version that you read, such as `"3"`: refused (412) when it is old.',
        ),
    ] = None,
) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    tag = if_match.strip().strip('"')
    if not tag.isdecimal() or len(tag) > 18:
        raise EditConflict(
            N_("The object has changed since you read it."),
            why=N_("If-Match names no version of this object."),
            hint=N_("Read the object again and use its ETag."),
        )
    return int(tag)


IfMatch = Annotated[int | None, Depends(_if_match)]
"""The version that the caller read, or None when the caller does not care."""


def tagged(record: R, version: int) -> Response:
    """The record with its version as ETag."""
    return _answer(record, HTTPStatus.OK, {"ETag": f'"{version}"'})


def created(record: R, location: str, version: int | None = None) -> Response:
    """201 with the address of what was made."""
    headers = {"Location": f"/api/v1{location}"}
    if version is not None:
        headers["ETag"] = f'"{version}"'
    return _answer(record, HTTPStatus.CREATED, headers)


def accepted(task: TaskRecord) -> Response:
    """202 with the task to follow."""
    return _answer(task, HTTPStatus.ACCEPTED, {"Location": f"/api/v1/tasks/{task.id}"})


def accepted_batch(done: BulkRecord | NetworkBatch) -> Response:
    """202 with the tasks to follow, and what was refused."""
    return _answer(done, HTTPStatus.ACCEPTED, {"Location": f"/api/v1/tasks?batch={done.batch_id}"})


def _answer(record: BaseModel, status: HTTPStatus, headers: dict[str, str]) -> Response:
    return Response(record.model_dump_json(), int(status), headers, media_type="application/json")


@dataclass(frozen=True, slots=True)
class Repeat:
    """What Idempotency-Key asks for: a request sent twice is done once and answered twice."""

    key: str | None
    request_sha256: str

    def earlier(self, ctx: Ctx) -> Response | None:
        """The answer of the first time. Raises Conflict when the key was used for something else."""
        found = idempotency.remembered(ctx, self.key, self.request_sha256) if self.key else None
        if found is None:
            return None
        return Response(found["body"], found["status"], found["headers"], media_type="application/json")

    def keep(self, ctx: Ctx, response: Response) -> Response:
        """Remember the answer for the next time."""
        if self.key:
            headers = {
                name: response.headers[name] for name in ("location", "etag") if name in response.headers
            }
            body = bytes(response.body).decode()
            answer: StoredAnswer = {"status": response.status_code, "headers": headers, "body": body}
            idempotency.remember(ctx, self.key, self.request_sha256, answer)
        return response

    def once(self, ctx: Ctx, act: Callable[[], Response]) -> Response:
        """Do it, unless it was done before."""
        return self.earlier(ctx) or self.keep(ctx, act())


async def _repeat(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=200,
            pattern=r"^[\x21-\x7e]+$",
            description="Any text of your own; the same request with the same key is done once.",
        ),
    ] = None,
) -> Repeat:
    digest = hashlib.sha256(f"{request.method} {request.url.path}\n".encode() + await request.body())
    return Repeat(idempotency_key, digest.hexdigest())


Once = Annotated[Repeat, Depends(_repeat)]
"""The Idempotency-Key of the request."""


class Exported(BaseModel):
    """Mixed into the queries of lists that can be had as CSV."""

    format: Literal["json", "csv"] | None = Field(
        None,
        description="csv gives the whole list as a table (so does `Accept: text/csv`), or one part with `limit`.",
    )


def listed(
    request: Request, ctx: Ctx, query: ListQuery, fetch: Callable[[Ctx, Any], Page[R]], row: type[R]
) -> Response:
    """A part of a list as JSON, or the list as CSV when that is asked for."""
    wanted = getattr(query, "format", None) or ("csv" if _prefers_csv(request) else "json")
    if wanted == "json":
        return Response(fetch(ctx, query).model_dump_json(), media_type="application/json")
    name = request.url.path.rsplit("/", 1)[-1]
    return Response(
        _csv(ctx, query, fetch, row),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def _prefers_csv(request: Request) -> bool:
    return request.headers.get("accept", "").split(",")[0].partition(";")[0].strip().lower() == "text/csv"


def _csv(ctx: Ctx, query: ListQuery, fetch: Callable[[Ctx, Any], Page[R]], row: type[R]) -> bytes:
    out = io.StringIO(newline="")
    columns = list(_columns(row))
    writer = csv.writer(out)
    writer.writerow(columns)
    whole = not {"limit", "cursor"} & query.model_fields_set
    part = query.model_copy(update={"limit": MAX_LIMIT}) if whole else query
    while True:
        page = fetch(ctx, part)
        for item in page.items:
            flat = _flat(item.model_dump(mode="json"))
            writer.writerow([_cell(flat.get(column)) for column in columns])
        if not whole or page.next is None:
            return out.getvalue().encode()
        part = part.model_copy(update={"cursor": page.next})


def _columns(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, about in model.model_fields.items():
        nested = next((item for item in _types(about.annotation) if issubclass(item, BaseModel)), None)
        if nested is None:
            yield prefix + name
        else:
            yield from _columns(nested, f"{prefix}{name}.")


def _types(annotation: object) -> list[type]:
    """The classes that an annotation names directly, of a union each."""
    return [item for item in getattr(annotation, "__args__", (annotation,)) if isinstance(item, type)]


def _flat(value: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, item in value.items():
        if isinstance(item, dict) and item:
            flat |= _flat(item, f"{prefix}{name}.")
            flat[prefix + name] = json.dumps(item)
        else:
            flat[prefix + name] = item
    return flat


def _cell(value: object) -> object:
    """A value as spreadsheets may see it: text that they would take for a formula gets a quote before it."""
    if isinstance(value, list):
        value = " ".join(map(str, value))
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        return f"'{value}"
    return value
