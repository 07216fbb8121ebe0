"""Pages of logical networks: networks of one name across the fleet, and the hosts of one name."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from app.core.networks.specs import LogicalNetworkHostsQuery
from app.core.specs import ListQuery
from app.services.networks import logical_networks, networks
from app.web.deps import PageId, Reader, SignedRouter
from app.web.pages.networks.network_tables import FIELD_TITLES, LOGICAL_NETWORK_HOSTS, LOGICAL_NETWORKS
from app.web.pages.rendering import list_view

router = SignedRouter(include_in_schema=False)


@router.get("/networks/logical")
def logical_network_list(request: Request, ctx: Reader) -> Response:
    """The names of networks across the fleet."""
    query = list_view.query_of(request, ListQuery)
    view = list_view.view(
        request, LOGICAL_NETWORKS, logical_networks.list_logical_networks(ctx, query), query
    )
    return list_view.show(request, ctx, "networks/list.html", view, tab="names")


@router.get("/networks/logical.csv")
def logical_network_csv(request: Request, ctx: Reader) -> Response:
    """The names for spreadsheets."""
    return list_view.as_csv(
        ctx, LOGICAL_NETWORKS, list_view.query_of(request, ListQuery), logical_networks.list_logical_networks
    )


@router.get("/networks/{id}/hosts")
def logical_network_hosts(request: Request, id: PageId, ctx: Reader) -> Response:
    """The hosts of the network's name: which have it, which lack it, where it is different."""
    network = networks.show_network(ctx, id)
    query = list_view.query_of(request, LogicalNetworkHostsQuery, name=network.name)
    most = logical_networks.majority_of(ctx, network.name)
    page = logical_networks.list_logical_network_hosts(ctx, query)
    view = list_view.view(
        request,
        LOGICAL_NETWORK_HOSTS,
        page,
        query,
        base=f"/networks/{id}/hosts",
        fixed={"name": network.name},
    )
    return list_view.show(
        request,
        ctx,
        "networks/logical_network_show.html",
        view,
        network=network,
        sample_id=most.sample_id,
        differing=most.differing,
        fields=FIELD_TITLES,
    )
