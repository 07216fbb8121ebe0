"""Which of two readings of the same thing is the newer one: the one that began later, whichever ends first.

Several threads read a host at the same time, and tasks read it too. A slow reading that began before another one
must not be written over it. Times are those of `time.monotonic()`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from app.core.inventory.reports import HostReport, HostSnapshot
from app.core.storage.observations import PoolObservation, VolumeObservation


@dataclass(slots=True)
class _Newest:
    """When the newest reading of each thing of a host began."""

    lists: dict[str, float] = field(default_factory=dict)  # pools, networks, filters; vms: with definitions
    vms: dict[str, float] = field(default_factory=dict)  # single VMs, by UUID; those after the last list only
    volumes: dict[str, float] = field(default_factory=dict)  # by UUID of the pool
    leases: dict[str, float] = field(default_factory=dict)  # by UUID of the network


class ReadingOrder:
    """Remembers, per host, when what was admitted began to be read. Its user locks."""

    def __init__(self) -> None:
        self._hosts: defaultdict[str, _Newest] = defaultdict(_Newest)

    def admit(self, report: HostReport) -> HostReport:
        """The report without what newer readings have told already. Reports without a beginning are taken whole."""
        began, newest = report.began_s, self._hosts[report.host_id]
        snapshot = report.snapshot
        if snapshot is not None and began is not None:
            snapshot = _admit_lists(newest, snapshot, began)
        vms = [vm for vm in report.vms if _is_newest_vm(newest, vm.uuid, vm.read_from_s or began)]
        gone = [uuid for uuid in report.gone_vms if _is_newest_vm(newest, uuid, began)]
        saved = {
            uuid: each
            for uuid, each in report.saved.items()
            if began is None or newest.vms.get(uuid, began) <= began
        }
        return replace(report, snapshot=snapshot, vms=tuple(vms), gone_vms=tuple(gone), saved=saved)

    def forget(self, host_id: str) -> None:
        """Forget a host."""
        self._hosts.pop(host_id, None)


def _is_newest_vm(newest: _Newest, uuid: str, began: float | None) -> bool:
    if began is None:
        return True
    if began < max(newest.vms.get(uuid, began), newest.lists.get("vms", began)):
        return False
    newest.vms[uuid] = began
    return True


def _admit_lists(newest: _Newest, snapshot: HostSnapshot, began: float) -> HostSnapshot:
    kept: dict[str, Any] = {}
    for name in ("networks", "filters"):
        if getattr(snapshot, name) is not None and not _note(newest.lists, name, began):
            kept[name] = None
    if snapshot.leases is not None:
        kept["leases"] = {
            uuid: each for uuid, each in snapshot.leases.items() if _note(newest.leases, uuid, began)
        }
    if snapshot.vms is not None:
        kept |= _admit_vms(newest, snapshot, began)
    if snapshot.pools is not None:
        kept |= _admit_pools(newest, snapshot.pools, began)
    return replace(snapshot, **kept) if kept else snapshot


def _admit_vms(newest: _Newest, snapshot: HostSnapshot, began: float) -> dict[str, Any]:
    """A listing says nothing of the VMs that were read by themselves since it began."""
    vms = snapshot.vms or ()
    if began < newest.lists.get("vms", began):
        return {"vms": None}
    newer = frozenset(uuid for uuid, at in newest.vms.items() if at > began)
    if not vms or any(vm.definition is not None for vm in vms):
        newest.lists["vms"] = began
        newest.vms = {uuid: at for uuid, at in newest.vms.items() if at > began}
    if not newer:
        return {}
    return {"vms": tuple(vm for vm in vms if vm.uuid not in newer), "newer_vms": newer}


def _admit_pools(newest: _Newest, pools: tuple[PoolObservation, ...], began: float) -> dict[str, Any]:
    """An older list of pools may still have the newest volumes of some: these are kept without it."""
    admitted: Mapping[str, tuple[VolumeObservation, ...]] = {
        pool.uuid: pool.volumes
        for pool in pools
        if pool.volumes is not None and _note(newest.volumes, pool.uuid, began)
    }
    if not _note(newest.lists, "pools", began):
        return {"pools": None, "volumes": dict(admitted) or None}
    there = {pool.uuid for pool in pools}
    newest.volumes = {uuid: at for uuid, at in newest.volumes.items() if uuid in there}
    if all(pool.volumes is None or pool.uuid in admitted for pool in pools):
        return {}
    return {"pools": tuple(replace(pool, volumes=admitted.get(pool.uuid)) for pool in pools)}


def _note(times: dict[str, float], key: str, began: float) -> bool:
    """Note a reading unless a newer one is known; return whether it was noted."""
    if began < times.get(key, began):
        return False
    times[key] = began
    return True
