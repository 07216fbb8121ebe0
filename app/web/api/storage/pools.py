"""Storage pools."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from app.core.records import Page
from app.core.storage.pools import PoolPatch, PoolSpec
from app.core.storage.records import PoolRecord
from app.core.storage.specs import PoolQuery
from app.core.tasks.records import TaskRecord
from app.services.storage.pools import change, create, pools
from app.services.storage.pools.lifecycle import delete_pool, start_pool, stop_pool
from app.services.storage.pools.refresh import refresh_pool
from app.services.storage.pools.verify_shared import verify_shared
from app.web.api.shapes import Exported, ObjectPath, Once, accepted, api_router, listed, problems
from app.web.deps import Reader, Writer

router = api_router("storage")


class PoolList(PoolQuery, Exported):
    """Filters of the list."""


@router.get("/pools", name="pool.list", response_model=Page[PoolRecord], responses=problems())
def list_pools(request: Request, query: Annotated[PoolList, Query()], ctx: Reader) -> Response:
    """Storage pools as last seen, on all hosts."""
    return listed(request, ctx, query, pools.list_pools, PoolRecord)


@router.get("/pools/{id}", name="pool.show", responses=problems(404))
def show_pool(id: ObjectPath, ctx: Reader) -> PoolRecord:
    """One storage pool."""
    return pools.show_pool(ctx, id)


@router.post(
    "/pools",
    name="pool.create",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def create_pool(spec: PoolSpec, ctx: Writer, repeat: Once) -> Response:
    """Define a storage pool on a host, of any kind that its libvirt has."""
    return repeat.once(ctx, lambda: accepted(create.create_pool(ctx, spec)))


@router.patch(
    "/pools/{id}",
    name="pool.change",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def change_pool(id: ObjectPath, patch: PoolPatch, ctx: Writer) -> Response:
    """Have a pool started with its host, or not."""
    return accepted(change.change_pool(ctx, id, patch))


@router.post(
    "/pools/{id}/actions/{verb}",
    name="pool.act",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def act(
    id: ObjectPath,
    verb: Literal["start", "stop", "refresh", "verify-shared", "delete"],
    ctx: Writer,
    repeat: Once,
) -> Response:
    """Start, stop, refresh, verify that it is shared, or delete the definition; what a pool holds stays."""
    services = {
        "start": start_pool,
        "stop": stop_pool,
        "refresh": refresh_pool,
        "verify-shared": verify_shared,
        "delete": delete_pool,
    }
    return repeat.once(ctx, lambda: accepted(services[verb](ctx, id)))
