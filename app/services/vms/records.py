"""Rows of the mirror as VM records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import visible
from app.core.hosts.states import AdminState, HostConnection, HostMode
from app.core.inventory.conditions import ConditionRecord
from app.core.records import UsageRecord
from app.core.tasks.records import TaskBrief
from app.core.vms.host_access import HOST_ACCESS_KINDS
from app.core.vms.observations import StoredDefinition, StoredDisk, StoredNic
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
from app.inventory import condition_rows
from app.inventory.staleness import is_stale
from app.tasks.locks import holders

D = TypeVar("D", StoredDisk, StoredNic)

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
    wrong = condition_rows.records(ctx, ids)
    return [_record(ctx, row, held.get(row[0]), wrong.get(row[0], [])) for row in rows]


def _record(ctx: Ctx, row: Sequence[Any], task: TaskBrief | None, wrong: list[ConditionRecord]) -> VmRecord:
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
    parsed: StoredDefinition,
    read_at: datetime | None,
    screenshot_at: datetime | None,
    pending: Sequence[str],
    saved: StoredDefinition | None,
) -> VmDetail:
    """A VM with all that is known. `parsed` is what was read from its definition; empty when it was not read.

    `saved` is the same of the saved definition, while another one runs.
    """
    by_mac: dict[str, list[str]] = {}
    for mac, address in vm.addresses:
        by_mac.setdefault(mac.lower(), []).append(address)
    saved_disks = None if saved is None else saved.get("disks", [])
    saved_nics = None if saved is None else saved.get("nics", [])
    known = {name: value for name, value in parsed.items() if name in _PARSED and value is not None}
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
        disks=_disks(ctx, vm, _with_pending(parsed.get("disks", []), saved_disks, _target_of)),
        nics=[
            NicRecord(**nic, **mark, addresses=by_mac.get(_mac_of(nic), []))
            for nic, mark in _with_pending(parsed.get("nics", []), saved_nics, _mac_of)
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
    runs: list[D], lasting: list[D] | None, key: Callable[[D], str]
) -> list[tuple[D, dict[str, str]]]:
    """Devices of what runs and of what is saved, each with `pending` where only one of the two has it."""
    if lasting is None:
        return [(run, {}) for run in runs]
    stays, there = ({key(item) for item in some} for some in (lasting, runs))
    marked: list[tuple[D, dict[str, str]]] = [
        (run, {} if key(run) in stays else {"pending": "removed"}) for run in runs
    ]
    return marked + [(item, {"pending": "added"}) for item in lasting if key(item) not in there]


def _target_of(disk: StoredDisk) -> str:
    return disk["target"].lower()


def _mac_of(nic: StoredNic) -> str:
    return nic["mac"].lower()


def _disks(ctx: Ctx, vm: Vm, disks: Sequence[tuple[StoredDisk, dict[str, str]]]) -> list[DiskRecord]:
    """The disks with their sizes, which no definition says: those of the volumes that they are on this host."""
    paths = {source for disk, _ in disks if (source := _volume_of(disk))}
    found: dict[str, tuple[int, int]] = {}
    if paths:
        named = [path.split("/", 1) for path in paths if "/" in path and not path.startswith("/")]
        by_name = [sa.and_(Pool.name == pool, Volume.name == name) for pool, name in named]
        columns = (Volume.path, Pool.name, Volume.name, Volume.capacity_bytes, Volume.allocation_bytes)
        query = sa.select(*columns).join(Pool, Pool.id == Volume.pool_id).where(Pool.host_id == vm.host_id)
        query = visible(ctx, query.where(sa.or_(Volume.path.in_(paths), *by_name)), Volume, "pool.view")
        for path, pool, name, *sizes in ctx.session.execute(query):
            found[path] = found[f"{pool}/{name}"] = (sizes[0], sizes[1])
    return [_sized(disk, mark, found.get(_volume_of(disk))) for disk, mark in disks]


def _volume_of(disk: StoredDisk) -> str:
    """Path, or pool/volume, of a disk; none of a drive, whose medium is no space that the VM uses."""
    return disk["source"] or "" if disk["device"] in ("disk", "lun") else ""


def _sized(disk: StoredDisk, mark: dict[str, str], sizes: tuple[int, int] | None) -> DiskRecord:
    names = ("capacity_bytes", "allocation_bytes")
    whole = {**disk, **mark}
    if sizes is not None:
        whole |= {name: size for name, size in zip(names, sizes, strict=True) if whole.get(name) is None}
    return DiskRecord(**whole)
