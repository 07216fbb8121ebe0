"""The REST API: one package per noun, each handler calls one service."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from app.web.api import access, hosts, inventory, library, networks, storage, system, tasks, vms

PREFIX = "/api/v1"
_NOUNS = (access, inventory, hosts, vms, storage, library, networks, tasks)


def install_api(app: FastAPI) -> None:
    """Add all routes of the API, and the doors of monitoring."""
    router = APIRouter(prefix=PREFIX)
    for noun in _NOUNS:
        router.include_router(noun.router)
    app.include_router(router)
    app.include_router(system.router)
    app.include_router(system.open_router)
