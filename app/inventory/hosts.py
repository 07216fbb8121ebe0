"""The host's own row: state and its edges, facts, checks, usage."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from app.core.casefold import fold
from app.core.hosts.observations import Check, HostFacts
from app.core.hosts.states import HostState, Transport, Verdict
from app.core.inventory.usage import Usage
from app.core.kinds import ObjectKind, Severity
from app.core.messages import N_
from app.db import models
from app.inventory.batch import Batch, Row, table
from app.inventory.merged_report import News
from app.inventory.usage import COLUMNS as USAGE
from app.inventory.usage import rounded

FACTS = TypeAdapter(HostFacts)
CHECKS = TypeAdapter(tuple[Check, ...])

_READ = (
    *(
        "id",
        "name",
        "transport",
        "address",
        "enabled",
        "maintenance",
        "state",
        "state_reason",
        "state_params",
    ),
    *("fingerprint_seen", "libvirt_uuid", "synced_at", "hostname", "tags", *USAGE),
)

_EDGES: dict[HostState, tuple[str, Severity, str]] = {
    HostState.CONNECTED: ("host.connected", Severity.INFO, N_("Host %(name)s is connected.")),
    HostState.NOT_ANSWERING: ("host.not_answering", Severity.WARNING, N_("Host %(name)s does not answer.")),
    HostState.AUTH_FAILED: ("host.auth_failed", Severity.ERROR, N_("Host %(name)s refused the sign-in.")),
    HostState.IDENTITY_CHANGED: (
        "host.identity_changed",
        Severity.ERROR,
        N_("Host %(name)s shows another identity than the confirmed one."),
    ),
}
_EDGES[HostState.MAINTENANCE] = _EDGES[HostState.CONNECTED]


def machine_uuid(transport: str, address: str, libvirt_uuid: str) -> str:
    """The UUID that tells machines apart. Simulated hosts have none of their own: theirs comes from their file."""
    if transport == Transport.SIMULATED:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"simulated:{address}"))
    return libvirt_uuid


def facts_columns(transport: str, address: str, facts: HostFacts) -> Row:
    """Columns of a host that its facts fill."""
    return {
        "libvirt_uuid": machine_uuid(transport, address, facts.libvirt_uuid),
        "hostname": facts.hostname,
        "libvirt_version": facts.libvirt_version,
        "hypervisor_version": f"{facts.hypervisor} {facts.hypervisor_version}",
        "cpu_model": facts.cpu_name or facts.cpu_model,
        "cpus": facts.cpus,
        "memory_bytes": facts.memory_bytes,
        "facts": FACTS.dump_python(facts, mode="json"),
    }


def checks_columns(checks: Sequence[Check], batch_now: object) -> Row:
    """Columns of a host that its compatibility report fills."""
    weight = [Verdict.PASS, Verdict.WARN, Verdict.FAIL]
    worst = max((Verdict(check.verdict) for check in checks), key=weight.index, default=None)
    dumped = CHECKS.dump_python(tuple(checks), mode="json")
    return {"checks": dumped, "worst_check": worst.value if worst else None, "checked_at": batch_now}


def host_search_text(name: str, address: str, hostname: str | None, tags: Sequence[str]) -> str:
    """What the search looks through."""
    return fold("\n".join([name, address, hostname or "", *tags]))


def observe_hosts(batch: Batch, news: dict[str, News]) -> dict[str, News]:
    """Write the rows of the hosts and return the news of those whose listings are to be believed.

    Hosts that were removed or disabled in the meantime say nothing any more.
    """
    host = table(models.Host).c
    query: sa.Select[Any] = sa.select(*(host[name] for name in _READ)).where(host.id.in_(news))
    query = query.order_by(host.id)
    rows = batch.session.execute(query.with_for_update()).all()
    claimed = _claimed_uuids(batch, [(row, news[row.id]) for row in rows])
    believed: dict[str, News] = {}
    edges: list[tuple[News, HostState]] = []
    for row in rows:
        each = news[row.id]
        each.host_name = row.name
        each.first = row.synced_at is None and each.complete
        if _observe_host(batch, row, each, claimed, edges):
            believed[row.id] = each
    _tell_edges(batch, edges)
    _tell_turned(batch, [each.host_id for each in news.values() if each.turned])
    return believed


def _tell_turned(batch: Batch, host_ids: list[str]) -> None:
    """What is shown of the VMs of hosts that were lost or came back turns stale or fresh."""
    if host_ids:
        vm = table(models.Vm).c
        batch.topics.update(batch.session.scalars(sa.select(vm.id).where(vm.host_id.in_(host_ids))))


def _observe_host(
    batch: Batch,
    row: sa.Row[Any],
    news: News,
    claimed: dict[str, tuple[str, str]],
    edges: list[tuple[News, HostState]],
) -> bool:
    """Write what changed of one host; return whether its listings count."""
    if not row.enabled:
        return False
    twin = _twin(row, news, claimed)
    if twin is not None:
        news.state = HostState.IDENTITY_CHANGED
        news.state_reason = N_(
            "This is the same machine as host %(host)s: it has the same libvirt host UUID."
        )
        news.state_params, news.facts, news.libvirt_uuid = {"host": twin}, None, None
    elif news.state is None and row.state == HostState.IDENTITY_CHANGED:
        return False
    changes = _state_changes(batch, row, news, edges) | _content_changes(batch, row, news)
    if changes:
        batch.topics.add(row.id)
    if news.seen_at is not None:
        changes["observed_at"] = news.seen_at
    if twin is None and news.has_definitions:
        changes["synced_at"] = news.seen_at or batch.now
    if changes:
        batch.update(models.Host, row.id, changes)
    return twin is None


def _state_changes(batch: Batch, row: sa.Row[Any], news: News, edges: list[tuple[News, HostState]]) -> Row:
    if news.state is None:
        return {}
    state = news.state
    if state is HostState.CONNECTED and row.maintenance:
        state = HostState.MAINTENANCE
    changes: Row = {}
    if state != row.state:
        changes |= {"state": state.value, "state_since": batch.now}
        news.turned = state.is_usable != HostState(row.state).is_usable
        if state in _EDGES:
            edges.append((news, state))
    if news.state_reason != row.state_reason or news.state_params != row.state_params:
        changes |= {"state_reason": news.state_reason, "state_params": news.state_params}
    seen = None if state.is_usable else news.fingerprint_seen or row.fingerprint_seen
    if seen != row.fingerprint_seen:
        changes["fingerprint_seen"] = seen
    return changes


def _content_changes(batch: Batch, row: sa.Row[Any], news: News) -> Row:
    changes: Row = {}
    if news.libvirt_uuid is not None:
        machine = machine_uuid(row.transport, row.address, news.libvirt_uuid)
        if machine != row.libvirt_uuid:
            changes["libvirt_uuid"] = machine
    if news.facts is not None:
        changes |= facts_columns(row.transport, row.address, news.facts)
        changes["search_text"] = host_search_text(row.name, row.address, news.facts.hostname, row.tags)
    if news.checks is not None:
        changes |= checks_columns(news.checks, batch.now)
    usage = news.host_usage
    if usage is None and news.state is not None and not news.state.is_usable:
        usage = Usage() if news.state is HostState.DISABLED else None
    if usage is not None:
        wanted = rounded(usage)
        if wanted != tuple(row[-len(USAGE) :]):
            changes |= dict(zip(USAGE, wanted, strict=True))
    return changes


def _claimed_uuids(batch: Batch, pairs: list[tuple[sa.Row[Any], News]]) -> dict[str, tuple[str, str]]:
    """Which host (id, name) has which of the machine UUIDs that were reported now."""
    reported = {
        machine_uuid(row.transport, row.address, news.libvirt_uuid)
        for row, news in pairs
        if news.libvirt_uuid is not None
    }
    if not reported:
        return {}
    host = table(models.Host).c
    query = sa.select(host.libvirt_uuid, host.id, host.name).where(host.libvirt_uuid.in_(reported))
    return {row.libvirt_uuid: (row.id, row.name) for row in batch.session.execute(query)}


def _twin(row: sa.Row[Any], news: News, claimed: dict[str, tuple[str, str]]) -> str | None:
    """Name of another registered host that is the same machine. Claims the UUID for this host otherwise."""
    if news.libvirt_uuid is None:
        return None
    owner = claimed.setdefault(
        machine_uuid(row.transport, row.address, news.libvirt_uuid), (row.id, row.name)
    )
    return None if owner[0] == row.id else owner[1]


def _tell_edges(batch: Batch, edges: list[tuple[News, HostState]]) -> None:
    """Write an event for each real change: not when the log's last word on the connection says the same.

    So a restart of Vigie, which connects to all hosts anew, does not fill the log.
    """
    if not edges:
        return
    event = table(models.Event).c
    kinds = [kind for kind, _, _ in _EDGES.values()]
    last = sa.select(sa.func.max(event.id)).where(
        event.object_id.in_([news.host_id for news, _ in edges]), event.kind.in_(kinds)
    )
    query = sa.select(event.object_id, event.kind).where(event.id.in_(last.group_by(event.object_id)))
    logged = {row.object_id: row.kind for row in batch.session.execute(query)}
    for news, state in edges:
        kind, severity, message = _EDGES[state]
        if logged.get(news.host_id) != kind:
            batch.tell(
                kind,
                message,
                {"name": news.host_name},
                object_kind=ObjectKind.HOST,
                object_id=news.host_id,
                object_name=news.host_name,
                host=news.host,
                severity=severity,
            )
