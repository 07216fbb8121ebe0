"""Readings that overlap: the one that began later counts, whichever ends first."""

from __future__ import annotations

from dataclasses import replace
from functools import partial, reduce

from app.core.inventory.reports import HostReport
from app.core.networks.observations import NetworkObservation
from app.core.storage.observations import PoolObservation, VolumeObservation
from app.core.vms.observations import VmObservation
from app.core.vms.states import VmState
from app.engine.reading_order import ReadingOrder
from app.inventory.collectors.all_collectors import COLLECTORS
from app.inventory.collectors.networks import NETWORKS
from app.inventory.collectors.storage import STORAGE
from app.inventory.collectors.vms import VMS
from app.inventory.merged_report import merge
from app.inventory.storage.readings import StorageReading
from app.inventory.vms.readings import VmReadings
from tests.unit.inventory.parts import parts_of
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


def report(began: float, **seen: object) -> HostReport:
    return HostReport(HOST, None, parts=parts_of(**seen), began_s=began)  # type: ignore[arg-type]


def pools(began: float, *seen: PoolObservation) -> HostReport:
    return report(began, pools=seen)


def listing(began: float, *vms: VmObservation) -> HostReport:
    return report(began, listing=vms)


def single(began: float, *vms: VmObservation) -> HostReport:
    return report(began, vms=vms)


def admitted(order: ReadingOrder, *reports: HostReport) -> HostReport:
    """What the mirror gets to see of reports that came in this order."""
    return reduce(partial(merge, merge_parts=COLLECTORS.merge), [order.admit(item) for item in reports])


def storage(*reports: HostReport) -> StorageReading:
    seen = STORAGE.of(admitted(ReadingOrder(COLLECTORS), *reports).parts)
    assert seen is not None
    return seen


def vms(*reports: HostReport, order: ReadingOrder | None = None) -> VmReadings:
    seen = VMS.of(admitted(order or ReadingOrder(COLLECTORS), *reports).parts)
    assert seen is not None
    return seen


def test_an_older_reading_of_pools_that_ends_later_does_not_overwrite_a_newer_one() -> None:
    off, on = replace(POOL, state="inactive"), POOL
    assert storage(pools(2.0, off), pools(1.0, on)).pools == (off,)
    assert storage(pools(1.0, on), pools(2.0, off)).pools == (off,)


def test_volumes_that_an_older_list_of_pools_has_alone_are_kept() -> None:
    seen = storage(pools(2.0, replace(POOL, state="degraded")), pools(1.0, replace(POOL, volumes=(VOLUME,))))
    assert seen.pools == (replace(POOL, state="degraded", volumes=(VOLUME,)),)


def test_volumes_alone_reach_the_mirror_in_a_batch_of_their_own() -> None:
    order = ReadingOrder(COLLECTORS)
    order.admit(pools(2.0, POOL))
    late = order.admit(pools(1.0, replace(POOL, volumes=(VOLUME,))))
    assert STORAGE.of(late.parts) == StorageReading(None, {"pool": (VOLUME,)})


def test_older_volumes_do_not_overwrite_newer_ones_and_leave_the_newer_list_alone() -> None:
    seen = storage(
        pools(2.0, replace(POOL, volumes=())), pools(1.0, replace(POOL, volumes=(VOLUME,))), pools(3.0, POOL)
    )
    assert seen.pools == (replace(POOL, volumes=()),)


def test_an_older_reading_of_networks_does_not_overwrite_a_newer_one() -> None:
    seen = admitted(ReadingOrder(COLLECTORS), report(2.0, networks=()), report(1.0, networks=(NETWORK,)))
    assert NETWORKS.of(seen.parts) == ()


def test_a_listing_says_nothing_of_vms_that_were_read_by_themselves_since_it_began() -> None:
    newer = single(2.0, vm("a", "shutoff", at=2.0), vm("new", at=2.0))
    seen = vms(newer, listing(1.0, vm("a"), vm("b")))
    assert {uuid: item.state.value for uuid, item in seen.listed.items()} == {
        "a": "shutoff", "new": "running", "b": "running",
    }  # fmt: skip
    assert not seen.lacks("new")
    apart = ReadingOrder(COLLECTORS)
    apart.admit(newer)
    late = vms(listing(1.0, vm("a")), order=apart)
    assert not late.lacks("new"), "in a batch of its own"
    assert not late.lacks("a")
    assert late.lacks("c")


def test_a_vm_that_was_found_gone_does_not_come_back_with_an_older_listing() -> None:
    seen = vms(report(2.0, gone_vms=("a",)), listing(1.0, vm("a"), vm("b")))
    assert seen.lacks("a")
    assert set(seen.listed) == {"b"}


def test_an_older_reading_of_a_vm_does_not_overwrite_a_newer_one_of_it() -> None:
    seen = vms(single(2.0, vm("a", "shutoff", at=2.0)), single(1.0, vm("a", at=1.0)))
    assert seen.listed["a"].state is VmState.SHUTOFF
    assert not vms(listing(2.0), single(1.0, vm("a", at=1.0))).listed


def test_saved_definitions_that_were_read_before_their_vm_by_itself_are_out_of_date() -> None:
    order = ReadingOrder(COLLECTORS)
    order.admit(single(2.0, vm("a", at=2.0)))
    saved = report(1.0, saved={"a": definition("old"), "b": definition("b")})
    assert set(vms(saved, order=order).saved) == {"b"}


def test_what_is_no_reading_is_taken_whole() -> None:
    order = ReadingOrder(COLLECTORS)
    order.admit(pools(5.0, POOL))
    reason = HostReport(HOST, None, connection_reason="Because.")
    assert order.admit(reason) == reason


def test_what_is_out_of_date_as_a_whole_leaves_no_part() -> None:
    order = ReadingOrder(COLLECTORS)
    order.admit(pools(5.0, POOL))
    assert order.admit(pools(4.0, replace(POOL, state="inactive"))).parts == {}
