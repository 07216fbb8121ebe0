"""Reports of one host that wait or are written together: merged, they say what they said one after the other."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial, reduce

from hypothesis import given
from hypothesis import strategies as st

from app.core.hosts.states import HostConnection
from app.core.inventory.reports import Hint, HostReport
from app.core.inventory.usage import Usage
from app.core.storage.observations import PoolObservation, VolumeObservation
from app.core.vms.observations import DefinitionObservation, VmObservation
from app.core.vms.states import VmState
from app.inventory.collectors.all_collectors import COLLECTORS
from app.inventory.collectors.storage import STORAGE
from app.inventory.collectors.usage import USAGE
from app.inventory.collectors.vms import VMS
from app.inventory.merged_report import MAX_HINTS, merge
from app.inventory.vms.readings import VmReadings
from tests.unit.inventory.parts import parts_of

DEFINITION = DefinitionObservation(
    "<x/>", "d", "hvm", "x86_64", "q35", "bios", "kvm", 1, 1, "default", None, 1, 1
)
STATES = (VmState.RUNNING, VmState.SHUTOFF, VmState.PAUSED)
VOLUME = VolumeObservation("a", "/p/a", "file", "raw", 1, 1, None)
POOL = PoolObservation("u", "p", "dir", "running", True, True, 1, 1, 1, "/p", volumes=(VOLUME,))


def vm(uuid: str, state: VmState, *, whole: bool) -> VmObservation:
    definition = DEFINITION if whole else None
    return VmObservation(uuid, uuid, state, None, None, True, False, False, definition=definition)


def report(kind: str, state: VmState) -> HostReport:
    empty = HostReport("h", datetime(2026, 1, 1, tzinfo=UTC))
    match kind:
        case "complete":
            everything = tuple(vm(uuid, state, whole=True) for uuid in "abc")
            return replace(empty, parts=parts_of(listing=everything, pools=(), networks=()))
        case "listing":
            return replace(empty, parts=parts_of(listing=tuple(vm(u, state, whole=False) for u in "abc")))
        case "single":
            parts = parts_of(vms=(vm("a", state, whole=True),))
            return replace(empty, parts=parts, hints=(Hint("vm", "a", "started"),))
        case "gone":
            return replace(empty, parts=parts_of(gone_vms=("a",)))
        case "edge":
            return replace(empty, connection=HostConnection.NOT_ANSWERING)
        case _:
            return replace(empty, parts=parts_of(host_usage=Usage(1.0), vm_usage={"a": Usage(2.0)}))


def merged(*reports: HostReport) -> HostReport:
    return reduce(partial(merge, merge_parts=COLLECTORS.merge), reports)


def last_states(reports: list[HostReport]) -> dict[str, VmState | None]:
    """What a reader of all reports would believe in the end; None: it is gone."""
    believed: dict[str, VmState | None] = {}
    for item in reports:
        vms = VMS.of(item.parts) or VmReadings()
        believed |= {uuid: seen.state for uuid, seen in vms.listed.items()} | dict.fromkeys(vms.gone)
    return believed


kinds = st.sampled_from(["complete", "listing", "single", "gone", "edge", "usage"])
histories = st.lists(st.builds(report, kinds, st.sampled_from(STATES)), min_size=1, max_size=30)


@given(histories)
def test_the_end_of_the_story_stays_the_same(history: list[HostReport]) -> None:
    end = merged(*history)
    assert last_states([end]) == last_states(history)
    edges = [item.connection for item in history if item.connection]
    assert end.connection == (edges[-1] if edges else None)
    assert list(end.hints) == [hint for item in history for hint in item.hints]
    assert (USAGE.of(end.parts) is None) == all(USAGE.of(item.parts) is None for item in history)


def test_pools_outlive_later_listings_of_vms() -> None:
    pools = HostReport("h", None, parts=parts_of(pools=(POOL,)))
    seen = STORAGE.of(merged(pools, report("listing", VmState.RUNNING)).parts)
    assert seen is not None
    assert seen.pools == (POOL,)


def test_saved_definitions_are_kept_beside_what_runs() -> None:
    saved = HostReport("h", None, parts=parts_of(saved={"a": DEFINITION}))
    for later in ("listing", "complete"):
        seen = VMS.of(merged(saved, report(later, VmState.RUNNING)).parts)
        assert seen is not None
        assert seen.saved == {"a": DEFINITION}


def test_an_endless_flood_of_events_is_bounded() -> None:
    assert len(merged(*[report("single", VmState.RUNNING)] * 1000).hints) == MAX_HINTS


def test_a_listing_without_volumes_does_not_hide_those_that_a_task_has_just_reported() -> None:
    later = replace(POOL, volumes=None, allocation_bytes=7)
    seen = STORAGE.of(merged(_pools(POOL), _pools(later)).parts)
    assert seen is not None
    assert seen.pools == (replace(later, volumes=(VOLUME,)),)


def test_a_later_listing_with_volumes_counts() -> None:
    seen = STORAGE.of(merged(_pools(POOL), _pools(replace(POOL, volumes=()))).parts)
    assert seen is not None
    assert seen.pools == (replace(POOL, volumes=()),)


def _pools(*pools: PoolObservation) -> HostReport:
    return HostReport("h", None, parts=parts_of(pools=pools))
