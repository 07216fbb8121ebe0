"""The operations of the API, from its own description, for tests that hold of all of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fastapi import FastAPI

from app.web.api.examples import EXAMPLES
from app.web.api.openapi import describe

OPEN = {"/healthz", "/readyz"}


@dataclass(frozen=True)
class Operation:
    """One method of one address, with an example of its body."""

    method: str
    path: str
    url: str
    body: dict[str, object] | None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def operations(app: FastAPI, *, opened: bool = False) -> list[Operation]:
    """All operations for which somebody must be signed in (or, `opened`, those that need nobody)."""
    found = []
    for path, methods in describe(app)["paths"].items():
        if (path in OPEN) is not opened:
            continue
        for method, operation in methods.items():
            url = re.sub(r"\{id\}", "vm_aaaaaaaaaaaaaaaa", path).replace("{verb}", "start")
            if path == "/api/v1/search":
                url += "?q=web"
            if path == "/api/v1/events/stream":
                url += "?seconds=1"  # streams without end would never answer
            found.append(Operation(method.upper(), path, url, _body(operation)))
    return found


def _body(operation: dict) -> dict[str, object] | None:
    if "requestBody" not in operation:
        return None
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    named = next(each["$ref"] for each in [schema, *schema.get("anyOf", [])] if "$ref" in each)
    return EXAMPLES[named.rsplit("/", 1)[-1]]
