"""Pages of storage: pools, one pool with its volumes, all volumes."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from app.core.specs import PoolQuery, VolumeQuery
from app.services import storage
from app.web.deps import PageId, Reader, SignedRouter
from app.web.pages import lists
from app.web.pages.tables import POOLS, VOLUMES

router = SignedRouter(include_in_schema=False)


@router.get("/storage")
def pool_list(request: Request, ctx: Reader) -> Response:
    """The list of storage pools."""
    query = lists.asked(request, PoolQuery)
    view = lists.view(request, POOLS, storage.list_pools(ctx, query), query)
    return lists.show(request, ctx, "storage/list.html", view, tab="pools")


@router.get("/storage.csv")
def pool_csv(request: Request, ctx: Reader) -> Response:
    """The list of storage pools for spreadsheets."""
    return lists.as_csv(ctx, POOLS, lists.asked(request, PoolQuery), storage.list_pools)


@router.get("/storage/volumes")
def volume_list(request: Request, ctx: Reader) -> Response:
    """The list of volumes."""
    query = lists.asked(request, VolumeQuery)
    view = lists.view(request, VOLUMES, storage.list_volumes(ctx, query), query)
    return lists.show(request, ctx, "storage/list.html", view, tab="volumes")


@router.get("/storage/volumes.csv")
def volume_csv(request: Request, ctx: Reader) -> Response:
    """The list of volumes for spreadsheets."""
    return lists.as_csv(ctx, VOLUMES, lists.asked(request, VolumeQuery), storage.list_volumes)


@router.get("/storage/{id}")
def pool(request: Request, id: PageId, ctx: Reader) -> Response:
    """One pool and its volumes."""
    shown = storage.show_pool(ctx, id)
    query = lists.asked(request, VolumeQuery, pool=id)
    page = storage.list_volumes(ctx, query)
    view = lists.view(request, VOLUMES, page, query, base=f"/storage/{id}", fixed={"pool": id})
    return lists.show(request, ctx, "storage/pool.html", view, pool=shown)
