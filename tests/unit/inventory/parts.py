"""Parts of reports, as collectors make them, from what tests say was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.core.hosts.capabilities import HostCapabilities
from app.core.hosts.observations import Check, HostFacts
from app.core.inventory.conditions import ObservedCondition
from app.core.inventory.reports import Parts
from app.core.inventory.usage import Usage
from app.core.networks.observations import Lease, NetworkObservation, NwfilterObservation
from app.core.storage.observations import PoolObservation
from app.core.vms.observations import DefinitionObservation, GuestInfo, VmObservation
from app.inventory.collectors.guest_agents import GUESTS
from app.inventory.collectors.host import HOST, HostReading
from app.inventory.collectors.leases import LEASES
from app.inventory.collectors.networks import NETWORKS
from app.inventory.collectors.nwfilters import NWFILTERS
from app.inventory.collectors.observed_conditions import CONDITIONS
from app.inventory.collectors.storage import STORAGE
from app.inventory.collectors.usage import USAGE, UsageReading
from app.inventory.collectors.vms import VMS
from app.inventory.storage.readings import StorageReading
from app.inventory.vms.readings import VmReadings, merge


def parts_of(
    *,
    listing: Sequence[VmObservation] | None = None,
    vms: Sequence[VmObservation] = (),
    gone_vms: Sequence[str] = (),
    saved: Mapping[str, DefinitionObservation] | None = None,
    pools: tuple[PoolObservation, ...] | None = None,
    networks: tuple[NetworkObservation, ...] | None = None,
    nwfilters: tuple[NwfilterObservation, ...] | None = None,
    leases: Mapping[str, tuple[Lease, ...]] | None = None,
    facts: HostFacts | None = None,
    checks: tuple[Check, ...] | None = None,
    capabilities: HostCapabilities | None = None,
    host_usage: Usage | None = None,
    vm_usage: Mapping[str, Usage] | None = None,
    guests: Mapping[str, GuestInfo] | None = None,
    conditions: Mapping[str, tuple[ObservedCondition, ...]] | None = None,
) -> Parts:
    """All that was seen, by collector. `listing`: all VMs of the host; `vms`: those read by themselves."""
    found: dict[str, object] = {}
    if listing is not None or vms or gone_vms or saved is not None:
        single = VmReadings.single(*vms, gone=gone_vms)
        seen = single if listing is None else merge(VmReadings.listing(listing), single)
        found |= VMS.part(VmReadings(seen.listed, seen.complete, seen.unsure, seen.gone, saved or {}))
    if pools is not None:
        found |= STORAGE.part(StorageReading(pools))
    if networks is not None:
        found |= NETWORKS.part(networks)
    if nwfilters is not None:
        found |= NWFILTERS.part(nwfilters)
    if leases is not None:
        found |= LEASES.part(leases)
    if facts is not None or checks is not None or capabilities is not None:
        found |= HOST.part(HostReading(facts, checks, capabilities))
    if host_usage is not None or vm_usage is not None:
        found |= USAGE.part(UsageReading(host_usage, vm_usage))
    if guests is not None:
        found |= GUESTS.part(guests)
    if conditions is not None:
        found |= CONDITIONS.part(conditions)
    return found
