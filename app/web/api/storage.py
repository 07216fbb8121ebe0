"""Storage pools and their volumes."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from app.core.records import Page, PoolRecord, VolumeRecord
from app.core.specs import PoolQuery, VolumeQuery
from app.services import storage
from app.web.api.shapes import Exported, ObjectPath, api_router, listed, problems
from app.web.deps import Reader

router = api_router("storage")


class PoolList(PoolQuery, Exported):
    """Filters of the list."""


class VolumeList(VolumeQuery, Exported):
    """Filters of the list."""


@router.get("/pools", name="pool.list", response_model=Page[PoolRecord], responses=problems())
def list_pools(request: Request, query: Annotated[PoolList, Query()], ctx: Reader) -> Response:
    """Storage pools as last seen, on all hosts."""
    return listed(request, ctx, query, storage.list_pools, PoolRecord)


@router.get("/pools/{id}", name="pool.show", responses=problems(404))
def show_pool(id: ObjectPath, ctx: Reader) -> PoolRecord:
    """One storage pool."""
    return storage.show_pool(ctx, id)


@router.get("/volumes", name="volume.list", response_model=Page[VolumeRecord], responses=problems())
def list_volumes(request: Request, query: Annotated[VolumeList, Query()], ctx: Reader) -> Response:
    """Volumes as last seen, in all pools."""
    return listed(request, ctx, query, storage.list_volumes, VolumeRecord)
