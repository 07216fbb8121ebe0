"""Which VMs are plugged into which networks, as their definitions say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import visible
from app.core.kinds import ObjectKind
from app.core.networks.records import NetworkUser
from app.core.records import Ref
from app.core.vms.states import VmState
from app.db.models import Network, Vm, VmDefinition
from app.services.networks.definition_nics import JsonColumn, each_nic


def users_of(ctx: Ctx, networks: Iterable[Network]) -> dict[str, list[NetworkUser]]:
    """The VMs of each network, by its id, in the order of their names; those that are missing count too."""
    by_host: dict[str, list[Network]] = defaultdict(list)
    for network in networks:
        by_host[network.host_id].append(network)
    found: dict[str, list[NetworkUser]] = defaultdict(list)
    query = sa.select(
        Vm.id,
        Vm.name,
        Vm.state,
        Vm.host_id,
        VmDefinition.parsed["nics"].label("nics"),
        VmDefinition.saved_parsed["nics"].label("saved_nics"),
    ).join(VmDefinition, VmDefinition.vm_id == Vm.id)
    query = query.where(Vm.host_id.in_(by_host)).order_by(Vm.name_key, Vm.id)
    for row in ctx.session.execute(visible(ctx, query, Vm, "vm.view")):
        for network in by_host[row.host_id]:
            found[network.id] += _uses(row, network)
    return found


def counts_of(ctx: Ctx, networks: Sequence[Network]) -> dict[str, int]:
    """How many VMs each network has now or after their next power-off, by its id; one without VMs is not told."""
    hosts = {network.host_id for network in networks}
    plugs = sa.union(
        *(_plugs_of(ctx, parsed, hosts) for parsed in (VmDefinition.parsed, VmDefinition.saved_parsed))
    )
    plug = plugs.cte("plug").prefix_with("MATERIALIZED")
    named = sa.and_(plug.c.kind == "network", plug.c.source == Network.name)
    bridged = sa.and_(plug.c.kind == "bridge", plug.c.source == Network.bridge)
    query = sa.select(Network.id, sa.func.count(plug.c.vm_id.distinct())).join(
        plug, sa.and_(plug.c.host_id == Network.host_id, sa.or_(named, bridged))
    )
    query = query.where(Network.id.in_([network.id for network in networks])).group_by(Network.id)
    query = visible(ctx, query, Network, "network.view")
    return {row[0]: row[1] for row in ctx.session.execute(query)}


def _plugs_of(ctx: Ctx, parsed: JsonColumn, hosts: Collection[str]) -> sa.Select[str, str, str, str]:
    rows, part = each_nic(ctx, parsed)
    query = sa.select(
        Vm.id.label("vm_id"),
        Vm.host_id.label("host_id"),
        part("kind").label("kind"),
        part("source").label("source"),
    )
    query = query.select_from(Vm).join(VmDefinition, VmDefinition.vm_id == Vm.id).join(rows, sa.true())
    return visible(ctx, query.where(Vm.host_id.in_(hosts)), Vm, "vm.view")


def _uses(vm: sa.Row[*tuple[object, ...]], network: Network) -> list[NetworkUser]:
    now = _plugs(vm.nics or (), network)
    later = _plugs(vm.saved_nics or (), network)
    if not now and not later:
        return []
    user = {"vm": Ref(kind=ObjectKind.VM, id=vm.id, name=vm.name), "state": VmState(vm.state)}
    return [
        *(NetworkUser(**user, mac=mac, by_bridge=bridged) for mac, bridged in now),
        *(
            NetworkUser(**user, mac=mac, by_bridge=bridged, after_power_off=True)
            for mac, bridged in later
            if (mac, bridged) not in now
        ),
    ]


def _plugs(nics: Sequence[dict[str, str]], network: Network) -> list[tuple[str, bool]]:
    """MAC addresses of the interfaces in the network, and whether they name its bridge."""
    found = []
    for nic in nics:
        if nic.get("kind") == "network" and nic.get("source") == network.name:
            found.append((nic.get("mac", ""), False))
        elif nic.get("kind") == "bridge" and network.bridge and nic.get("source") == network.bridge:
            found.append((nic.get("mac", ""), True))
    return found
