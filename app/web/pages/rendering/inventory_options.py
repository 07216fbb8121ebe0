"""Options of select fields that name hosts, datacenters or credentials: (id, name) pairs."""

from __future__ import annotations

from app.access.context import Ctx
from app.core.hosts.specs import HostQuery
from app.core.hosts.states import HostMode
from app.core.specs import MAX_LIMIT, ListQuery
from app.services.hosts import credentials, hosts
from app.services.inventory import datacenters

Options = list[tuple[str, str]]


def credential_options(ctx: Ctx) -> Options:
    """The saved credentials, for those who may see them."""
    if not ctx.can("credential.view"):
        return []
    return [
        (item.id, item.name) for item in credentials.list_credentials(ctx, ListQuery(limit=MAX_LIMIT)).items
    ]


def datacenter_options(ctx: Ctx) -> Options:
    """All datacenters."""
    return [
        (item.id, item.name) for item in datacenters.list_datacenters(ctx, ListQuery(limit=MAX_LIMIT)).items
    ]


def host_options(ctx: Ctx) -> Options:
    """Hosts that take work, the first few hundred by name."""
    query = HostQuery(limit=MAX_LIMIT, mode=HostMode.MANAGED)
    return [(item.id, item.name) for item in hosts.list_hosts(ctx, query).items if item.connection.is_usable]
