"""The connection to each host and its edges, and which machine it is."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from app.core.hosts.states import AdminState, HostConnection
from app.core.kinds import ObjectKind, Severity
from app.core.messages import N_
from app.db import models
from app.inventory.batch import Batch, Row, StoredRow, table
from app.inventory.collectors.host import HOST
from app.inventory.collectors.vms import VMS
from app.inventory.hosts import machine_uuid
from app.inventory.merged_report import MergedReport
from app.inventory.usage import COLUMNS as USAGE

_READ = (
    *(
        "id",
        "name",
        "transport",
        "address",
        "admin_state",
        "connection",
        "connection_reason",
        "connection_params",
    ),
    *("fingerprint_seen", "libvirt_uuid", "synced_at", "hostname", "tags", *USAGE),
)

_EDGES: dict[HostConnection, tuple[str, Severity, str]] = {
    HostConnection.CONNECTED: ("host.connected", Severity.INFO, N_("Host %(name)s is connected.")),
    HostConnection.NOT_ANSWERING: (
        "host.not_answering",
        Severity.WARNING,
        N_("Host %(name)s does not answer."),
    ),
    HostConnection.AUTH_FAILED: (
        "host.auth_failed",
        Severity.ERROR,
        N_("Host %(name)s refused the sign-in."),
    ),
    HostConnection.IDENTITY_CHANGED: (
        "host.identity_changed",
        Severity.ERROR,
        N_("Host %(name)s shows another identity than the confirmed one."),
    ),
}


def observe_hosts(batch: Batch, merged: dict[str, MergedReport]) -> list[MergedReport]:
    """Write the connections of the hosts, and return the reports of those whose readings are to be believed.

    Hosts that were removed or disabled in the meantime say nothing any more.
    """
    host = table(models.Host).c
    query = sa.select(*(host[name] for name in _READ)).where(host.id.in_(merged))
    query = query.order_by(host.id)
    rows = batch.session.execute(query.with_for_update()).all()
    for row in rows:
        one = merged[row.id]
        one.row, one.host_name = row, row.name
        vms = VMS.of(one.report.parts)
        one.first = row.synced_at is None and vms is not None and vms.complete
    claimed = _claimed_uuids(batch, [merged[row.id] for row in rows])
    edges: list[tuple[MergedReport, HostConnection]] = []
    believed = [merged[row.id] for row in rows if _observe_host(batch, row, merged[row.id], claimed, edges)]
    _tell_edges(batch, edges)
    _tell_turned(batch, [item.host_id for item in merged.values() if item.turned])
    return believed


def _tell_turned(batch: Batch, host_ids: list[str]) -> None:
    """What is shown of the VMs of hosts that were lost or came back turns stale or fresh."""
    if host_ids:
        vm = table(models.Vm).c
        batch.topics.update(batch.session.scalars(sa.select(vm.id).where(vm.host_id.in_(host_ids))))


def _observe_host(
    batch: Batch,
    row: StoredRow,
    merged: MergedReport,
    claimed: dict[str, tuple[str, str]],
    edges: list[tuple[MergedReport, HostConnection]],
) -> bool:
    """Write what changed of one host; return whether its readings count."""
    if row.admin_state == AdminState.DISABLED:
        return False
    twin = _twin(row, merged, claimed)
    if twin is not None:
        why = N_("This is the same machine as host %(host)s: it has the same libvirt host UUID.")
        merged.report = replace(
            merged.report,
            connection=HostConnection.IDENTITY_CHANGED,
            connection_reason=why,
            connection_params={"host": twin},
        )
    elif merged.report.connection is None and row.connection == HostConnection.IDENTITY_CHANGED:
        return False
    changes = _connection_changes(batch, row, merged, edges)
    reported = _libvirt_uuid(merged)
    if twin is None and reported is not None:
        machine = machine_uuid(row.transport, row.address, reported)
        if machine != row.libvirt_uuid:
            changes["libvirt_uuid"] = machine
    if changes:
        batch.topics.add(row.id)
    if merged.answered_at is not None:
        changes["observed_at"] = merged.answered_at
    vms = VMS.of(merged.report.parts)
    if twin is None and vms is not None and vms.has_definitions:
        changes["synced_at"] = merged.answered_at or batch.now
    if changes:
        batch.update(models.Host, row.id, changes)
    return twin is None


def _libvirt_uuid(merged: MergedReport) -> str | None:
    """Which machine the readings are of; the facts know best."""
    host = HOST.of(merged.report.parts)
    return (
        host.facts.libvirt_uuid if host is not None and host.facts is not None else merged.report.libvirt_uuid
    )


def _connection_changes(
    batch: Batch, row: StoredRow, merged: MergedReport, edges: list[tuple[MergedReport, HostConnection]]
) -> Row:
    report = merged.report
    connection, reason, params = report.connection, report.connection_reason, report.connection_params
    if connection is None:
        return {}
    changes: Row = {}
    if connection != row.connection:
        changes |= {"connection": connection.value, "connection_since": batch.now}
        merged.turned = connection.is_usable != HostConnection(row.connection).is_usable
        if connection in _EDGES:
            edges.append((merged, connection))
    if reason != row.connection_reason or params != row.connection_params:
        changes |= {"connection_reason": reason, "connection_params": params}
    seen = None if connection.is_usable else report.fingerprint_seen or row.fingerprint_seen
    if seen != row.fingerprint_seen:
        changes["fingerprint_seen"] = seen
    return changes


def _claimed_uuids(batch: Batch, merged: list[MergedReport]) -> dict[str, tuple[str, str]]:
    """Which host (id, name) has which of the machine UUIDs that were reported now."""
    reported = {
        machine_uuid(item.row.transport, item.row.address, libvirt_uuid)
        for item in merged
        if item.row is not None and (libvirt_uuid := _libvirt_uuid(item)) is not None
    }
    if not reported:
        return {}
    host = table(models.Host).c
    query = sa.select(host.libvirt_uuid, host.id, host.name).where(host.libvirt_uuid.in_(reported))
    return {row.libvirt_uuid: (row.id, row.name) for row in batch.session.execute(query)}


def _twin(row: StoredRow, merged: MergedReport, claimed: dict[str, tuple[str, str]]) -> str | None:
    """Name of another registered host that is the same machine. Claims the UUID for this host otherwise."""
    libvirt_uuid = _libvirt_uuid(merged)
    if libvirt_uuid is None:
        return None
    owner = claimed.setdefault(machine_uuid(row.transport, row.address, libvirt_uuid), (row.id, row.name))
    return None if owner[0] == row.id else owner[1]


def _tell_edges(batch: Batch, edges: list[tuple[MergedReport, HostConnection]]) -> None:
    """Write an event for each real change: not when the log's last word on the connection says the same.

    So a restart of Vigie, which connects to all hosts anew, does not fill the log.
    """
    if not edges:
        return
    event = table(models.Event).c
    kinds = [kind for kind, _, _ in _EDGES.values()]
    last = sa.select(sa.func.max(event.id)).where(
        event.object_id.in_([item.host_id for item, _ in edges]), event.kind.in_(kinds)
    )
    query = sa.select(event.object_id, event.kind).where(event.id.in_(last.group_by(event.object_id)))
    logged = {row.object_id: row.kind for row in batch.session.execute(query)}
    for item, connection in edges:
        kind, severity, message = _EDGES[connection]
        if logged.get(item.host_id) != kind:
            batch.publish(
                kind,
                message,
                {"name": item.host_name},
                object_kind=ObjectKind.HOST,
                object_id=item.host_id,
                object_name=item.host_name,
                host=item.host,
                severity=severity,
            )
