"""Readings that overlap: the one that began later counts, whichever ends first."""

from __future__ import annotations

from dataclasses import replace

from app.core.inventory.reports import HostReport, HostSnapshot
from app.core.networks.observations import NetworkObservation
from app.core.storage.observations import PoolObservation, VolumeObservation
from app.core.vms.observations import VmObservation
from app.core.vms.states import VmState
from app.engine.backlog import settle
from app.engine.reading_order import ReadingOrder
from app.inventory.merged_report import News, gather
from tests.unit.inventory.test_observe import definition

HOST = "host_1"
VOLUME = VolumeObservation("a", "/p/a", "file", "raw", 1, 1, None)
POOL = PoolObservation("pool", "p", "dir", "running", True, True, 1, 1, 1, "/p")
NETWORK = NetworkObservation("net", "default", True, True, True, "virbr0", "nat")


def vm(uuid: str, state: str = "running", *, at: float = 0.0, defined: bool = True) -> VmObservation:
    return VmObservation(
        uuid, uuid, VmState(state), None, 1, True, False, False,
        definition=definition() if defined else None, read_from_s=at,
    )  # fmt: skip


def pools(began: float, *seen: PoolObservation) -> HostReport:
    return HostReport(HOST, None, snapshot=HostSnapshot(pools=seen), began_s=began)


def listing(began: float, *vms: VmObservation) -> HostReport:
    return HostReport(HOST, None, snapshot=HostSnapshot(vms=vms), began_s=began)


def folded(*reports: HostReport) -> News:
    """What the mirror gets to see of reports that came in this order."""
    order = ReadingOrder()
    return gather([order.admit(report) for report in reports])[HOST]


def test_an_older_reading_of_pools_that_ends_later_does_not_overwrite_a_newer_one() -> None:
    off, on = replace(POOL, state="inactive"), POOL
    assert folded(pools(2.0, off), pools(1.0, on)).pools == (off,)
    assert folded(pools(1.0, on), pools(2.0, off)).pools == (off,)


def test_volumes_that_an_older_list_of_pools_has_alone_are_kept() -> None:
    seen = folded(pools(2.0, replace(POOL, state="degraded")), pools(1.0, replace(POOL, volumes=(VOLUME,))))
    assert seen.pools == (replace(POOL, state="degraded", volumes=(VOLUME,)),)


def test_volumes_alone_reach_the_mirror_in_a_batch_of_their_own() -> None:
    order = ReadingOrder()
    order.admit(pools(2.0, POOL))
    late = order.admit(pools(1.0, replace(POOL, volumes=(VOLUME,))))
    seen = gather([late])[HOST]
    assert (seen.pools, seen.volumes) == (None, {"pool": (VOLUME,)})


def test_older_volumes_do_not_overwrite_newer_ones_and_leave_the_newer_list_alone() -> None:
    seen = folded(
        pools(2.0, replace(POOL, volumes=())), pools(1.0, replace(POOL, volumes=(VOLUME,))), pools(3.0, POOL)
    )
    assert seen.pools == (replace(POOL, volumes=()),)


def test_an_older_reading_of_networks_does_not_overwrite_a_newer_one() -> None:
    def of(began: float, *networks: NetworkObservation) -> HostReport:
        return HostReport(HOST, None, snapshot=HostSnapshot(networks=networks), began_s=began)

    assert folded(of(2.0), of(1.0, NETWORK)).networks == ()


def test_a_listing_says_nothing_of_vms_that_were_read_by_themselves_since_it_began() -> None:
    single = HostReport(HOST, None, vms=(vm("a", "shutoff", at=2.0), vm("new", at=2.0)), began_s=2.0)
    seen = folded(single, listing(1.0, vm("a"), vm("b")))
    assert {uuid: each.state.value for uuid, each in seen.listed.items()} == {
        "a": "shutoff", "new": "running", "b": "running",
    }  # fmt: skip
    assert not seen.lacks("new")
    apart = ReadingOrder()
    apart.admit(single)
    late = gather([apart.admit(listing(1.0, vm("a")))])[HOST]
    assert not late.lacks("new"), "in a batch of its own"
    assert not late.lacks("a")
    assert late.lacks("c")


def test_a_vm_that_was_found_gone_does_not_come_back_with_an_older_listing() -> None:
    seen = folded(HostReport(HOST, None, gone_vms=("a",), began_s=2.0), listing(1.0, vm("a"), vm("b")))
    assert seen.lacks("a")
    assert set(seen.listed) == {"b"}


def test_an_older_reading_of_a_vm_does_not_overwrite_a_newer_one_of_it() -> None:
    def single(at: float, state: str) -> HostReport:
        return HostReport(HOST, None, vms=(vm("a", state, at=at),), began_s=at)

    assert folded(single(2.0, "shutoff"), single(1.0, "running")).listed["a"].state is VmState.SHUTOFF
    assert not folded(listing(2.0), single(1.0, "running")).listed


def test_saved_definitions_that_were_read_before_their_vm_by_itself_are_old_news() -> None:
    saved = HostReport(HOST, None, saved={"a": definition("old"), "b": definition("b")}, began_s=1.0)
    single = HostReport(HOST, None, vms=(vm("a", at=2.0),), began_s=2.0)
    order = ReadingOrder()
    order.admit(single)
    assert set(order.admit(saved).saved) == {"b"}


def test_what_waits_for_the_database_keeps_single_readings_that_are_newer_than_the_listing() -> None:
    order = ReadingOrder()
    single = order.admit(HostReport(HOST, None, vms=(vm("a", "shutoff", at=2.0),), began_s=2.0))
    reports = settle([single, order.admit(listing(1.0, vm("a"), vm("b")))])
    assert gather(reports)[HOST].listed["a"].state is VmState.SHUTOFF


def test_what_is_no_reading_is_taken_whole() -> None:
    order = ReadingOrder()
    order.admit(pools(5.0, POOL))
    report = HostReport(HOST, None, state_reason="Because.")
    assert order.admit(report) == report
