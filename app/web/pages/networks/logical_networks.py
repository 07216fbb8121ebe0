"""Pages of networks across the fleet: names, the hosts of one name, copying to other hosts, duplicate addresses."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from app.core.errors import InvalidInput
from app.core.messages import N_
from app.core.networks.specs import LogicalNetworkHostsQuery, NetworkCopy
from app.core.specs import MAX_LIMIT, ListQuery
from app.services.networks import logical_networks, mac_conflicts, networks
from app.services.networks.create import copy_network
from app.web.deps import PageId, Reader, SignedRouter, Writer
from app.web.pages.networks.network_tables import FIELD_TITLES, MAC_CONFLICTS, NAMES, PLACES
from app.web.pages.rendering import list_view
from app.web.pages.rendering.forms import Posted
from app.web.pages.rendering.render import render

router = SignedRouter(include_in_schema=False)


@router.get("/networks/logical")
def name_list(request: Request, ctx: Reader) -> Response:
    """The names of networks across the fleet."""
    query = list_view.query_of(request, ListQuery)
    view = list_view.view(request, NAMES, logical_networks.list_names(ctx, query), query)
    return list_view.show(request, ctx, "networks/list.html", view, tab="names")


@router.get("/networks/logical.csv")
def name_csv(request: Request, ctx: Reader) -> Response:
    """The names for spreadsheets."""
    return list_view.as_csv(ctx, NAMES, list_view.query_of(request, ListQuery), logical_networks.list_names)


@router.get("/networks/{id}/hosts")
def place_list(request: Request, id: PageId, ctx: Reader) -> Response:
    """The hosts of the network's name: which have it, which lack it, where it is different."""
    network = networks.show_network(ctx, id)
    query = list_view.query_of(request, LogicalNetworkHostsQuery, name=network.name)
    most = logical_networks.majority_of(ctx, network.name)
    page = logical_networks.list_places(ctx, query)
    view = list_view.view(
        request, PLACES, page, query, base=f"/networks/{id}/hosts", fixed={"name": network.name}
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


@router.get("/networks/mac-conflicts")
def mac_list(request: Request, ctx: Reader) -> Response:
    """MAC addresses that more than one VM has."""
    query = list_view.query_of(request, ListQuery)
    view = list_view.view(request, MAC_CONFLICTS, mac_conflicts.list_mac_conflicts(ctx, query), query)
    return list_view.show(request, ctx, "networks/list.html", view, tab="macs")


@router.get("/networks/{id}/copy")
def ask(request: Request, id: PageId, ctx: Reader) -> Response:
    """The hosts that lack the network, to choose from."""
    ctx.require("network.edit")
    network = networks.show_network(ctx, id)
    query = LogicalNetworkHostsQuery(name=network.name, show="missing", limit=MAX_LIMIT)
    places = logical_networks.list_places(ctx, query)
    return render(request, ctx, "networks/copy.html", network=network, places=places, result=None)


@router.post("/networks/{id}/copy", name="network.copy")
def copy(request: Request, id: PageId, form: Posted, ctx: Writer) -> Response:
    """Ask for the network on the chosen hosts: says how many started and why others did not."""
    ids = list(dict.fromkeys(form.lists.get("host_ids", [])))
    if not ids:
        raise InvalidInput("host_ids", N_("Choose at least one host first."))
    requested = form.read(NetworkCopy, host_ids=ids, start=form["start"] == "true")
    result = copy_network(ctx, id, requested)
    network = networks.show_network(ctx, id)
    return render(request, ctx, "networks/copy.html", network=network, places=None, result=result)
