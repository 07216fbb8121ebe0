"""When a coordinator reads its host: which polls exclude each other, how long each may wait, what follows a full reading."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

from app.inventory.collectors.all_collectors import Collectors
from app.inventory.collectors.collector import EVENTS, Lane, Load, Poll
from app.inventory.collectors.vms import SYNC

CONNECT, PING = "connect", "ping"
RETRY_SLACK_S = 4.0
_OWN_SLACK_S = {EVENTS: 0.0, CONNECT: 1.0, PING: 0.5}
# After a reconnect, polls with `settling_s` are made close to each other for so long.
SETTLING_S = 8.0


class PollSchedule:
    """The polls of all collectors beside the coordinator's own work: connecting, events, signs of life."""

    def __init__(self, collectors: Collectors) -> None:
        polls = [poll for collector in collectors for poll in collector.polls]
        self.polls: Mapping[str, Poll] = {poll.name: poll for poll in polls}
        own = {Lane.PROMPT: (EVENTS, CONNECT), Lane.STATISTICS: (), Lane.SLOW: ()}
        last = {Lane.PROMPT: (PING,)}
        self.lanes: tuple[tuple[str, ...], ...] = tuple(
            (*own[lane], *(poll.name for poll in polls if poll.lane is lane), *last.get(lane, ()))
            for lane in Lane
        )
        self.lane_of = {name: lane for lane in self.lanes for name in lane}

    def slack_s(self, name: str, *, sick: bool) -> float:
        """How long it may wait for a thread. Hosts that were lost wait for those that nobody knows to be sick."""
        if name == CONNECT and sick:
            return RETRY_SLACK_S
        return _OWN_SLACK_S[name] if name in _OWN_SLACK_S else self.polls[name].slack_s

    def after(
        self, name: str, now: float, load: Load, ping_s: float, planned: Mapping[str, float]
    ) -> dict[str, float]:
        """What is due when, once this was done. `planned`: what is due already, and stays so after a full reading.

        Steady work is spread: each host starts at a moment of its own.
        """
        due: dict[str, float] = {}
        if name in (PING, SYNC.name):
            due[PING] = now + ping_s
        poll = self.polls.get(name)
        if poll is not None and poll.every_s is not None:
            due[name] = now + poll.every_s(_spread(load))
        if name == SYNC.name:
            for item in self.polls.values():
                if item.first_s is not None and item.name not in planned:
                    due[item.name] = now + item.first_s(_spread(load))
        return due

    def while_settling(self, plan: dict[str, float], now: float) -> dict[str, float]:
        """The plan just after a reconnect."""
        close = {
            name: min(due, now + settling_s)
            for name, due in plan.items()
            if name in self.polls and (settling_s := self.polls[name].settling_s) is not None
        }
        return plan | close


def _spread(load: Load) -> Load:
    soon, spread = random.uniform(0.0, 1.0), random.uniform(0.9, 1.1)  # noqa: S311  jitter, not a secret
    return replace(load, soon=soon, spread=spread)
