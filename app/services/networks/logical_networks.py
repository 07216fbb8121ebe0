"""Networks of the same name across the fleet: on which hosts there is one, and where it is not as on most.

What counts as the same: mode, bridge, addresses, VLAN and MTU. The groups are counted in SQL; only the names of
one part of the list are looked at more closely.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import visible
from app.access.paging import Order, mentions, page
from app.core.errors import NotFound
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.networks.records import LogicalNetworkHost, LogicalNetworkRecord
from app.core.networks.specs import LogicalNetworkHostsQuery
from app.core.records import Page, Ref
from app.core.specs import ListQuery
from app.db.models import Host, Network
from app.inventory.staleness import is_stale

ADDRESSES = sa.cast(Network.addresses, sa.Text)
FIELDS: dict[str, sa.ColumnElement[str] | sa.ColumnElement[int]] = {
    "mode": sa.cast(Network.forward_mode, sa.Text),
    "bridge": sa.cast(Network.bridge, sa.Text),
    "addresses": ADDRESSES,
    "vlan": sa.cast(Network.vlan, sa.Text),
    "mtu": sa.cast(Network.mtu, sa.BigInteger),
}
Shape = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Majority:
    """What a network of a name is on most hosts, and on how many it is otherwise."""

    shape: Shape
    variants: int
    differing: int
    sample_id: str

    @property
    def addresses(self) -> list[str]:
        """The addresses on most hosts."""
        return [str(address) for address in json.loads(str(self.of("addresses")))]

    def of(self, field: str) -> object:
        """The value of one field on most hosts."""
        return self.shape[list(FIELDS).index(field)]


def list_logical_networks(ctx: Ctx, params: ListQuery) -> Page[LogicalNetworkRecord]:
    """The names of networks, with how many hosts have one and where they differ."""
    query = sa.select(
        Network.name,
        sa.func.count().label("hosts"),
        sa.func.sum(sa.case((Network.active, 1), else_=0)).label("active"),
    ).group_by(Network.name)
    if params.q:
        query = query.where(mentions((Network.name,), params.q))
    names = visible(ctx, query, Network, "network.view").subquery()
    order = Order(
        {"name": names.c.name, "hosts": names.c.hosts, "active": names.c.active},
        default="name",
        unique=names.c.name,
    )
    found = sa.select(names.c.name, names.c.hosts, names.c.active)
    without_q = params.model_copy(update={"q": None})
    return page(ctx, found, without_q, order, lambda rows: _records(ctx, rows))


def list_logical_network_hosts(ctx: Ctx, params: LogicalNetworkHostsQuery) -> Page[LogicalNetworkHost]:
    """The hosts, each with the network of the name that it has or lacks. Raises NotFound when no host has one."""
    most = majority_of(ctx, params.name)
    query = sa.select(Host, Network).outerjoin(
        Network, sa.and_(Network.host_id == Host.id, Network.name == params.name)
    )
    if params.show == "missing":
        query = query.where(Network.id.is_(None))
    elif params.show == "differs":
        query = query.where(Network.id.is_not(None), _differs(most))
    elif params.show == "inactive":
        query = query.where(Network.active.is_(False))
    if params.q:
        query = query.where(mentions((Host.name,), params.q))
    query = visible(ctx, query, Host, "network.view")
    return page(ctx, query, params, PLACES, lambda rows: [_place(ctx, most, *row) for row in rows])


PLACES = Order({"host": Host.name_key}, default="host", unique=Host.id)


def majority_of(ctx: Ctx, name: str) -> Majority:
    """What networks of the name are on most hosts. Raises NotFound when no host has one."""
    found = _majorities(ctx, [name]).get(name)
    if found is None:
        raise NotFound(N_("No host has a network of this name."))
    return found


def _records(ctx: Ctx, rows: Sequence[tuple[str, int, int]]) -> list[LogicalNetworkRecord]:
    most = _majorities(ctx, [row[0] for row in rows])
    counted = sa.select(sa.func.count()).select_from(Host)
    hosts = ctx.session.scalar(visible(ctx, counted, Host, "host.view")) or 0
    found = []
    for name, count, active in rows:
        usual = most[name]
        found.append(
            LogicalNetworkRecord(
                name=name,
                hosts=count,
                missing=max(0, hosts - count),
                active=int(active),
                differing=usual.differing,
                variants=usual.variants,
                mode=usual.of("mode"),
                bridge=usual.of("bridge"),
                addresses=usual.addresses,
                vlan=usual.of("vlan"),
                mtu=usual.of("mtu"),
                sample_id=usual.sample_id,
            )
        )
    return found


def _majorities(ctx: Ctx, names: Iterable[str]) -> dict[str, Majority]:
    """The most frequent shape of each name; of equals the one of the oldest network."""
    count = sa.func.count().label("networks")
    query = sa.select(Network.name, *FIELDS.values(), count, sa.func.min(Network.id).label("sample"))
    query = query.where(Network.name.in_(list(names))).group_by(Network.name, *FIELDS.values())
    shapes: dict[str, list[tuple[int, str, Shape]]] = defaultdict(list)
    for row in ctx.session.execute(visible(ctx, query, Network, "network.view")):
        shapes[row.name].append((row.networks, row.sample, tuple(row[1:-2])))
    found = {}
    for name, variants in shapes.items():
        most, sample, shape = min(variants, key=lambda item: (-item[0], item[1]))
        total = sum(number for number, _, _ in variants)
        found[name] = Majority(shape, len(variants), total - most, sample)
    return found


def _differs(most: Majority) -> sa.ColumnElement[bool]:
    return sa.or_(*(column.is_distinct_from(most.of(field)) for field, column in FIELDS.items()))


def _place(ctx: Ctx, most: Majority, host: Host, network: Network | None) -> LogicalNetworkHost:
    ref = Ref(kind=ObjectKind.HOST, id=host.id, name=host.name)
    stale = is_stale(ctx, host.connection, host.observed_at)
    if network is None:
        return LogicalNetworkHost(host=ref, stale=stale)
    shape = {
        "mode": network.forward_mode,
        "bridge": network.bridge,
        "addresses": network.addresses,
        "vlan": network.vlan,
        "mtu": network.mtu,
    }
    usual = {field: most.of(field) for field in FIELDS} | {"addresses": most.addresses}
    return LogicalNetworkHost(
        host=ref,
        stale=stale,
        network_id=network.id,
        active=network.active,
        differs=[field for field in FIELDS if shape[field] != usual[field]],
        **shape,
    )
