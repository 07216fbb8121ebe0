"""Datacenters: the top of the tree."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from app.core.inventory.records import DatacenterRecord
from app.core.inventory.specs import DatacenterSpec
from app.core.records import Page
from app.core.specs import ListQuery
from app.services.inventory import datacenters
from app.web.api.shapes import (
    Exported,
    IfMatch,
    ObjectPath,
    Once,
    api_router,
    created,
    listed,
    problems,
    tagged,
)
from app.web.deps import Reader, Writer

router = api_router("datacenters")


class DatacenterList(ListQuery, Exported):
    """Filters of the list."""


@router.get(
    "/datacenters", name="datacenter.list", response_model=Page[DatacenterRecord], responses=problems()
)
def list_datacenters(request: Request, query: Annotated[DatacenterList, Query()], ctx: Reader) -> Response:
    """All datacenters."""
    return listed(request, ctx, query, datacenters.list_datacenters, DatacenterRecord)


@router.post(
    "/datacenters",
    name="datacenter.create",
    status_code=201,
    response_model=DatacenterRecord,
    responses=problems(409, 413),
)
def create_datacenter(spec: DatacenterSpec, ctx: Writer, repeat: Once) -> Response:
    """Make a datacenter."""

    def act() -> Response:
        datacenter = datacenters.create_datacenter(ctx, spec)
        return created(datacenter, f"/datacenters/{datacenter.id}", datacenter.version)

    return repeat.once(ctx, act)


@router.get(
    "/datacenters/{id}", name="datacenter.show", response_model=DatacenterRecord, responses=problems(404)
)
def show_datacenter(id: ObjectPath, ctx: Reader) -> Response:
    """One datacenter."""
    found = datacenters.show_datacenter(ctx, id)
    return tagged(found, found.version)


@router.patch(
    "/datacenters/{id}",
    name="datacenter.update",
    response_model=DatacenterRecord,
    responses=problems(404, 409, 412, 413),
)
def update_datacenter(id: ObjectPath, spec: DatacenterSpec, ctx: Writer, version: IfMatch) -> Response:
    """Rename a datacenter."""
    changed = datacenters.update_datacenter(ctx, id, spec, version)
    return tagged(changed, changed.version)


@router.delete("/datacenters/{id}", name="datacenter.delete", status_code=204, responses=problems(404, 409))
def delete_datacenter(id: ObjectPath, ctx: Writer) -> Response:
    """Delete an empty datacenter."""
    datacenters.delete_datacenter(ctx, id)
    return Response(status_code=204)
