"""The page of MAC addresses that more than one VM has."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from app.core.specs import ListQuery
from app.services.networks import mac_conflicts
from app.web.deps import Reader, SignedRouter
from app.web.pages.networks.network_tables import MAC_CONFLICTS
from app.web.pages.rendering import list_view

router = SignedRouter(include_in_schema=False)


@router.get("/networks/mac-conflicts")
def mac_list(request: Request, ctx: Reader) -> Response:
    """MAC addresses that more than one VM has."""
    query = list_view.query_of(request, ListQuery)
    view = list_view.view(request, MAC_CONFLICTS, mac_conflicts.list_mac_conflicts(ctx, query), query)
    return list_view.show(request, ctx, "networks/list.html", view, tab="macs")
