"""The inventory tree's nodes, as JSON for its script."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import JSONResponse, Response

from app.core.inventory.specs import TreeQuery
from app.services.inventory import tree
from app.web.deps import Reader, SignedRouter
from app.web.pages.rendering import lists

router = SignedRouter(include_in_schema=False)


@router.get("/tree/children")
def children(request: Request, ctx: Reader) -> Response:
    """The children of a node, or of the root."""
    query = lists.query_of(request, TreeQuery)
    return JSONResponse([node.model_dump(mode="json") for node in tree.children(ctx, query)])


@router.get("/tree/path")
def path(request: Request, ctx: Reader) -> Response:
    """The nodes from the root to an object, so that the tree can open there."""
    return JSONResponse(
        [node.model_dump(mode="json") for node in tree.path_to(ctx, request.query_params.get("id", ""))]
    )
