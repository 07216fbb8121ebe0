"""Traffic filters of hosts: look at, create, change, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from app.core.networks.nwfilters import FilterDetail, FilterPatch, FilterQuery, FilterRecord, FilterSpec
from app.core.records import Page
from app.core.tasks.records import TaskRecord
from app.services.networks.nwfilters import change, create, delete, nwfilters
from app.web.api.shapes import (
    Exported,
    IfMatch,
    ObjectPath,
    Once,
    accepted,
    api_router,
    listed,
    problems,
    tagged,
)
from app.web.deps import Reader, Writer

router = api_router("networks")


class FilterList(FilterQuery, Exported):
    """Filters of the list."""


@router.get("/filters", name="filter.list", response_model=Page[FilterRecord], responses=problems())
def list_filters(request: Request, query: Annotated[FilterList, Query()], ctx: Reader) -> Response:
    """Traffic filters as last seen, on all hosts."""
    return listed(request, ctx, query, nwfilters.list_filters, FilterRecord)


@router.post(
    "/filters",
    name="filter.create",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(409, 413),
)
def create_filter(spec: FilterSpec, ctx: Writer, repeat: Once) -> Response:
    """Make a traffic filter on a host."""
    return repeat.once(ctx, lambda: accepted(create.create_filter(ctx, spec)))


@router.get("/filters/{id}", name="filter.show", response_model=FilterDetail, responses=problems(404))
def show_filter(id: ObjectPath, ctx: Reader) -> Response:
    """One traffic filter with its rules and users."""
    found = nwfilters.show_filter(ctx, id)
    return tagged(found, found.version)


@router.patch(
    "/filters/{id}",
    name="filter.change",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 412, 413),
)
def change_filter(id: ObjectPath, patch: FilterPatch, ctx: Writer, version: IfMatch) -> Response:
    """Change a traffic filter; interfaces that use it follow at once."""
    return accepted(change.change_filter(ctx, id, patch, version))


@router.delete(
    "/filters/{id}",
    name="filter.delete",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409),
)
def delete_filter(id: ObjectPath, ctx: Writer) -> Response:
    """Remove a traffic filter; refused while VMs or other filters use it."""
    return accepted(delete.delete_filter(ctx, id))


@router.get(
    "/filters/{id}/xml",
    name="filter.xml",
    response_class=Response,
    responses=problems(404)
    | {
        200: {
            "description": "The definition.",
            "content": {"application/xml": {"schema": {"type": "string"}}},
        }
    },
)
def show_xml(id: ObjectPath, ctx: Reader) -> Response:
    """The definition of a traffic filter as its host last gave it."""
    return Response(nwfilters.xml_of(ctx, id), media_type="application/xml")
