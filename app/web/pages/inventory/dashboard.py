"""The overview: the first page."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from app.services.inventory import dashboard
from app.web.deps import Reader, SignedRouter
from app.web.pages.rendering.render import render

router = SignedRouter(include_in_schema=False)


@router.get("/")
def show_dashboard(request: Request, ctx: Reader) -> Response:
    """How much there is, how much is used, and what needs a look."""
    return render(request, ctx, "inventory/dashboard.html", overview=dashboard.overview(ctx))


@router.get("/overview/body")
def overview_part(request: Request, ctx: Reader) -> Response:
    """The same without the page around it, for live updates."""
    return render(request, ctx, "inventory/_dashboard.html", overview=dashboard.overview(ctx))
