"""Virtual networks of hosts."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from app.core.records import NetworkRecord, Page
from app.core.specs import PoolQuery
from app.services import networks
from app.web.api.shapes import Exported, ObjectPath, api_router, listed, problems
from app.web.deps import Reader

router = api_router("networks")


class NetworkList(PoolQuery, Exported):
    """Filters of the list."""


@router.get("/networks", name="network.list", response_model=Page[NetworkRecord], responses=problems())
def list_networks(request: Request, query: Annotated[NetworkList, Query()], ctx: Reader) -> Response:
    """Networks as last seen, on all hosts."""
    return listed(request, ctx, query, networks.list_networks, NetworkRecord)


@router.get("/networks/{id}", name="network.show", responses=problems(404))
def show_network(id: ObjectPath, ctx: Reader) -> NetworkRecord:
    """One network."""
    return networks.show_network(ctx, id)
