"""The whole at a glance: capacity, tree, search."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from app.core.inventory.finding import SearchHit, TreeNode
from app.core.inventory.records import Dashboard
from app.core.inventory.specs import TreeQuery
from app.core.records import Record
from app.services.inventory import dashboard, search, tree
from app.web.api.shapes import ObjectPath, api_router, problems
from app.web.deps import Reader

router = api_router("dashboard")


class Hits(Record):
    """What was found, best first."""

    items: list[SearchHit]


class Nodes(Record):
    """Nodes of the inventory tree."""

    items: list[TreeNode]


@router.get("/capacity", name="capacity.show", responses=problems())
def show_capacity(ctx: Reader) -> Dashboard:
    """Hosts and VMs by state, what is used and allocated of CPU, memory and storage, and what needs attention."""
    return dashboard.show_dashboard(ctx)


@router.get("/search", name="search", responses=problems())
def find(
    ctx: Reader,
    q: Annotated[str, Query(min_length=1, max_length=200, description="Name, address, MAC, UUID or tag.")],
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Hits:
    """Find anything by name, address, MAC, UUID or tag."""
    return Hits(items=search.search(ctx, q, limit=limit))


@router.get("/tree", name="tree.children", responses=problems(404))
def list_children(query: Annotated[TreeQuery, Query()], ctx: Reader) -> Nodes:
    """The children of a node of the inventory tree, or its roots."""
    return Nodes(items=tree.children(ctx, query))


@router.get("/tree/{id}/path", name="tree.path", responses=problems(404))
def show_path(id: ObjectPath, ctx: Reader) -> Nodes:
    """The nodes from a root of the tree down to the object."""
    return Nodes(items=tree.path_to(ctx, id))
