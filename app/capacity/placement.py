"""Which host a new VM goes to when nobody says: the one that keeps most memory free, of those that can take it."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.access.context import Ctx
from app.access.find import look_up, visible
from app.core.errors import Conflict, InvalidInput
from app.core.messages import N_
from app.core.tasks.states import ACTIVE_TASK_STATES
from app.core.vms.create.spec import VmSpec
from app.core.vms.states import VmState
from app.db.models import Host, HostCapabilities, Network, Pool, Reservation, Task, Vm
from app.inventory.available_hosts import is_available

OFF = (VmState.SHUTOFF.value, VmState.CRASHED.value, VmState.SAVED.value)
MIB = 1024**2
_TURN = 0x76696769  # of an advisory lock: who places VMs
_MOST_FREE = N_("Of the hosts that have what it needs, it has the most memory free: %(free)d MiB.")
_WITH_OFF = N_(
    "Of the hosts that have what it needs, it has the most memory left for all its VMs: %(free)d MiB are free, "
    "and its VMs that are off have %(off)d MiB."
)
ACTIVE = tuple(state.value for state in VmState if state.is_active)
ACTIVE_TASKS = tuple(state.value for state in ACTIVE_TASK_STATES)


@dataclass(frozen=True, slots=True)
class ChosenHost:
    """A host for a new VM, and why: a message id with parameters; None when somebody chose it."""

    host: Host
    reason: str | None = None
    params: dict[str, object] | None = None


def allocated_memory(session: Session, host_id: str) -> int:
    """Bytes of a host's memory that running VMs have, and that tasks under way give to VMs."""
    parts = _allocations()
    total = sa.select(sa.func.coalesce(sa.func.sum(parts.c.memory_bytes), 0))
    return int(session.scalar(total.where(parts.c.host_id == host_id)) or 0)


def take_turn(ctx: Ctx) -> None:
    """Wait until whoever chooses a host at the same time has written what that takes; lasts until the commit."""
    if not ctx.services.database.is_sqlite:  # there one transaction writes at a time, anyway
        ctx.session.execute(sa.select(sa.func.pg_advisory_xact_lock(_TURN)))


def choose_host(ctx: Ctx, spec: VmSpec, memory_bytes: int) -> ChosenHost:
    """The host that was asked for, or the best one. Raises InvalidInput (host_id), Conflict (no_host_fits).

    What runs and what was asked for must fit into a host's memory. Of the hosts where it does, the one is taken
    that has most left when the VMs that are off run, too.
    """
    if spec.host_id is not None:
        host = look_up(ctx, Host, spec.host_id)
        if host is None:
            raise InvalidInput("host_id", N_("names no host"))
        return ChosenHost(host)
    best = _ranked(ctx, spec).first()
    if best is None or best.free < memory_bytes:
        raise _none_fits(ctx, spec, memory_bytes, best)
    found = _ranked(ctx, spec, memory_bytes).one()
    params = {"free": (found.free or 0) // MIB, "off": (found.off or 0) // MIB}
    return ChosenHost(found[0], _WITH_OFF if found.off else _MOST_FREE, params)


def _ranked(ctx: Ctx, spec: VmSpec, memory_bytes: int | None = None) -> sa.Result[Host, int, int]:
    """The best host for the VM, with its memory that is `free`, and what VMs that are `off` would take of that.

    Without `memory_bytes` the one with most free memory, however little that is.
    """
    parts, off = _allocations(), _off()
    sums = (
        sa.select(parts.c.host_id, sa.func.sum(parts.c.memory_bytes).label("given"))
        .group_by(parts.c.host_id)
        .subquery()
    )
    free = (Host.memory_bytes - sa.func.coalesce(sums.c.given, 0)).label("free")
    later = sa.func.coalesce(off.c.memory_bytes, 0)
    query = (
        sa.select(Host, free, later.label("off"))
        .outerjoin(sums, sums.c.host_id == Host.id)
        .outerjoin(off, off.c.host_id == Host.id)
        .join(HostCapabilities, HostCapabilities.host_id == Host.id)
        .where(*_conditions(spec), Host.memory_bytes.is_not(None))
    )
    if memory_bytes is None:
        query = query.order_by(free.desc())
    else:
        query = query.where(free >= memory_bytes).order_by((free - later).desc())
    return ctx.session.execute(visible(ctx, query.order_by(Host.name_key).limit(1), Host, "host.view"))


def _allocations() -> sa.Subquery:
    """Host and bytes of every VM that runs, and of what tasks under way have reserved for one that does not yet."""
    runs = Vm.state.in_(ACTIVE)
    created = sa.select(Vm.id).where(Vm.id == Task.target_id, runs)
    return sa.union_all(
        sa.select(Vm.host_id.label("host_id"), Vm.memory_bytes.label("memory_bytes")).where(runs),
        sa.select(Reservation.host_id, Reservation.memory_bytes)
        .join(Task, Task.id == Reservation.task_id)
        .where(Task.state.in_(ACTIVE_TASKS), ~created.exists()),
    ).subquery()


def _off() -> sa.Subquery:
    """Host and bytes of VMs that are off."""
    query = sa.select(Vm.host_id, sa.func.sum(Vm.memory_bytes).label("memory_bytes"))
    return query.where(Vm.state.in_(OFF)).group_by(Vm.host_id).subquery()


def _conditions(spec: VmSpec) -> list[sa.ColumnElement[bool]]:
    conditions = [is_available()]
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


def _none_fits(ctx: Ctx, spec: VmSpec, memory_bytes: int, best: sa.Row[Host, int, int] | None) -> Conflict:
    pools = sorted({disk.pool for disk in spec.disks if disk.pool})
    networks = sorted({nic.network for nic in spec.nics if nic.network})
    if best is not None:
        return Conflict(
            N_("No host can take this VM."),
            why=N_(
                "The VM needs %(memory)d MiB. Of the hosts that have the rest, %(host)s has the most free: %(free)d MiB "
                "beside its running VMs and those that were asked for."
            ),
            hint=N_("Free some memory, choose a host yourself, or ask for less."),
            code="no_host_fits",
            params={"memory": memory_bytes // MIB, "host": best[0].name, "free": max(best.free, 0) // MIB},
        )
    return Conflict(
        N_("No host can take this VM."),
        why=N_(
            "None that is connected and managed has %(memory)d MiB of memory free, the storage pools "
            "(%(pools)s) and the networks (%(networks)s), and no VM of this name."
        ),
        hint=N_("Choose a host yourself to see what it lacks, or ask for less."),
        code="no_host_fits",
        params={
            "memory": memory_bytes // MIB,
            "pools": ", ".join(pools) or "–",
            "networks": ", ".join(networks) or "–",
        },
    )
