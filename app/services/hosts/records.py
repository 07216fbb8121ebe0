"""Rows of the mirror as host records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import defer

from app.access.context import Ctx
from app.access.find import known, visible
from app.core.hosts.observations import Check
from app.core.hosts.records import CheckRecord, HostDetail, HostRecord
from app.core.hosts.states import AdminState, HostConnection, HostMode, Transport, Verdict
from app.core.messages import N_
from app.core.records import UsageRecord
from app.core.vms.states import VmState
from app.db.models import Credential, Datacenter, Host, Vm
from app.inventory.hosts import CHECKS
from app.inventory.staleness import is_stale

CHECK_TITLES = {
    "virtualization": N_("Hardware virtualisation (VT-x, AMD-V)"),
    "slat": N_("Second-level address translation (EPT, NPT)"),
    "iommu": N_("IOMMU"),
    "kvm": N_("KVM"),
    "cpu": N_("CPU model"),
    "versions": N_("QEMU and libvirt versions"),
    "lock_manager": N_("Lock manager"),
    "clock": N_("Clock"),
    "space": N_("Free space"),
    "migration": N_("Migration port"),
    "passthrough": N_("Host CPU passed through"),
}
_COPIED = (
    "id",
    "name",
    "datacenter_id",
    "address",
    "port",
    "user",
    "connection_since",
    "observed_at",
    "hostname",
    "libvirt_uuid",
    "libvirt_version",
    "hypervisor_version",
    "cpu_model",
    "cpus",
    "memory_bytes",
    "tags",
)
_FACTS = (
    "arch",
    "cpu_vendor",
    "cpu_name",
    "cpu_features",
    "sockets",
    "cores_per_socket",
    "threads_per_core",
    "numa_nodes",
    "kvm",
)
_ALLOCATED = (VmState.RUNNING.value, VmState.PAUSED.value, VmState.SUSPENDED.value)


def select_hosts() -> sa.Select[Host, str]:
    """Hosts with the names of their datacenters."""
    return sa.select(Host, Datacenter.name).join(Datacenter, Datacenter.id == Host.datacenter_id)


def select_listed() -> sa.Select[Host, str]:
    """The same without what lists do not show."""
    unseen = (Host.facts, Host.checks, Host.notes, Host.search_text)
    return select_hosts().options(*(defer(column, raiseload=True) for column in unseen))


def records_of(ctx: Ctx, rows: Sequence[tuple[Host, str]]) -> list[HostRecord]:
    """Rows of `select_hosts` as records."""
    return [HostRecord(**_common(ctx, host, datacenter)) for host, datacenter in rows]


def _common(ctx: Ctx, host: Host, datacenter: str) -> dict[str, Any]:
    sees_vms = ctx.can("vm.view", host)
    return {name: getattr(host, name) for name in _COPIED} | {
        "vm_count": host.vm_count if sees_vms else 0,
        "vm_running": host.vm_running if sees_vms else 0,
        "datacenter_name": datacenter,
        "transport": Transport(host.transport),
        "mode": HostMode(host.mode),
        "connection": HostConnection(host.connection),
        "connection_reason": ctx.say(host.connection_reason, host.connection_params)
        if host.connection_reason
        else None,
        "admin_state": AdminState(host.admin_state),
        "stale": is_stale(ctx, host.connection, host.observed_at),
        "worst_check": Verdict(host.worst_check) if host.worst_check else None,
        "usage": UsageRecord(**{name: getattr(host, name) for name in UsageRecord.model_fields}),
    }


def detail_of(ctx: Ctx, host: Host, datacenter: str) -> HostDetail:
    """A host with all that is known."""
    allocated = sa.select(
        sa.func.coalesce(sa.func.sum(Vm.vcpus), 0), sa.func.coalesce(sa.func.sum(Vm.memory_bytes), 0)
    ).where(Vm.host_id == host.id, Vm.state.in_(_ALLOCATED))
    vcpus, memory = ctx.session.execute(visible(ctx, allocated, Vm, "vm.view")).one()
    credential = known(ctx, Credential, host.credential_id) if host.credential_id else None
    facts = host.facts or {}
    return HostDetail(
        **_common(ctx, host, datacenter),
        **{name: facts[name] for name in _FACTS if facts.get(name) is not None},
        notes=host.notes,
        allowed_bridges=host.allowed_bridges or [],
        allowed_interfaces=host.allowed_interfaces or [],
        socket=host.socket,
        credential_id=host.credential_id,
        credential_name=credential.name if credential else None,
        fingerprint=host.fingerprint,
        fingerprint_seen=host.fingerprint_seen,
        checks=check_records(ctx, CHECKS.validate_python(host.checks or ())),
        checked_at=host.checked_at,
        synced_at=host.synced_at,
        created_at=host.created_at,
        vcpus_allocated=int(vcpus),
        memory_allocated_bytes=int(memory),
        version=host.version,
    )


def check_records(ctx: Ctx, checks: Sequence[Check]) -> list[CheckRecord]:
    """A compatibility report in the asker's language."""
    return [
        CheckRecord(
            key=check.key,
            title=ctx.translate(CHECK_TITLES.get(check.key, check.key)),
            verdict=Verdict(check.verdict),
            reason=ctx.say(check.reason, check.params),
            remedy=ctx.say(check.remedy, check.params) if check.remedy else None,
        )
        for check in checks
    ]
