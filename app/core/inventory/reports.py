"""What one reading of a host says."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from app.core.hosts.capabilities import Offers
from app.core.hosts.observations import Check, HostFacts
from app.core.hosts.states import HostState
from app.core.inventory.conditions import ObservedCondition
from app.core.inventory.usage import Usage
from app.core.networks.observations import FilterObservation, Lease, NetworkObservation
from app.core.storage.observations import PoolObservation, VolumeObservation
from app.core.vms.observations import GuestInfo, VmDefinition, VmObservation


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """Everything listed on a host in one pass. A field that is None was not read this time.

    `libvirt_uuid` tells whose listings these are. Of `newer_vms` (UUIDs) something newer is known than `vms`, which
    says nothing of them.
    """

    vms: tuple[VmObservation, ...] | None = None
    pools: tuple[PoolObservation, ...] | None = None
    networks: tuple[NetworkObservation, ...] | None = None
    filters: tuple[FilterObservation, ...] | None = None
    leases: dict[str, tuple[Lease, ...]] | None = None  # of running networks, by UUID
    libvirt_uuid: str | None = None
    newer_vms: frozenset[str] = frozenset()
    volumes: dict[str, tuple[VolumeObservation, ...]] | None = None  # by the pool's UUID, without its pool


@dataclass(frozen=True, slots=True)
class HostReport:
    """What a coordinator has to say of its host; the mirror writes it. A field that is None says nothing.

    `snapshot.vms` is a complete listing (a VM that is not in it is missing); `vms` are single re-readings and
    `gone_vms` UUIDs that the host said it does not have. `state_reason` is a message id with `state_params`.
    `began_s` is the time.monotonic() at which the reading began; None for what is no reading.
    """

    host_id: str
    seen_at: datetime | None  # UTC; when the host last answered, None when this report is about silence
    state: HostState | None = None
    state_reason: str | None = None
    state_params: dict[str, str] = field(default_factory=dict)
    fingerprint_seen: str | None = None
    facts: HostFacts | None = None
    checks: tuple[Check, ...] | None = None
    offers: Offers | None = None
    snapshot: HostSnapshot | None = None
    vms: tuple[VmObservation, ...] = ()
    gone_vms: tuple[str, ...] = ()
    saved: dict[str, VmDefinition] = field(default_factory=dict)  # by UUID: what running VMs will be when off
    host_usage: Usage | None = None
    vm_usage: dict[str, Usage] | None = None  # by UUID; a VM without one is not running
    guests: dict[str, GuestInfo] = field(default_factory=dict)  # by UUID
    # By code of core.inventory.conditions that was looked for: all that hold on the host.
    conditions: dict[str, tuple[ObservedCondition, ...]] = field(default_factory=dict)
    hints: tuple[Hint, ...] = ()  # events that led to this reading, for the event log (crashed, rebooted…)
    began_s: float | None = None


@dataclass(frozen=True, slots=True)
class Hint:
    """An event from a host: something about `kind`/`uuid` may have changed. Never believed, always re-read."""

    kind: str  # vm, pool, network, host
    uuid: str | None
    what: str  # started, stopped, crashed, defined, undefined, agent, device, job, rebooted, ...
    detail: str | None = None
    seen_at_s: float = field(default=0.0)  # time.monotonic()
