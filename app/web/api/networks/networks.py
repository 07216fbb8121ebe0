"""Virtual networks of hosts: look at, create, change, start, stop, delete, copy; the same name across the fleet."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from app.core.networks.records import (
    LogicalNetworkHost,
    LogicalNetworkRecord,
    MacConflict,
    NetworkBatch,
    NetworkDetail,
    NetworkRecord,
)
from app.core.networks.specs import (
    LogicalNetworkHostsQuery,
    NetworkCopy,
    NetworkPatch,
    NetworkQuery,
    NetworkSpec,
)
from app.core.records import Page
from app.core.specs import ListQuery
from app.core.tasks.records import TaskRecord
from app.services.networks import change, create, lifecycle, logical_networks, mac_conflicts, networks
from app.web.api.shapes import (
    Exported,
    IfMatch,
    ObjectPath,
    Once,
    accepted,
    accepted_batch,
    api_router,
    listed,
    problems,
    tagged,
)
from app.web.deps import Reader, Writer

router = api_router("networks")


class NetworkList(NetworkQuery, Exported):
    """Filters of the list."""


@router.get("/networks", name="network.list", response_model=Page[NetworkRecord], responses=problems())
def list_networks(request: Request, query: Annotated[NetworkList, Query()], ctx: Reader) -> Response:
    """Networks as last seen, on all hosts."""
    return listed(request, ctx, query, networks.list_networks, NetworkRecord)


@router.post(
    "/networks",
    name="network.create",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(409, 413),
)
def create_network(spec: NetworkSpec, ctx: Writer, repeat: Once) -> Response:
    """Make a network on a host, and start it."""
    return repeat.once(ctx, lambda: accepted(create.create_network(ctx, spec)))


class LogicalNetworkList(ListQuery, Exported):
    """Filters of the list."""


@router.get(
    "/logical-networks",
    name="network.logical",
    response_model=Page[LogicalNetworkRecord],
    responses=problems(),
)
def list_logical_networks(
    request: Request, query: Annotated[LogicalNetworkList, Query()], ctx: Reader
) -> Response:
    """Names of networks across the fleet: on how many hosts, and where they differ."""
    return listed(request, ctx, query, logical_networks.list_logical_networks, LogicalNetworkRecord)


class LogicalNetworkHostList(LogicalNetworkHostsQuery, Exported):
    """Filters of the list."""


@router.get(
    "/logical-networks/hosts",
    name="network.logical-hosts",
    response_model=Page[LogicalNetworkHost],
    responses=problems(404),
)
def list_logical_network_hosts(
    request: Request, query: Annotated[LogicalNetworkHostList, Query()], ctx: Reader
) -> Response:
    """All hosts, each with the network of one name that it has or lacks."""
    return listed(request, ctx, query, logical_networks.list_logical_network_hosts, LogicalNetworkHost)


@router.get(
    "/mac-conflicts",
    name="network.mac-conflicts",
    response_model=Page[MacConflict],
    responses=problems(),
)
def list_mac_conflicts(query: Annotated[ListQuery, Query()], ctx: Reader) -> Page[MacConflict]:
    """MAC addresses that more than one VM has."""
    return mac_conflicts.list_mac_conflicts(ctx, query)


@router.get("/networks/{id}", name="network.show", response_model=NetworkDetail, responses=problems(404))
def show_network(id: ObjectPath, ctx: Reader) -> Response:
    """One network with its definition, leases and users."""
    found = networks.show_network(ctx, id)
    return tagged(found, found.version)


@router.patch(
    "/networks/{id}",
    name="network.change",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 412, 413),
)
def change_network(id: ObjectPath, patch: NetworkPatch, ctx: Writer, version: IfMatch) -> Response:
    """Change a network; what is left out stays. Live where libvirt can, else after it restarts."""
    return accepted(change.change_network(ctx, id, patch, version))


@router.delete(
    "/networks/{id}",
    name="network.delete",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409),
)
def delete_network(id: ObjectPath, ctx: Writer) -> Response:
    """Stop a network and remove its definition; refused while VMs are plugged into it."""
    return accepted(lifecycle.delete_network(ctx, id))


@router.post(
    "/networks/{id}/actions/start",
    name="network.start",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409),
)
def start_network(id: ObjectPath, ctx: Writer, repeat: Once) -> Response:
    """Start a network."""
    return repeat.once(ctx, lambda: accepted(lifecycle.start_network(ctx, id)))


@router.post(
    "/networks/{id}/actions/stop",
    name="network.stop",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409),
)
def stop_network(id: ObjectPath, ctx: Writer, repeat: Once) -> Response:
    """Stop a network; refused while running VMs are plugged into it."""
    return repeat.once(ctx, lambda: accepted(lifecycle.stop_network(ctx, id)))


@router.post(
    "/networks/{id}/actions/copy",
    name="network.copy",
    status_code=202,
    response_model=NetworkBatch,
    responses=problems(404, 409, 413),
)
def copy_network(id: ObjectPath, spec: NetworkCopy, ctx: Writer, repeat: Once) -> Response:
    """Make the same network on other hosts: a task for each, a reason for each that cannot have it."""
    return repeat.once(ctx, lambda: accepted_batch(create.copy_network(ctx, id, spec)))


@router.get(
    "/networks/{id}/xml",
    name="network.xml",
    response_class=Response,
    responses=problems(404)
    | {
        200: {
            "description": "The definition.",
            "content": {"application/xml": {"schema": {"type": "string"}}},
        }
    },
)
def show_xml(id: ObjectPath, ctx: Reader, live: bool = False) -> Response:
    """The lasting definition of a network, or with `live` what runs."""
    return Response(networks.xml_of(ctx, id, live=live), media_type="application/xml")
