"""The dashboard: how much there is, how much is used, and what needs a look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import visible, visible_part
from app.core.hosts.specs import status_filters
from app.core.hosts.states import (
    HOST_STATUS_HINTS,
    HOST_STATUS_TITLES,
    AdminState,
    HostStatus,
    Verdict,
    status_of,
)
from app.core.inventory.records import Attention, Dashboard, Meter
from app.core.kinds import Severity
from app.core.messages import N_
from app.core.vms.records import VmRecord
from app.core.vms.states import VmState
from app.db.models import Host, Pool, Vm
from app.inventory.staleness import stale_hosts
from app.services.vms.records import COLUMNS, records_of

BUSIEST = 5
FULL_PERCENT = 90
_LOST: dict[HostStatus, tuple[Severity, str]] = {
    HostStatus.IDENTITY_CHANGED: (
        Severity.ERROR,
        N_("%(name)s shows another identity; nothing is done on it."),
    ),
    HostStatus.AUTH_FAILED: (Severity.ERROR, N_("%(name)s refuses the sign-in.")),
    HostStatus.NOT_ANSWERING: (
        Severity.WARNING,
        N_("%(name)s does not answer; its VMs are shown as last seen."),
    ),
}
MAX_NAMED = 5


def show_dashboard(ctx: Ctx) -> Dashboard:
    """Everything that the dashboard shows. Figures of silent hosts are their last ones."""
    ctx.require("host.view")
    ctx.require("vm.view")
    host = _host_sums(ctx)
    states = _by_state(ctx)
    pool = _storage(ctx)
    stale = sa.select(sa.func.coalesce(sa.func.sum(visible_part(ctx, Host.vm_count, "vm.view")), 0))
    stale = stale.where(stale_hosts(ctx))
    doubled = sa.select(sa.func.count()).select_from(Vm).where(Vm.duplicate.is_(True))
    duplicates = ctx.session.scalar(visible(ctx, doubled, Vm, "vm.view")) or 0
    return Dashboard(
        hosts=_by_status(ctx),
        vms=states,
        stale_vms=ctx.session.scalar(visible(ctx, stale, Host, "host.view")) or 0,
        duplicate_vms=duplicates,
        cpu=meter(float(host.cpu_used or 0), int(host.cpus or 0)),
        memory=meter(int(host.memory_used or 0), int(host.memory or 0)),
        storage=meter(int(pool.used or 0), int(pool.capacity or 0)),
        vcpus_allocated=host.allocated_vcpus or 0,
        cpus=int(host.cpus or 0),
        memory_allocated_bytes=host.allocated_memory or 0,
        attention=_attention(ctx, states, duplicates),
        busiest=_busiest(ctx),
    )


def _by_state(ctx: Ctx) -> dict[str, int]:
    counted = visible(ctx, sa.select(Vm.state, sa.func.count()).group_by(Vm.state), Vm, "vm.view")
    return dict(ctx.session.execute(counted).all())


def _by_status(ctx: Ctx) -> dict[str, int]:
    query = sa.select(Host.connection, Host.admin_state, sa.func.count())
    query = query.group_by(Host.connection, Host.admin_state)
    found: Counter[str] = Counter()
    for connection, admin_state, count in ctx.session.execute(visible(ctx, query, Host, "host.view")):
        found[status_of(connection, admin_state).value] += count
    return dict(found)


def meter(used: float, total: float) -> Meter:
    """A used part of a whole; the percentage is unknown of nothing."""
    used, total = float(used), float(total)  # PostgreSQL's sums are decimals
    return Meter(used=used, total=total, percent=round(100 * used / total, 1) if total else None)


def _host_sums(ctx: Ctx) -> sa.Row[*tuple[object, ...]]:
    running = sa.select(sa.func.sum(Vm.vcpus), sa.func.sum(Vm.memory_bytes)).where(
        Vm.state == VmState.RUNNING.value
    )
    vcpus, memory = ctx.session.execute(visible(ctx, running, Vm, "vm.view")).one()
    sums = sa.select(
        sa.func.sum(Host.cpus).label("cpus"),
        sa.func.sum(Host.cpu_percent * Host.cpus / 100.0).label("cpu_used"),
        sa.func.sum(Host.memory_bytes).label("memory"),
        sa.func.sum(Host.memory_used_bytes).label("memory_used"),
        sa.literal(int(vcpus or 0)).label("allocated_vcpus"),
        sa.literal(int(memory or 0), sa.BigInteger()).label("allocated_memory"),
    )
    return ctx.session.execute(visible(ctx, sums, Host, "host.view")).one()


def _storage(ctx: Ctx) -> sa.Row[*tuple[object, ...]]:
    """What running pools hold and have used.

    Pools of several hosts with the same UUID, kind and target path count once, with the largest figures that
    were told: hosts that share storage usually report it so. It is no proof: shared storage that is defined
    with a UUID of its own on each host is counted on each, and local pools of cloned hosts that kept one
    UUID are counted once. One pass over the pools in the database, no comparison of each with each.
    """
    once = sa.select(
        sa.func.max(Pool.capacity_bytes).label("capacity"),
        sa.func.max(Pool.allocation_bytes).label("used"),
    )
    once = once.where(Pool.state == "running").group_by(Pool.uuid, Pool.kind, Pool.target_path)
    counted = visible(ctx, once, Pool, "pool.view").subquery()
    sums = sa.select(
        sa.func.sum(counted.c.capacity).label("capacity"), sa.func.sum(counted.c.used).label("used")
    )
    return ctx.session.execute(sums).one()


def _busiest(ctx: Ctx) -> list[VmRecord]:
    query = sa.select(*COLUMNS).join(Host, Host.id == Vm.host_id)
    query = query.where(Vm.cpu_percent.is_not(None))
    query = query.order_by(Vm.cpu_percent.desc(), Vm.id.desc()).limit(BUSIEST)
    return records_of(ctx, [tuple(row) for row in ctx.session.execute(visible(ctx, query, Vm, "vm.view"))])


def _attention(ctx: Ctx, states: dict[str, int], duplicates: int) -> list[Attention]:
    return [
        *_lost_hosts(ctx),
        *_vm_troubles(ctx, states, duplicates),
        *_full_pools(ctx),
        *_failed_checks(ctx),
    ]


def _lost_hosts(ctx: Ctx) -> list[Attention]:
    found: list[Attention] = []
    for status, (severity, message) in _LOST.items():
        hint = HOST_STATUS_HINTS[status]
        query = sa.select(Host.id, Host.name).order_by(Host.name_key)
        query = query.where(Host.connection == status.value, Host.admin_state != AdminState.DISABLED.value)
        rows = ctx.session.execute(visible(ctx, query, Host, "host.view").limit(MAX_NAMED + 1)).all()
        for id_, name in rows[:MAX_NAMED]:
            found.append(_item(ctx, severity, message, {"name": name}, hint, f"/hosts/{id_}"))
        if len(rows) > MAX_NAMED:
            more = N_("More hosts are in the same state: %(state)s.")
            found.append(
                _item(
                    ctx,
                    severity,
                    more,
                    {"state": [HOST_STATUS_TITLES[status]]},
                    hint,
                    f"/hosts?{status_filters(status)}",
                )
            )
    return found


def _vm_troubles(ctx: Ctx, states: dict[str, int], duplicates: int) -> list[Attention]:
    rows = (
        (
            duplicates,
            Severity.ERROR,
            N_("VMs with the same UUID as another: %(count)d."),
            N_("Give each copy a UUID of its own before both are started."),
            "/vms",
        ),
        (
            states.get(VmState.CRASHED.value, 0),
            Severity.ERROR,
            N_("Crashed VMs: %(count)d."),
            N_("Look at their hosts' logs, then start them again."),
            "/vms?state=crashed",
        ),
        (
            states.get(VmState.MISSING.value, 0),
            Severity.WARNING,
            N_("VMs that their hosts do not list any more: %(count)d."),
            N_(
                "The XML tab of each has its last definition; remove those from the inventory that are not to come back."
            ),
            "/vms?state=missing",
        ),
    )
    return [
        _item(ctx, severity, message, {"count": count}, hint, url)
        for count, severity, message, hint, url in rows
        if count
    ]


def _full_pools(ctx: Ctx) -> list[Attention]:
    full = Pool.allocation_bytes * 100 > Pool.capacity_bytes * FULL_PERCENT
    query = sa.select(Pool.id, Pool.name, Host.name, Pool.allocation_bytes * 100 / Pool.capacity_bytes)
    query = query.join(Host, Host.id == Pool.host_id)
    query = query.where(Pool.capacity_bytes > 0, full).order_by(Pool.name, Pool.id).limit(MAX_NAMED)
    hint = N_("Free space, or move disks to another pool.")
    message = N_("Pool %(pool)s of %(host)s is %(percent)d %% full.")
    return [
        _item(
            ctx,
            Severity.WARNING,
            message,
            {"pool": name, "host": host, "percent": int(percent)},
            hint,
            f"/storage/{id_}",
        )
        for id_, name, host, percent in ctx.session.execute(visible(ctx, query, Pool, "pool.view"))
    ]


def _failed_checks(ctx: Ctx) -> list[Attention]:
    failed = Host.worst_check == Verdict.FAIL.value
    counted = sa.select(sa.func.count()).select_from(Host).where(failed)
    count = ctx.session.scalar(visible(ctx, counted, Host, "host.view")) or 0
    if not count:
        return []
    found = sa.select(Host.id).where(failed).order_by(Host.name_key).limit(1)
    first = ctx.session.scalar(visible(ctx, found, Host, "host.view"))
    url = f"/hosts/{first}/compatibility" if count == 1 else "/hosts"
    message = N_("Hosts that fail a compatibility check: %(count)d.")
    hint = N_("The compatibility page of a host says how to fix it.")
    return [_item(ctx, Severity.WARNING, message, {"count": count}, hint, url)]


def _item(
    ctx: Ctx, severity: Severity, message: str, params: Mapping[str, object], hint: str, url: str
) -> Attention:
    return Attention(severity=severity, message=ctx.say(message, params), hint=ctx.translate(hint), url=url)
