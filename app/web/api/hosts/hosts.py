"""Hosts: look at, add, edit, confirm, forget."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from app.access.context import Ctx
from app.core.hosts.records import HostCheck, HostDetail, HostRecord
from app.core.hosts.specs import HostPatch, HostQuery, HostSpec, HostTarget, IdentitySpec
from app.core.records import Page
from app.services.hosts import hosts
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
from app.web.deps import HostCaller, Reader, Writer

router = api_router("hosts")


class HostList(HostQuery, Exported):
    """Filters of the list."""


@router.get("/hosts", name="host.list", response_model=Page[HostRecord], responses=problems())
def list_hosts(request: Request, query: Annotated[HostList, Query()], ctx: Reader) -> Response:
    """Registered hosts as last seen."""
    return listed(request, ctx, query, hosts.list_hosts, HostRecord)


@router.post("/hosts/probe", name="host.probe", responses=problems(404, 409, 413))
def check_host(target: HostTarget, visitor: HostCaller) -> HostCheck:
    """Look at a host before adding it: identity, hardware and compatibility. Nothing is kept.

    Without `fingerprint` the answer is 409 with the identity that the host shows, and no credential is sent.
    """
    return hosts.check_host(visitor.services, visitor.actor, visitor.translate, target)


@router.post(
    "/hosts", name="host.add", status_code=201, response_model=HostDetail, responses=problems(404, 409, 413)
)
def add_host(spec: HostSpec, visitor: HostCaller, repeat: Once) -> Response:
    """Add a host by its URI or its fields.

    Without `fingerprint` the answer is 409 with the identity that the host shows: compare it, and send it back.
    """
    database = visitor.services.database
    with database.read() as session:
        earlier = repeat.earlier(Ctx(visitor.services, session, visitor.actor, visitor.translate))
    if earlier is not None:
        return earlier
    added = hosts.add_host(visitor.services, visitor.actor, visitor.translate, spec)
    answer = created(added, f"/hosts/{added.id}", added.version)
    with database.begin() as session:
        return repeat.keep(Ctx(visitor.services, session, visitor.actor, visitor.translate), answer)


@router.get("/hosts/{id}", name="host.show", response_model=HostDetail, responses=problems(404))
def show_host(id: ObjectPath, ctx: Reader) -> Response:
    """One host with hardware and compatibility report."""
    found = hosts.show_host(ctx, id)
    return tagged(found, found.version)


@router.patch(
    "/hosts/{id}", name="host.update", response_model=HostDetail, responses=problems(404, 409, 412, 413)
)
def update_host(id: ObjectPath, patch: HostPatch, ctx: Writer, version: IfMatch) -> Response:
    """Change a host's name, place, address, mode, tags or notes; what is left out stays."""
    changed = hosts.update_host(ctx, id, patch, version)
    return tagged(changed, changed.version)


@router.delete("/hosts/{id}", name="host.remove", status_code=204, responses=problems(404, 409))
def remove_host(id: ObjectPath, ctx: Writer) -> Response:
    """Forget a host and what was seen on it. The host itself and its VMs are not touched."""
    hosts.remove_host(ctx, id)
    return Response(status_code=204)


@router.post(
    "/hosts/{id}/actions/confirm-identity",
    name="host.trust",
    response_model=HostDetail,
    responses=problems(404, 409, 413),
)
def confirm_identity(id: ObjectPath, spec: IdentitySpec, ctx: Writer, repeat: Once) -> Response:
    """Confirm the new identity of a host whose key or certificate has changed."""

    def act() -> Response:
        changed = hosts.confirm_identity(ctx, id, spec)
        return tagged(changed, changed.version)

    return repeat.once(ctx, act)


@router.post(
    "/hosts/{id}/actions/reconnect",
    name="host.reconnect",
    response_model=HostDetail,
    responses=problems(404, 409),
)
def reconnect(id: ObjectPath, ctx: Writer, repeat: Once) -> Response:
    """Try at once to reach a host, instead of at the next attempt."""

    def act() -> Response:
        changed = hosts.reconnect(ctx, id)
        return tagged(changed, changed.version)

    return repeat.once(ctx, act)
