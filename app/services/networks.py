"""Virtual networks, as hosts last showed them."""

from __future__ import annotations

import sqlalchemy as sa

from app.core.errors import NotFound
from app.core.messages import N_
from app.core.records import NetworkRecord, Page
from app.core.specs import PoolQuery
from app.db.models import Host, Network
from app.services.context import Ctx
from app.services.paging import Order, mentions, page
from app.services.seen import is_stale

ORDER = Order(
    {"name": Network.name, "host": Host.name_key, "mode": Network.forward_mode},
    default="name",
    unique=Network.id,
)


def list_networks(ctx: Ctx, asked: PoolQuery) -> Page[NetworkRecord]:
    """The networks of all hosts, or of one."""
    query = ctx.visible(sa.select(Network, Host).join(Host, Host.id == Network.host_id), "network.view")
    if asked.host:
        query = query.where(Network.host_id == asked.host)
    if asked.q:
        query = query.where(mentions((Network.name, Network.bridge), asked.q))
    return page(ctx, query, asked, ORDER, lambda rows: [_record(ctx, *row) for row in rows])


def show_network(ctx: Ctx, network_id: str) -> NetworkRecord:
    """One network. Raises NotFound."""
    query = sa.select(Network, Host).join(Host, Host.id == Network.host_id).where(Network.id == network_id)
    row = ctx.session.execute(ctx.visible(query, "network.view")).one_or_none()
    if row is None:
        raise NotFound(N_("There is no such network."))
    return _record(ctx, row[0], row[1])


def _record(ctx: Ctx, network: Network, host: Host) -> NetworkRecord:
    copied = {name: getattr(network, name) for name in NetworkRecord.model_fields if hasattr(network, name)}
    return NetworkRecord(
        **copied,
        host_name=host.name,
        stale=is_stale(ctx, host.state, host.observed_at),
        observed_at=host.observed_at,
    )
