"""How often hosts are looked at for changes that send no event, and what that costs a large fleet."""

import pytest

from app.config import Settings
from app.engine.chores import DEFINITIONS, FILL, NETWORKS, RECHECK_CALLS_PER_S, RECHECKS, recheck_s, slack_s


@pytest.mark.parametrize(("chore", "calls"), [(NETWORKS, 4), (DEFINITIONS, 42), (FILL, 6)])
def test_a_hundred_hosts_are_looked_at_within_the_promised_time(chore: str, calls: int) -> None:
    promised_s = 60.0 if chore == FILL else 30.0
    assert recheck_s(chore, Settings(), 100, calls) + slack_s(chore, sick=False) <= promised_s


@pytest.mark.parametrize("chore", RECHECKS)
def test_a_large_fleet_is_not_asked_more_often_than_it_may_cost(chore: str) -> None:
    hosts, calls = 2500, 42
    assert hosts * calls / recheck_s(chore, Settings(), hosts, calls) <= RECHECK_CALLS_PER_S[chore]
