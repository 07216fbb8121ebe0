"""Reports of one host that are written together: what a later one did not read stays from the earlier one."""

from __future__ import annotations

from dataclasses import replace

from app.core.inventory.reports import HostReport, HostSnapshot
from app.core.storage.observations import PoolObservation, VolumeObservation
from app.inventory.merged_report import gather

VOLUME = VolumeObservation("a", "/p/a", "file", "raw", 1, 1, None)
POOL = PoolObservation("u", "p", "dir", "running", True, True, 1, 1, 1, "/p", volumes=(VOLUME,))


def report(pool: PoolObservation) -> HostReport:
    return HostReport("host_1", None, snapshot=HostSnapshot(pools=(pool,)))


def test_a_listing_without_volumes_does_not_hide_those_that_a_task_has_just_told() -> None:
    later = replace(POOL, volumes=None, allocation_bytes=7)
    (seen,) = gather([report(POOL), report(later)])["host_1"].pools or ()
    assert (seen.volumes, seen.allocation_bytes) == ((VOLUME,), 7)


def test_a_later_listing_with_volumes_counts() -> None:
    (seen,) = gather([report(POOL), report(replace(POOL, volumes=()))])["host_1"].pools or ()
    assert seen.volumes == ()
