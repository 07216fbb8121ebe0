"""Pages of networks."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from app.core.networks import NetworkQuery
from app.services import networks
from app.web.deps import PageId, Reader, SignedRouter
from app.web.pages import lists
from app.web.pages.render import render
from app.web.pages.tables import NETWORKS

router = SignedRouter(include_in_schema=False)


@router.get("/networks")
def network_list(request: Request, ctx: Reader) -> Response:
    """The list of networks."""
    query = lists.asked(request, NetworkQuery)
    view = lists.view(request, NETWORKS, networks.list_networks(ctx, query), query)
    return lists.show(request, ctx, "networks/list.html", view)


@router.get("/networks.csv")
def network_csv(request: Request, ctx: Reader) -> Response:
    """The list of networks for spreadsheets."""
    return lists.as_csv(ctx, NETWORKS, lists.asked(request, NetworkQuery), networks.list_networks)


@router.get("/networks/{id}")
def network(request: Request, id: PageId, ctx: Reader) -> Response:
    """One network."""
    return render(request, ctx, "networks/show.html", network=networks.show_network(ctx, id))
