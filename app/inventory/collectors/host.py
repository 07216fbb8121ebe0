"""The host itself: facts, the compatibility report, and what it offers to VMs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa
from pydantic import TypeAdapter

from app.core.hosts.capabilities import HostCapabilities
from app.core.hosts.compatibility import report as compatibility
from app.core.hosts.observations import Check, HostFacts
from app.core.inventory.reports import Hint, Parts
from app.core.vms.observations import VmObservation
from app.db import models
from app.hypervisor import Host
from app.inventory.batch import Batch, Row, table
from app.inventory.collectors.collector import Collector, HostMemory, Lane, Poll
from app.inventory.collectors.networks import NETWORKS
from app.inventory.collectors.storage import STORAGE
from app.inventory.collectors.vms import VMS
from app.inventory.hosts import checks_columns, facts_columns, host_search_text
from app.inventory.merged_report import Reading
from app.inventory.storage.readings import StorageReading

HOST_CAPABILITIES = TypeAdapter(HostCapabilities)


@dataclass(frozen=True, slots=True)
class HostReading:
    """What was read of a host. A field that is None was not read, or cannot be told."""

    facts: HostFacts | None = None
    checks: tuple[Check, ...] | None = None
    capabilities: HostCapabilities | None = None


class _LastVms:
    """The VMs of the last complete reading, until they are judged; then nothing, since they take much memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._vms: tuple[VmObservation, ...] | None = None

    def put(self, vms: tuple[VmObservation, ...]) -> None:
        with self._lock:
            self._vms = vms

    def put_back(self, vms: tuple[VmObservation, ...] | None) -> None:
        with self._lock:
            self._vms = vms if self._vms is None else self._vms

    def take(self) -> tuple[VmObservation, ...] | None:
        with self._lock:
            vms, self._vms = self._vms, None
        return vms


def read_host(memory: HostMemory, host: Host) -> Parts:
    """What the host is and has, and what that means for its VMs. Pools and networks come with it."""
    last = memory.of(_LastVms)
    vms = last.take()
    try:
        facts, capabilities = host.read_facts(), host.read_domain_capabilities()
        # Last: what a task makes meanwhile must be in it.
        pools, networks = host.read_pools(volumes=False), host.read_networks()
    except BaseException:
        last.put_back(vms)
        raise
    reading = HostReading(facts, compatibility(facts, pools, vms or ()), capabilities)
    return {**HOST.part(reading), **STORAGE.part(StorageReading(pools)), **NETWORKS.part(networks)}


FACTS = Poll("facts", Lane.STATISTICS, slack_s=90.0, read=read_host, first_s=lambda load: 0.0)


class HostCollector(Collector[HostReading]):
    """Keeps facts, checks and what VMs can have on the host."""

    name = "host"
    polls = (FACTS,)

    def derive(self, memory: HostMemory, parts: Parts, hints: Sequence[Hint]) -> Parts:
        """Keep the VMs of a complete reading for the checks."""
        vms = VMS.of(parts)
        if vms is not None and vms.is_full:
            memory.of(_LastVms).put(tuple(_without_xml(vm) for vm in vms.listed.values()))
        return {}

    def merge(self, earlier: HostReading, later: HostReading) -> HostReading:
        """What the later reading has, and the rest from the earlier one."""
        return HostReading(
            later.facts or earlier.facts,
            later.checks if later.checks is not None else earlier.checks,
            later.capabilities or earlier.capabilities,
        )

    def write(self, batch: Batch, readings: Sequence[Reading[HostReading]]) -> None:
        """Write them whole: they change with hardware and software only."""
        for reading in readings:
            columns = _columns(reading, batch)
            if columns:
                batch.update(models.Host, reading.host_id, columns)
                batch.topics.add(reading.host_id)
        capabilities = {
            item.host_id: item.value.capabilities for item in readings if item.value.capabilities is not None
        }
        if capabilities:
            _write_offers(batch, capabilities)


def _without_xml(vm: VmObservation) -> VmObservation:
    return replace(vm, definition=replace(vm.definition, xml="", devices=())) if vm.definition else vm


def _columns(reading: Reading[HostReading], batch: Batch) -> Row:
    row, facts, columns = reading.merged.row, reading.value.facts, Row()
    if row is not None and facts is not None:
        columns |= facts_columns(row.transport, row.address, facts)
        columns["search_text"] = host_search_text(row.name, row.address, facts.hostname, row.tags)
    if reading.value.checks is not None:
        columns |= checks_columns(reading.value.checks, batch.now)
    return columns


def _write_offers(batch: Batch, capabilities: dict[str, HostCapabilities]) -> None:
    rows = table(models.HostCapabilities).c
    known = set(batch.session.scalars(sa.select(rows.host_id).where(rows.host_id.in_(list(capabilities)))))
    for host_id, offered in capabilities.items():
        row = {"capabilities": HOST_CAPABILITIES.dump_python(offered, mode="json"), "read_at": batch.now}
        if host_id in known:
            batch.update(models.HostCapabilities, host_id, row, by="host_id")
        else:
            batch.insert(models.HostCapabilities, {"host_id": host_id, **row})


HOST = HostCollector()
