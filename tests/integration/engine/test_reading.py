"""What a reader keeps for itself: guests and pools that hang, and readings that overlap."""

import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.core.errors import HostError
from app.core.inventory.reports import Hint
from app.core.vms.observations import VmDefinition
from app.engine.chores import GUESTS, POOLS
from app.engine.reading import GUEST_FIRST_S, HUNG_RETRY_S, STIRRED_S, Reader
from app.hypervisor import Host
from app.lab.fleet import Fleet
from app.lab.lab import Lab
from tests.integration.hypervisor.targets import local_target, simulated_target
from tests.integration.waiting import wait_for_agent

pytestmark = [pytest.mark.lab]
STUCK, WELL = "00000000-0000-4000-8000-000000000001", "f0000000-0000-4000-8000-000000000002"


def test_a_guest_that_hangs_is_put_off_and_its_neighbours_answers_are_kept(fresh_lab: Lab) -> None:
    lab_host = fresh_lab.hosts[0]
    for name, uuid in (("stuck", STUCK), ("well", WELL)):
        lab_host.create_guest(name, start=True, uuid=uuid)
    for uuid in (STUCK, WELL):
        wait_for_agent(lab_host, uuid)
    host = Host.open(local_target(lab_host), connect_deadline_s=5, call_deadline_s=1.0)
    try:
        reader = Reader("host")
        reader.sync(host)
        lab_host.freeze_qemu("stuck")
        time.sleep(GUEST_FIRST_S[0])
        rounds = [reader.guests(host), reader.guests(host)]  # the stuck one ends the first
        assert [list(each.guests) for each in rounds if each is not None] == [[WELL]]
        now = time.monotonic()
        assert reader.wants(now)[GUESTS] > now + GUEST_FIRST_S[1] / 2, "nobody is due again at once"
        assert host.is_open
    finally:
        host.close()


def test_volumes_that_events_ask_for_are_neither_put_off_by_other_work_nor_asked_of_a_hung_pool_again(
    fresh_lab: Lab,
) -> None:
    """Each chore that ended planned their reading anew: later under a flood of events, at once after a failure."""
    lab_host = fresh_lab.hosts[0]
    host = Host.open(local_target(lab_host), connect_deadline_s=5, call_deadline_s=1.0)
    try:
        reader = Reader("host")
        pool = host.read_pools(volumes=False)[0].uuid
        reader.follow(host, [Hint("pool", pool, "refreshed")])
        now = time.monotonic()
        assert reader.wants(now)[POOLS] == reader.wants(now + 5)[POOLS] <= now + STIRRED_S
        lab_host.freeze()
        try:
            with pytest.raises(HostError):
                reader.pools(host)
        finally:
            lab_host.thaw()
        now = time.monotonic()
        assert reader.wants(now)[POOLS] > now + HUNG_RETRY_S / 2
    finally:
        host.close()


def test_a_slow_read_of_saved_definitions_keeps_what_a_sync_fills_in_meanwhile(
    make_fleet: Callable[..., Fleet], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lanes shared a set: the slow one emptied it at its end, with what had come in since it began."""
    host = Host.open(simulated_target(make_fleet(1)), connect_deadline_s=10, call_deadline_s=10)
    begun, go_on, read = threading.Event(), threading.Event(), host.read_saved

    def slow(uuids: Collection[str]) -> tuple[dict[str, VmDefinition], dict[str, int]]:
        begun.set()
        assert go_on.wait(30)
        return read(uuids)

    try:
        reader = Reader("host")
        reader.sync(host)
        monkeypatch.setattr(host, "read_saved", slow)
        with ThreadPoolExecutor() as pool:
            first = pool.submit(reader.saved, host)
            assert begun.wait(30)
            reader.sync(host)
            go_on.set()
            told = first.result()
        again = reader.saved(host)
        assert told is not None
        assert again is not None, "the second sync asked for them too"
        assert set(again.saved) == set(told.saved) != set()
    finally:
        host.close()
