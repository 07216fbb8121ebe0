"""The REST API: one module per noun, each handler calls one service."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from app.web.api import (
    audit,
    consoles,
    creation,
    credentials,
    datacenters,
    definitions,
    events,
    filters,
    hardware,
    hosts,
    images,
    network_versions,
    networks,
    overview,
    pool_versions,
    removal,
    sessions,
    storage,
    system,
    tasks,
    tokens,
    uploads,
    users,
    vms,
    volumes,
)
from app.web.api.openapi import install_openapi

PREFIX = "/api/v1"
_NOUNS = (
    sessions, overview, datacenters, hosts, vms, consoles, creation, removal, hardware, definitions, uploads, storage, pool_versions, volumes, images, networks, network_versions, filters, tasks, events, audit, users, tokens, credentials
)  # fmt: skip


def install_api(app: FastAPI) -> None:
    """Add all routes of the API, its description, and the doors of monitoring."""
    router = APIRouter(prefix=PREFIX)
    for noun in _NOUNS:
        router.include_router(noun.router)
    app.include_router(router)
    app.include_router(system.router)
    app.include_router(system.open_router)
    install_openapi(app, f"{PREFIX}/openapi.json")
