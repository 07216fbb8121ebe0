"""What is remembered of one host: guests and pools that hang, and readings that overlap."""

import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.core.errors import HostError
from app.core.inventory.reports import Hint, Parts
from app.core.vms.observations import DefinitionObservation
from app.engine.hosts.reader import HostReader
from app.hypervisor import Host
from app.inventory.collectors import guest_agents, storage, vms
from app.inventory.collectors.all_collectors import COLLECTORS
from app.inventory.collectors.guest_agents import GUESTS
from app.inventory.collectors.vms import VMS
from app.lab.fleets.fleet import Fleet
from app.lab.lab import Lab
from tests.integration.hypervisor.targets import local_target, simulated_target
from tests.integration.waiting import wait_for_agent

pytestmark = [pytest.mark.lab]
STUCK, WELL = "00000000-0000-4000-8000-000000000001", "f0000000-0000-4000-8000-000000000002"


@pytest.fixture
def reader() -> HostReader:
    return HostReader("host", COLLECTORS, lambda _host_id, _sample: None)


def test_a_guest_that_hangs_is_put_off_and_its_neighbours_answers_are_kept(
    faulty_lab: Lab, reader: HostReader
) -> None:
    lab_host = faulty_lab.hosts[0]
    for name, uuid in (("stuck", STUCK), ("well", WELL)):
        lab_host.create_guest(name, start=True, uuid=uuid)
    for uuid in (STUCK, WELL):
        wait_for_agent(lab_host, uuid)
    host = Host.open(local_target(lab_host), connect_deadline_s=5, call_deadline_s=1.0)
    try:
        reader.read(vms.SYNC, host)
        lab_host.freeze_qemu("stuck")
        time.sleep(guest_agents.FIRST_S[0])
        # The stuck one ends the first round.
        rounds = [GUESTS.of(reader.read(guest_agents.ASK, host)) for _ in range(2)]
        assert [list(item) for item in rounds if item is not None] == [[WELL]]
        now = time.monotonic()
        assert reader.wanted(now)[guest_agents.ASK.name] > now + guest_agents.FIRST_S[1] / 2, (
            "nobody is due again at once"
        )
        assert host.is_open
    finally:
        host.close()


def test_volumes_that_events_ask_for_are_neither_put_off_by_other_work_nor_asked_of_a_hung_pool_again(
    fresh_lab: Lab, reader: HostReader
) -> None:
    """Each poll that ended planned their reading anew: later under a flood of events, at once after a failure."""
    lab_host = fresh_lab.hosts[0]
    host = Host.open(local_target(lab_host), connect_deadline_s=5, call_deadline_s=1.0)
    changed = storage.CHANGED.name
    try:
        pool = host.read_pools(volumes=False)[0].uuid
        reader.follow(host, [Hint("pool", pool, "refreshed")])
        now = time.monotonic()
        assert reader.wanted(now)[changed] == reader.wanted(now + 5)[changed] <= now + storage.CHANGED_S
        lab_host.freeze()
        try:
            with pytest.raises(HostError):
                reader.read(storage.CHANGED, host)
        finally:
            lab_host.thaw()
        now = time.monotonic()
        assert reader.wanted(now)[changed] > now + storage.HUNG_RETRY_S / 2
    finally:
        host.close()


def saved_in(parts: Parts) -> set[str]:
    """The VMs whose saved definitions were read."""
    seen = VMS.of(parts)
    return set(seen.saved) if seen is not None else set()


def test_a_slow_read_of_saved_definitions_keeps_what_a_sync_fills_in_meanwhile(
    make_fleet: Callable[..., Fleet], monkeypatch: pytest.MonkeyPatch, reader: HostReader
) -> None:
    """The lanes shared a set: the slow one emptied it at its end, with what had come in since it began."""
    host = Host.open(simulated_target(make_fleet(1)), connect_deadline_s=10, call_deadline_s=10)
    begun, go_on, read = threading.Event(), threading.Event(), host.read_saved

    def slow(uuids: Collection[str]) -> tuple[dict[str, DefinitionObservation], dict[str, int]]:
        begun.set()
        assert go_on.wait(30)
        return read(uuids)

    try:
        reader.read(vms.SYNC, host)
        monkeypatch.setattr(host, "read_saved", slow)
        with ThreadPoolExecutor() as pool:
            first = pool.submit(reader.read, vms.SAVED, host)
            assert begun.wait(30)
            reader.read(vms.SYNC, host)
            go_on.set()
            reported = saved_in(first.result())
        again = saved_in(reader.read(vms.SAVED, host))
        assert again == reported != set(), "the second sync asked for them too"
    finally:
        host.close()
