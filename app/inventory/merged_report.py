"""What is new of one host: its reports of one batch, folded into one, later ones over earlier ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from app.core.hosts.capabilities import Offers
from app.core.hosts.observations import Check, HostFacts
from app.core.hosts.states import HostState
from app.core.inventory.conditions import ObservedCondition
from app.core.inventory.reports import Hint, HostReport, HostSnapshot
from app.core.inventory.usage import Usage
from app.core.networks.observations import FilterObservation, Lease, NetworkObservation
from app.core.storage.observations import PoolObservation, VolumeObservation
from app.core.vms.observations import GuestInfo, VmDefinition, VmObservation


@dataclass(slots=True)
class News:
    """Reports of one host as one. `complete`: a VM that is not `listed` is not on the host."""

    host_id: str
    host_name: str = ""
    seen_at: datetime | None = None
    state: HostState | None = None
    state_reason: str | None = None
    state_params: dict[str, str] = field(default_factory=dict)
    fingerprint_seen: str | None = None
    libvirt_uuid: str | None = None
    facts: HostFacts | None = None
    checks: tuple[Check, ...] | None = None
    offers: Offers | None = None
    listed: dict[str, VmObservation] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    saved: dict[str, VmDefinition] = field(
        default_factory=dict
    )  # of running VMs whose definition was not read in this batch
    complete: bool = False
    unsure: frozenset[str] = frozenset()  # VMs of which the complete listing says nothing: newer is known
    volumes: dict[str, tuple[VolumeObservation, ...]] = field(default_factory=dict)  # by UUID of the pool
    pools: tuple[PoolObservation, ...] | None = None
    networks: tuple[NetworkObservation, ...] | None = None
    filters: tuple[FilterObservation, ...] | None = None
    leases: dict[str, tuple[Lease, ...]] | None = None
    host_usage: Usage | None = None
    vm_usage: dict[str, Usage] | None = None
    guests: dict[str, GuestInfo] = field(default_factory=dict)
    conditions: dict[str, tuple[ObservedCondition, ...]] = field(
        default_factory=dict
    )  # by code: all that hold
    hints: list[Hint] = field(default_factory=list)
    first: bool = False  # the host was never read before
    turned: bool = False  # it was lost, or came back

    @property
    def host(self) -> tuple[str, str]:
        """Id and name of the host."""
        return self.host_id, self.host_name

    @property
    def has_definitions(self) -> bool:
        """Whether every listed VM came with its XML: a complete reading, not a poll."""
        return self.complete and all(vm.definition for vm in self.listed.values())

    def lacks(self, uuid: str) -> bool:
        """Whether the host says that it does not have the VM."""
        return uuid in self.gone or (self.complete and uuid not in self.listed and uuid not in self.unsure)

    def hinted(self, uuid: str, what: str, detail: str = "") -> bool:
        """Whether an event of the host said this of the VM."""
        return any(
            hint.uuid == uuid and hint.what == what and detail in (hint.detail or "") for hint in self.hints
        )

    def add(self, report: HostReport) -> None:
        """Fold a later report in."""
        self.seen_at = report.seen_at or self.seen_at
        if report.state is not None:
            self.state, self.state_reason = report.state, report.state_reason
            self.state_params = report.state_params
        self.fingerprint_seen = report.fingerprint_seen or self.fingerprint_seen
        self.facts = report.facts or self.facts
        if report.snapshot is not None:
            self.libvirt_uuid = report.snapshot.libvirt_uuid or self.libvirt_uuid
        if report.facts is not None:
            self.libvirt_uuid = report.facts.libvirt_uuid
        self.checks = report.checks if report.checks is not None else self.checks
        self.offers = report.offers or self.offers
        self._add_vms(report)
        self._add_pools(report.snapshot)
        if report.snapshot is not None and report.snapshot.networks is not None:
            self.networks = report.snapshot.networks
        if report.snapshot is not None and report.snapshot.filters is not None:
            self.filters = report.snapshot.filters
        if report.snapshot is not None and report.snapshot.leases is not None:
            self.leases = (self.leases or {}) | report.snapshot.leases
        self.saved.update(report.saved)
        self.host_usage = report.host_usage or self.host_usage
        self.vm_usage = report.vm_usage if report.vm_usage is not None else self.vm_usage
        self.guests.update(report.guests)
        self.conditions.update(report.conditions)
        self.hints += report.hints

    def _add_vms(self, report: HostReport) -> None:
        known = self.listed
        if report.snapshot is not None and report.snapshot.vms is not None:
            self.complete, self.unsure = True, report.snapshot.newer_vms
            self.listed = {uuid: vm for uuid, vm in known.items() if uuid in self.unsure}
            self.gone &= self.unsure
            self._list(report.snapshot.vms, known)
        self._list(report.vms, known)
        for uuid in report.gone_vms:
            self.gone.add(uuid)
            self.listed.pop(uuid, None)

    def _list(self, vms: Iterable[VmObservation], known: dict[str, VmObservation]) -> None:
        for vm in vms:
            before = known.get(vm.uuid)
            if before is not None and vm.definition is None and before.definition is not None:
                vm = replace(vm, definition=before.definition)
            if before is not None and vm.saved is None and vm.domain_id == before.domain_id:
                vm = replace(vm, saved=before.saved)
            self.gone.discard(vm.uuid)
            if vm.saved is not None:
                self.saved.pop(vm.uuid, None)
            self.listed[vm.uuid] = vm

    def _add_pools(self, snapshot: HostSnapshot | None) -> None:
        if snapshot is None:
            return
        if snapshot.pools is not None:
            self.pools = snapshot.pools
            self.volumes |= {each.uuid: each.volumes for each in snapshot.pools if each.volumes is not None}
        self.volumes |= snapshot.volumes or {}

    def join_volumes(self) -> None:
        """Put volumes to the pools that were listed in the same batch."""
        if self.pools is not None:
            self.pools = tuple(
                replace(pool, volumes=self.volumes.pop(pool.uuid, pool.volumes)) for pool in self.pools
            )

    def join_saved(self) -> None:
        """Put saved definitions to the VMs whose running ones were read in the same batch."""
        for uuid in self.saved.keys() & self.listed.keys():
            vm = self.listed[uuid]
            if vm.domain_id is None:
                del self.saved[uuid]
            elif vm.definition is not None:
                self.listed[uuid] = replace(vm, saved=self.saved.pop(uuid))


def gather(reports: Iterable[HostReport]) -> dict[str, News]:
    """The news of each host, by its id."""
    found: dict[str, News] = {}
    for report in reports:
        found.setdefault(report.host_id, News(report.host_id)).add(report)
    for each in found.values():
        each.join_saved()
        each.join_volumes()
    return found
