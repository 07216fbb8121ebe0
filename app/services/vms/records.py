"""Rows of the mirror as VM records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import visible
from app.core.hosts.states import AdminState, HostConnection, HostMode
from app.core.inventory.conditions import ConditionRecord
from app.core.records import UsageRecord
from app.core.vms.host_access import HOST_ACCESS_KINDS
from app.core.vms.records import (
    DeviceRecord,
    DiskRecord,
    GraphicsRecord,
    NicRecord,
    VerbRecord,
    VmDetail,
    VmRecord,
)
from app.core.vms.states import VmState
from app.db.models import Host, Pool, Vm, Volume
from app.inventory import conditions
from app.inventory.staleness import is_stale
from app.tasks.locks import holders

# What a VM in a list is made of; no definition, no picture.
COLUMNS = (
    Vm.id,
    Vm.uuid,
    Vm.name,
    Vm.title,
    Vm.host_id,
    Host.name,
    Host.connection,
    Host.observed_at,
    Vm.state,
    Vm.state_reason,
    Vm.state_since,
    Vm.missing_since,
    Vm.duplicate,
    Vm.persistent,
    Vm.autostart,
    Vm.vcpus,
    Vm.memory_bytes,
    Vm.disk_bytes,
    Vm.os_name,
    Vm.guest_hostname,
    Vm.addresses,
    Vm.tags,
    *(getattr(Vm, name) for name in UsageRecord.model_fields),
)
_FIRST_USAGE = len(COLUMNS) - len(UsageRecord.model_fields)
_PARSED = (
    "description",
    "os_id",
    "arch",
    "machine",
    "firmware",
    "hypervisor",
    "cpu_mode",
    "cpu_model",
    "vcpus_max",
    "memory_max_bytes",
    "has_agent_channel",
)


def records_of(ctx: Ctx, rows: Sequence[Sequence[Any]]) -> list[VmRecord]:
    """Rows of COLUMNS as records, each with the task that holds the VM now."""
    ids = [row[0] for row in rows]
    held = holders(ctx, ids) if rows else {}
    wrong = conditions.records(ctx, ids)
    return [_record(ctx, row, held.get(row[0]), wrong.get(row[0], [])) for row in rows]


def _record(ctx: Ctx, row: Sequence[Any], task: Any, wrong: list[ConditionRecord]) -> VmRecord:
    (
        id_,
        uuid,
        name,
        title,
        host_id,
        host_name,
        host_connection,
        host_observed_at,
        state,
        reason,
        since,
        missing_since,
    ) = row[:12]
    (duplicate, persistent, autostart, vcpus, memory, disk, os_name, hostname, addresses, tags) = row[
        12:_FIRST_USAGE
    ]
    return VmRecord(
        id=id_,
        uuid=uuid,
        name=name,
        title=title,
        host_id=host_id,
        host_name=host_name,
        state=VmState(state),
        state_reason=reason,
        state_since=since,
        stale=is_stale(ctx, host_connection, host_observed_at),
        observed_at=missing_since or host_observed_at,
        duplicate=duplicate,
        persistent=persistent,
        autostart=autostart,
        vcpus=vcpus,
        memory_bytes=memory,
        disk_bytes=disk,
        os_name=os_name,
        guest_hostname=hostname,
        addresses=[address for _, address in addresses],
        tags=tags,
        usage=UsageRecord(**dict(zip(UsageRecord.model_fields, row[_FIRST_USAGE:], strict=True))),
        conditions=wrong,
        task=task,
    )


def detail_of(
    ctx: Ctx,
    vm: Vm,
    host: Host,
    record: VmRecord,
    actions: list[VerbRecord],
    parsed: dict[str, Any],
    read_at: datetime | None,
    screenshot_at: datetime | None,
    pending: Sequence[str],
    saved: dict[str, Any] | None,
) -> VmDetail:
    """A VM with all that is known. `parsed` is what was read from its definition; empty when it was not read.

    `saved` is the same of the saved definition, while another one runs.
    """
    by_mac: dict[str, list[str]] = {}
    for mac, address in vm.addresses:
        by_mac.setdefault(mac.lower(), []).append(address)
    known = {name: parsed[name] for name in _PARSED if parsed.get(name) is not None}
    return VmDetail(
        **{name: getattr(record, name) for name in VmRecord.model_fields},
        **known,
        notes=vm.notes,
        domain_id=vm.domain_id,
        has_managed_save=vm.has_managed_save,
        agent_connected=vm.agent_connected,
        host_connection=HostConnection(host.connection),
        host_admin_state=AdminState(host.admin_state),
        host_mode=HostMode(host.mode),
        disks=_disks(ctx, vm, _with_pending(parsed, saved, "disks", "target")),
        nics=[
            NicRecord(**item, addresses=by_mac.get(item["mac"].lower(), []))
            for item in _with_pending(parsed, saved, "nics", "mac")
        ],
        graphics=[GraphicsRecord(**item) for item in parsed.get("graphics", ())],
        devices=[DeviceRecord(**item) for item in parsed.get("devices", ())],
        actions=actions,
        definition_read_at=read_at,
        screenshot_at=screenshot_at,
        pending=[ctx.translate(part) for part in pending],
        host_access=[
            ctx.translate(HOST_ACCESS_KINDS[key]) for key in vm.host_access or () if key in HOST_ACCESS_KINDS
        ],
        version=vm.version,
    )


def _with_pending(
    parsed: dict[str, Any], saved: dict[str, Any] | None, kind: str, key: str
) -> list[dict[str, Any]]:
    """Devices of what runs and of what is saved; those that only one of the two has are marked."""
    runs: list[dict[str, Any]] = list(parsed.get(kind, ()))
    if saved is None:
        return runs
    lasting = list(saved.get(kind, ()))
    stays, there = ({item[key].lower() for item in some} for some in (lasting, runs))
    marked = [run if run[key].lower() in stays else run | {"pending": "removed"} for run in runs]
    return marked + [item | {"pending": "added"} for item in lasting if item[key].lower() not in there]


def _disks(ctx: Ctx, vm: Vm, disks: Sequence[dict[str, Any]]) -> list[DiskRecord]:
    """The disks with their sizes, which no definition says: those of the volumes that they are on this host."""
    paths = {source for disk in disks if (source := _volume_of(disk))}
    found: dict[str, tuple[int, int]] = {}
    if paths:
        named = [path.split("/", 1) for path in paths if "/" in path and not path.startswith("/")]
        by_name = [sa.and_(Pool.name == pool, Volume.name == name) for pool, name in named]
        columns = (Volume.path, Pool.name, Volume.name, Volume.capacity_bytes, Volume.allocation_bytes)
        query = sa.select(*columns).join(Pool, Pool.id == Volume.pool_id).where(Pool.host_id == vm.host_id)
        query = visible(ctx, query.where(sa.or_(Volume.path.in_(paths), *by_name)), Volume, "pool.view")
        for path, pool, name, *sizes in ctx.session.execute(query):
            found[path] = found[f"{pool}/{name}"] = (sizes[0], sizes[1])
    return [_sized(disk, found.get(_volume_of(disk))) for disk in disks]


def _volume_of(disk: dict[str, Any]) -> str:
    """Path, or pool/volume, of a disk; none of a drive, whose medium is no space that the VM uses."""
    return disk["source"] or "" if disk["device"] in ("disk", "lun") else ""


def _sized(disk: dict[str, Any], sizes: tuple[int, int] | None) -> DiskRecord:
    if sizes is None:
        return DiskRecord(**disk)
    names = ("capacity_bytes", "allocation_bytes")
    known = {name: size for name, size in zip(names, sizes, strict=True) if disk.get(name) is None}
    return DiskRecord(**disk | known)
