"""Results of the search palette."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from app.services.inventory import search
from app.web.deps import Reader, SignedRouter
from app.web.pages.rendering.render import render

router = SignedRouter(include_in_schema=False)
MOST = 200


@router.get("/search")
def hits(request: Request, ctx: Reader) -> Response:
    """What matches; without a text, where people go most."""
    text = request.query_params.get("q", "").strip()[:MOST]
    if not text:
        return render(request, ctx, "inventory/_search_start.html")
    return render(request, ctx, "inventory/_search_hits.html", text=text, hits=search.search(ctx, text))
