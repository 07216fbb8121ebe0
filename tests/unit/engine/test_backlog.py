from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from app.core.hosts.states import HostState
from app.core.inventory.reports import Hint, HostReport, HostSnapshot
from app.core.inventory.usage import Usage
from app.core.vms.observations import VmDefinition, VmObservation
from app.core.vms.states import VmState
from app.engine.backlog import is_complete, settle

DEFINITION = VmDefinition("<x/>", "d", "hvm", "x86_64", "q35", "bios", "kvm", 1, 1, "default", None, 1, 1)
STATES = (VmState.RUNNING, VmState.SHUTOFF, VmState.PAUSED)


def vm(uuid: str, state: VmState, *, whole: bool) -> VmObservation:
    definition = DEFINITION if whole else None
    return VmObservation(uuid, uuid, state, None, None, True, False, False, definition=definition)


def report(kind: str, state: VmState) -> HostReport:
    empty = HostReport("h", datetime(2026, 1, 1, tzinfo=UTC))
    everything = tuple(vm(uuid, state, whole=True) for uuid in "abc")
    match kind:
        case "complete":
            return replace(empty, snapshot=HostSnapshot(everything, (), ()))
        case "listing":
            return replace(empty, snapshot=HostSnapshot(tuple(vm(u, state, whole=False) for u in "abc")))
        case "single":
            return replace(empty, vms=(vm("a", state, whole=True),), hints=(Hint("vm", "a", "started"),))
        case "edge":
            return replace(empty, state=HostState.NOT_ANSWERING)
        case _:
            return replace(empty, host_usage=Usage(1.0), vm_usage={"a": Usage(2.0)})


def last_states(reports: list[HostReport]) -> dict[str, VmState]:
    """What a reader of all reports would believe in the end."""
    believed: dict[str, VmState] = {}
    for each in reports:
        for seen in (*((each.snapshot.vms if each.snapshot else None) or ()), *each.vms):
            believed[seen.uuid] = seen.state
    return believed


kinds = st.sampled_from(["complete", "listing", "single", "edge", "usage"])
histories = st.lists(st.builds(report, kinds, st.sampled_from(STATES)), max_size=30)


@given(histories)
def test_the_end_of_the_story_stays_the_same(history: list[HostReport]) -> None:
    short = settle(history)
    assert last_states(short) == last_states(history)
    assert [each.state for each in short if each.state] == [each.state for each in history if each.state]
    assert [hint for each in short for hint in each.hints] == [
        hint for each in history for hint in each.hints
    ]
    assert any(is_complete(each) for each in short) == any(is_complete(each) for each in history)


@given(histories)
def test_what_was_overtaken_goes(history: list[HostReport]) -> None:
    short = settle(history)
    assert sum(each.vm_usage is not None for each in short) <= 1
    assert sum(is_complete(each) for each in short) <= 1
    assert settle(short) == short


def test_pools_outlive_later_listings_of_vms() -> None:
    stock = HostReport("h", None, snapshot=HostSnapshot(pools=(), networks=()))
    for later in ("complete", "listing"):
        short = settle([stock, report(later, VmState.RUNNING)])
        assert [each.snapshot.pools for each in short if each.snapshot] == [
            (),
            () if later == "complete" else None,
        ]


def test_saved_definitions_are_kept_until_a_complete_reading() -> None:
    saved = HostReport("h", None, saved={"a": DEFINITION})
    assert settle([saved, report("listing", VmState.RUNNING)])[0].saved == {"a": DEFINITION}
    assert [each.saved for each in settle([saved, report("complete", VmState.RUNNING)])] == [{}]


def test_an_endless_flood_of_events_is_bounded() -> None:
    flood = [report("single", VmState.RUNNING)] * 1000
    assert sum(len(each.hints) for each in settle(flood)) == 200
