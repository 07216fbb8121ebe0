"""The operations of the API, from its own description, for tests that hold of all of them."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import FastAPI

from app.web.api.examples.examples import EXAMPLES
from app.web.api.openapi import describe
from tests.integration.api.conftest import Inventory

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


PARTS = {
    "target": "vda",
    "mac": "52:54:00:12:34:56",
    "number": "1",
    "address": "0000:01:00.0",
    "tag": "media",
}


def operations(app: FastAPI, inventory: Inventory | None = None) -> list[Operation]:
    """All operations for which somebody must be signed in, on objects of the inventory where it has some."""
    found = []
    for path, methods in describe(app)["paths"].items():
        if path in OPEN:
            continue
        for method, operation in methods.items():
            url = path.replace("{id}", _id(path, inventory)).replace("{verb}", "start")
            for name, value in PARTS.items():
                url = url.replace(f"{{{name}}}", value)
            if path == "/api/v1/logical-networks/hosts":
                url += "?name=default"
            if path == "/api/v1/uploads/{id}" and method == "put":
                url += "?offset=0"
            if path == "/api/v1/search":
                url += "?q=web"
            if path == "/api/v1/events/stream":
                url += "?seconds=1"  # streams without end would never answer
            found.append(Operation(method.upper(), path, url, _body(operation)))
    return found


def _id(path: str, inventory: Inventory | None) -> str:
    known = real_ids(inventory, path) if inventory else []
    return known[0] if known else "vm_aaaaaaaaaaaaaaaa"


def real_ids(inventory: Inventory, path: str) -> list[str]:
    """Objects that exist, for the `{id}` of a path; empty when there are none of the kind."""
    known = {
        "datacenters": [inventory.datacenter],
        "hosts": inventory.hosts,
        "vms": inventory.vms,
        "pools": [inventory.pool],
        "volumes": [inventory.volume],
        "networks": [inventory.network],
        "filters": [inventory.filter],
        "tasks": [inventory.task],
        "users": [inventory.user],
        "credentials": [inventory.credential],
        "tree": [inventory.hosts[0], inventory.vms[0], inventory.datacenter],
    }
    return known.get(path.split("/")[3], []) if path.count("/") > 3 else []


def _body(operation: dict) -> dict[str, object] | None:
    if "application/json" not in operation.get("requestBody", {}).get("content", {}):
        return None  # nothing, or bytes as they are
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    named = next(item["$ref"] for item in [schema, *schema.get("anyOf", [])] if "$ref" in item)
    return EXAMPLES[named.rsplit("/", 1)[-1]]
