"""The inventory tree."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from app.core.inventory.records import TreeNode
from app.core.inventory.specs import TreeQuery
from app.core.records import Record
from app.services.inventory import tree
from app.web.api.shapes import ObjectPath, api_router, problems
from app.web.deps import Reader

router = api_router("dashboard")


class Nodes(Record):
    """Nodes of the inventory tree."""

    items: list[TreeNode]


@router.get("/tree", name="tree.children", responses=problems(404))
def list_children(query: Annotated[TreeQuery, Query()], ctx: Reader) -> Nodes:
    """The children of a node of the inventory tree, or its roots."""
    return Nodes(items=tree.children(ctx, query))


@router.get("/tree/{id}/path", name="tree.path", responses=problems(404))
def show_path(id: ObjectPath, ctx: Reader) -> Nodes:
    """The nodes from a root of the tree down to the object."""
    return Nodes(items=tree.path_to(ctx, id))
