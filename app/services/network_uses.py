"""Which VMs are plugged into which networks, as their definitions say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from app.core.networks import NetworkUser
from app.core.records import Ref
from app.core.states import ObjectKind, VmState
from app.db.models import Network, Vm, VmDefinition
from app.services.context import Ctx


def users_of(ctx: Ctx, networks: Iterable[Network]) -> dict[str, list[NetworkUser]]:
    """The VMs of each network, by its id, in the order of their names; those that are missing count too."""
    by_host: dict[str, list[Network]] = defaultdict(list)
    for network in networks:
        by_host[network.host_id].append(network)
    found: dict[str, list[NetworkUser]] = defaultdict(list)
    query = sa.select(
        Vm.id, Vm.name, Vm.state, Vm.host_id, VmDefinition.parsed, VmDefinition.saved_parsed
    ).join(VmDefinition, VmDefinition.vm_id == Vm.id)
    query = query.where(Vm.host_id.in_(by_host)).order_by(Vm.name_key, Vm.id)
    for row in ctx.session.execute(ctx.visible(query, "vm.view")):
        for network in by_host[row.host_id]:
            found[network.id] += _uses(row, network)
    return found


def _uses(vm: Any, network: Network) -> list[NetworkUser]:
    now = _plugs((vm.parsed or {}).get("nics", ()), network)
    later = _plugs((vm.saved_parsed or {}).get("nics", ()), network)
    user = {"vm": Ref(kind=ObjectKind.VM, id=vm.id, name=vm.name), "state": VmState(vm.state)}
    return [
        *(NetworkUser(**user, mac=mac, by_bridge=bridged) for mac, bridged in now),
        *(
            NetworkUser(**user, mac=mac, by_bridge=bridged, after_power_off=True)
            for mac, bridged in later
            if (mac, bridged) not in now
        ),
    ]


def _plugs(nics: Sequence[dict[str, Any]], network: Network) -> list[tuple[str, bool]]:
    """MAC addresses of the interfaces in the network, and whether they name its bridge."""
    found = []
    for nic in nics:
        if nic.get("kind") == "network" and nic.get("source") == network.name:
            found.append((nic.get("mac", ""), False))
        elif nic.get("kind") == "bridge" and network.bridge and nic.get("source") == network.bridge:
            found.append((nic.get("mac", ""), True))
    return found
