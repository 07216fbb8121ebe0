"""How often hosts are looked at for changes that send no event, and what that costs a large fleet."""

import pytest

from app.config import Settings
from app.inventory.collectors import networks, nwfilters, storage, vms
from app.inventory.collectors.collector import Load, Poll

(FILTERS,) = nwfilters.NWFILTERS.polls
# Each with the round trips per second that it may cost over all hosts.
RECHECKS = [
    (networks.NETWORKS_POLL, networks.CALLS_PER_S),
    (vms.DEFINITIONS, vms.DEFINITIONS_CALLS_PER_S),
    (storage.FILL, storage.FILL_CALLS_PER_S),
    (FILTERS, nwfilters.CALLS_PER_S),
]


def every_s(poll: Poll, hosts: int, calls: int) -> float:
    assert poll.every_s is not None
    return poll.every_s(Load(Settings(), hosts, calls))


@pytest.mark.parametrize(
    ("poll", "calls"), [(networks.NETWORKS_POLL, 4), (vms.DEFINITIONS, 40), (storage.FILL, 6), (FILTERS, 5)]
)
def test_a_hundred_hosts_are_looked_at_within_the_allocated_time(poll: Poll, calls: int) -> None:
    promised_s = 60.0 if poll is storage.FILL else 30.0
    assert every_s(poll, 100, calls) + poll.slack_s <= promised_s


@pytest.mark.parametrize(("poll", "calls_per_s"), RECHECKS)
def test_a_large_fleet_is_not_asked_more_often_than_it_may_cost(poll: Poll, calls_per_s: float) -> None:
    hosts, calls = 2500, 42
    assert hosts * calls / every_s(poll, hosts, calls) <= calls_per_s
