"""Network filters of hosts: look at, create, change, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from app.core.networks.nwfilters import (
    NwfilterDetail,
    NwfilterPatch,
    NwfilterQuery,
    NwfilterRecord,
    NwfilterSpec,
)
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


class NwfilterList(NwfilterQuery, Exported):
    """Filters of the list."""


@router.get("/nwfilters", name="nwfilter.list", response_model=Page[NwfilterRecord], responses=problems())
def list_nwfilters(request: Request, query: Annotated[NwfilterList, Query()], ctx: Reader) -> Response:
    """Network filters as last seen, on all hosts."""
    return listed(request, ctx, query, nwfilters.list_nwfilters, NwfilterRecord)


@router.post(
    "/nwfilters",
    name="nwfilter.create",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(409, 413),
)
def create_nwfilter(spec: NwfilterSpec, ctx: Writer, repeat: Once) -> Response:
    """Make a network filter on a host."""
    return repeat.once(ctx, lambda: accepted(create.create_nwfilter(ctx, spec)))


@router.get("/nwfilters/{id}", name="nwfilter.show", response_model=NwfilterDetail, responses=problems(404))
def show_nwfilter(id: ObjectPath, ctx: Reader) -> Response:
    """One network filter with its rules and users."""
    found = nwfilters.show_nwfilter(ctx, id)
    return tagged(found, found.version)


@router.patch(
    "/nwfilters/{id}",
    name="nwfilter.change",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 412, 413),
)
def change_nwfilter(id: ObjectPath, patch: NwfilterPatch, ctx: Writer, version: IfMatch) -> Response:
    """Change a network filter; interfaces that use it follow at once."""
    return accepted(change.change_nwfilter(ctx, id, patch, version))


@router.delete(
    "/nwfilters/{id}",
    name="nwfilter.delete",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409),
)
def delete_nwfilter(id: ObjectPath, ctx: Writer) -> Response:
    """Remove a network filter; refused while VMs or other filters use it."""
    return accepted(delete.delete_nwfilter(ctx, id))


@router.get(
    "/nwfilters/{id}/xml",
    name="nwfilter.xml",
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
    """The definition of a network filter as its host last gave it."""
    return Response(nwfilters.xml_of(ctx, id), media_type="application/xml")
