"""The description of the API, OpenAPI 3.1, as served at /api/v1/openapi.json."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import Response

from app.core.records import FieldProblem, Problem
from app.web.api.examples.examples import EXAMPLES

Json = dict[str, Any]

TAGS = (
    ("session", "Who is signed in."),
    ("dashboard", "Capacity, search and the inventory tree."),
    ("datacenters", "The top of the tree."),
    ("hosts", "Machines with libvirt."),
    ("vms", "Virtual machines, wherever they were made."),
    ("storage", "Storage pools and volumes."),
    ("networks", "Virtual networks."),
    ("tasks", "Work that was asked for: durable, followed, cancellable."),
    ("events", "What happened, as a list and as a stream."),
    ("audit", "Who asked for what."),
    ("users", "People who may sign in."),
    ("tokens", "Secrets with which programs use the API."),
    ("credentials", "Secrets with which Vigie signs in to hosts."),
    ("system", "For those who watch Vigie itself."),
)
DESCRIPTION = """One place to see and control the VMs of many libvirt hosts.

Send `Authorization: Bearer <token>`. Bodies are JSON; unknown fields and parameters are refused (422).
Lists answer `items`, `next` (the cursor of the following part, or null) and `total`.
Work that touches a host answers 202 with a task: follow `Location`, `?wait=30` waits for its end.
Errors are `application/problem+json` with a stable `code`, the reason (`why`) and what to do (`hint`).
Every observed object carries `observed_at` and `stale`: Vigie shows what it last saw and never waits for a host."""
_OPEN = {"/healthz", "/readyz"}


def install_openapi(app: FastAPI, path: str) -> None:
    """Serve the description at `path`; it is made at the first request."""

    @cache
    def described() -> bytes:
        return json.dumps(describe(app), ensure_ascii=False).encode()

    async def show_openapi(_request: Request) -> Response:
        return Response(described(), media_type="application/json", headers={"Cache-Control": "no-cache"})

    app.add_route(path, show_openapi, name="openapi", include_in_schema=False)


def describe(app: FastAPI) -> Json:
    """The whole description."""
    created: Json = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        summary="REST API of Vigie",
        description=DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": about} for name, about in TAGS],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    components: Json = created["components"]
    schemas: Json = components["schemas"]
    for model in (Problem, FieldProblem):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schema.pop("$defs", None)
        schemas[model.__name__] = schema
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for name, example in EXAMPLES.items():
        schemas[name]["examples"] = [example]
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "An API token: vigie_…"},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "vigie_session",
            "description": "The browser's login, from Vigie's own origin only; over HTTPS: __Host-vigie_session.",
        },
    }
    created["security"] = [{"token": []}, {"session": []}]
    _finish_operations(created["paths"])
    return created


def _finish_operations(paths: Json) -> None:
    for path, operations in paths.items():
        for operation in operations.values():
            if path in _OPEN:
                operation["security"] = []
            operation["summary"] = operation["description"].partition(".")[0].partition("\n")[0]
            _add_headers(operation["responses"])
            schema = _list_schema(operation)
            if schema is not None:
                operation["responses"]["200"]["content"]["text/csv"] = {"schema": {"type": "string"}}


def _add_headers(responses: Json) -> None:
    """Say which headers an answer has."""
    text = {"schema": {"type": "string"}}
    if "201" in responses:
        responses["201"]["headers"] = {"Location": {"description": "Where the new object is."} | text}
    if "202" in responses:
        responses["202"]["headers"] = {"Location": {"description": "The task to follow."} | text}
    if "412" in responses and "200" in responses:
        responses["200"]["headers"] = {"ETag": {"description": "The version, for If-Match."} | text}
    for status in ("429", "503"):
        if status in responses:
            responses[status]["headers"] = {
                "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}
            }


def _list_schema(operation: Json) -> str | None:
    """The name of the schema of a list that can be had as CSV, or None."""
    if not any(item["name"] == "format" for item in operation.get("parameters", ())):
        return None
    name: str = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    return name
