"""Which host a new VM goes to when nobody says: the one that keeps most memory free, of those that can take it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.core.errors import Conflict, InvalidInput
from app.core.messages import N_
from app.core.states import HostMode, HostState, VmState
from app.core.vmspec import VmSpec
from app.db.models import Host, Network, Offers, Pool, Vm
from app.services.context import Ctx

USABLE = (HostState.CONNECTED.value,)  # a host in maintenance takes no new VMs
ACTIVE = tuple(state.value for state in VmState if state.is_active)


@dataclass(frozen=True, slots=True)
class Place:
    """A host for a new VM, and why: a message id with parameters; None when somebody chose it."""

    host: Host
    reason: str | None = None
    params: dict[str, Any] | None = None


def promised_memory(ctx: Ctx, host_id: str) -> int:
    """Bytes that the running VMs of a host may use."""
    query = sa.select(sa.func.coalesce(sa.func.sum(Vm.memory_bytes), 0))
    return int(ctx.session.scalar(query.where(Vm.host_id == host_id, Vm.state.in_(ACTIVE))) or 0)


def choose_host(ctx: Ctx, spec: VmSpec, memory_bytes: int) -> Place:
    """The host that was asked for, or the best one. Raises InvalidInput (host_id), Conflict (no_host_fits)."""
    if spec.host_id is not None:
        asked = ctx.visible(sa.select(Host).where(Host.id == spec.host_id), "host.view")
        host: Host | None = ctx.session.scalar(asked)
        if host is None:
            raise InvalidInput("host_id", N_("names no host"))
        return Place(host)
    promised = (
        sa.select(Vm.host_id, sa.func.sum(Vm.memory_bytes).label("promised"))
        .where(Vm.state.in_(ACTIVE))
        .group_by(Vm.host_id)
        .subquery()
    )
    free = Host.memory_bytes - sa.func.coalesce(promised.c.promised, 0)
    query = sa.select(Host, free).outerjoin(promised, promised.c.host_id == Host.id)
    query = query.join(Offers, Offers.host_id == Host.id).where(*_conditions(spec), free >= memory_bytes)
    best = ctx.visible(query.order_by(free.desc(), Host.name_key).limit(1), "host.view")
    found = ctx.session.execute(best).one_or_none()
    if found is None:
        raise _none_fits(ctx, spec, memory_bytes)
    reason = N_("Of the hosts that have what it needs, it has the most memory free: %(free)d MiB.")
    return Place(found[0], reason, {"free": (found[1] or 0) // 1024**2})


def _conditions(spec: VmSpec) -> list[sa.ColumnElement[bool]]:
    conditions = [Host.state.in_(USABLE), Host.mode == HostMode.MANAGED.value, Host.enabled.is_(True)]
    if spec.datacenter_id:
        conditions.append(Host.datacenter_id == spec.datacenter_id)
    needed: dict[str, int] = {}
    for disk in spec.disks:
        if disk.pool is not None and disk.volume_id is None:
            needed[disk.pool] = needed.get(disk.pool, 0) + (disk.size_bytes or 0 if disk.preallocate else 0)
    for name, size in needed.items():
        has = sa.select(Pool.host_id).where(
            Pool.name == name, Pool.state == "running", Pool.available_bytes >= size
        )
        conditions.append(Host.id.in_(has))
    networks = {nic.network for nic in spec.nics if nic.network is not None}
    conditions += [
        Host.id.in_(sa.select(Network.host_id).where(Network.name == name, Network.active.is_(True)))
        for name in networks
    ]
    taken = sa.select(Vm.host_id).where(Vm.name == spec.name)
    conditions.append(Host.id.not_in(taken))
    return conditions


def _none_fits(ctx: Ctx, spec: VmSpec, memory_bytes: int) -> Conflict:
    pools = sorted({disk.pool for disk in spec.disks if disk.pool})
    networks = sorted({nic.network for nic in spec.nics if nic.network})
    return Conflict(
        N_("No host can take this VM."),
        why=ctx.say(
            N_(
                "None that is connected and managed has %(memory)d MiB of memory free, the storage pools "
                "(%(pools)s) and the networks (%(networks)s), and no VM of this name."
            ),
            {
                "memory": memory_bytes // 1024**2,
                "pools": ", ".join(pools) or "–",
                "networks": ", ".join(networks) or "–",
            },
        ),
        hint=N_("Choose a host yourself to see what it lacks, or ask for less."),
        code="no_host_fits",
    )
