"""The page that copies a network to other hosts."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from app.core.errors import InvalidInput
from app.core.messages import N_
from app.core.networks.specs import LogicalNetworkHostsQuery, NetworkCopy
from app.core.specs import MAX_LIMIT
from app.services.networks import logical_networks, networks
from app.services.networks.create import copy_network
from app.web.deps import PageId, Reader, SignedRouter, Writer
from app.web.pages.rendering.forms import Posted
from app.web.pages.rendering.render import render

router = SignedRouter(include_in_schema=False)


@router.get("/networks/{id}/copy")
def ask(request: Request, id: PageId, ctx: Reader) -> Response:
    """The hosts that lack the network, to choose from."""
    ctx.require("network.edit")
    network = networks.show_network(ctx, id)
    query = LogicalNetworkHostsQuery(name=network.name, show="missing", limit=MAX_LIMIT)
    hosts = logical_networks.list_logical_network_hosts(ctx, query)
    return render(request, ctx, "networks/copy.html", network=network, hosts=hosts, result=None)


@router.post("/networks/{id}/copy", name="network.copy")
def copy(request: Request, id: PageId, form: Posted, ctx: Writer) -> Response:
    """Ask for the network on the chosen hosts: says how many started and why others did not."""
    ids = list(dict.fromkeys(form.lists.get("host_ids", [])))
    if not ids:
        raise InvalidInput("host_ids", N_("Choose at least one host first."))
    requested = form.read(NetworkCopy, host_ids=ids, start=form["start"] == "true")
    result = copy_network(ctx, id, requested)
    network = networks.show_network(ctx, id)
    return render(request, ctx, "networks/copy.html", network=network, hosts=None, result=result)
