"""The inventory tree's nodes, as JSON for its script."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import JSONResponse, Response

from app.core.inventory.records import TreeNode
from app.core.inventory.specs import TreeQuery
from app.services.inventory import tree
from app.web.deps import Reader, SignedRouter
from app.web.pages.rendering import list_view
from app.web.pages.rendering.states import tone

router = SignedRouter(include_in_schema=False)


@router.get("/tree/children")
def children(request: Request, ctx: Reader) -> Response:
    """The children of a node, or of the root."""
    query = list_view.query_of(request, TreeQuery)
    return _drawn(tree.children(ctx, query))


@router.get("/tree/path")
def path(request: Request, ctx: Reader) -> Response:
    """The nodes from the root to an object, so that the tree can open there."""
    return _drawn(tree.path_to(ctx, request.query_params.get("id", "")))


def _drawn(nodes: list[TreeNode]) -> Response:
    """The nodes with the tones of their states."""
    return JSONResponse([{**node.model_dump(mode="json"), "tone": tone(node.state)} for node in nodes])
