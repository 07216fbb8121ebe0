"""What a coordinator does for its host: which chores exclude each other, and how long each may wait."""

from __future__ import annotations

import random

from app.config import Settings

CONNECT, HINTS, SYNC, PING, POLL, FACTS = "connect", "hints", "sync", "ping", "poll", "facts"
SAVED, VOLUMES, POOLS, GUESTS, FILES = "saved", "volumes", "pools", "guests", "files"
# For changes that hosts send no event for: networks; saved definitions and network filters; fill of pools.
NETWORKS, DEFINITIONS, FILL = "networks", "definitions", "fill"
LANES = (
    (HINTS, CONNECT, SYNC, PING),
    (POLL, FACTS, NETWORKS),
    (SAVED, VOLUMES, POOLS, DEFINITIONS, FILL, GUESTS, FILES),
)
LANE_OF = {chore: lane for lane in LANES for chore in lane}
RETRY_SLACK_S = 4.0
SLACK_S = {
    HINTS: 0.0,
    CONNECT: 1.0,
    SYNC: 1.0,
    PING: 0.5,
    # The first reading of a whole fleet goes before what only refreshes.
    POLL: 20.0,
    FACTS: 90.0,
    SAVED: 120.0,
    VOLUMES: 300.0,
    POOLS: 10.0,
    GUESTS: 60.0,
    FILES: 5.0,
    NETWORKS: 10.0,
    DEFINITIONS: 15.0,
    FILL: 15.0,
}
RECHECKS = (NETWORKS, DEFINITIONS, FILL)
# What a complete reading begins when it is not planned yet.
FIRST = tuple((SYNC, chore) for chore in (POLL, SAVED, VOLUMES, FILES, *RECHECKS))
# Round trips per second that each of them may cost over all hosts; beyond, hosts are looked at less often.
RECHECK_CALLS_PER_S = {NETWORKS: 400.0, DEFINITIONS: 300.0, FILL: 200.0}
VOLUMES_EVERY_S = 600.0
# After a reconnect states are read again and again for a while: a daemon that restarted first lists VMs as it
# remembers them, and finds out later, without an event, which of them have died meanwhile.
SETTLING_S = 8.0
SETTLING_POLL_S = 1.5
FILES_EVERY_S = 25.0
FILES_PER_S = 20.0  # hosts whose files are looked at: in a large fleet less often
FIRST_HOSTS_PER_S = 50.0
FIRST_SAVED_PER_S = 40.0
FIRST_VOLUMES_PER_S = 20.0


def slack_s(chore: str, *, sick: bool) -> float:
    """How long it may wait for a thread. Hosts that were lost wait for those that nobody knows to be sick."""
    return RETRY_SLACK_S if chore == CONNECT and sick else SLACK_S[chore]


def settling_until(before: float | None, now: float) -> float:
    """Until when states settle after a connection came in sync; `before` is None at the first one, which needs none."""
    return 0.0 if before is None else now + SETTLING_S


def while_settling(plan: dict[str, float], now: float, until: float) -> dict[str, float]:
    """The plan, with readings of states close to each other until then."""
    if POLL in plan and now < until:
        return plan | {POLL: min(plan[POLL], now + SETTLING_POLL_S)}
    return plan


def recheck_s(chore: str, settings: Settings, fleet: int, calls: int) -> float:
    """Seconds between two of these looks at a host. `calls`: round trips that the last one took."""
    least = settings.recheck_s * (3 if chore == FILL else 1)
    return max(least, fleet * calls / RECHECK_CALLS_PER_S[chore])


def follow_ups(
    chore: str, now: float, settings: Settings, ping_s: float, fleet: int, calls: int
) -> dict[str, float]:
    """When what follows a chore is due. Steady work is spread: each host starts at a moment of its own.

    `calls`: round trips that the chore took, of those in RECHECKS.
    """
    if chore in RECHECKS:
        return {chore: now + recheck_s(chore, settings, fleet, calls)}
    behind_facts = min(1.0, fleet / FIRST_HOSTS_PER_S)
    spread = random.uniform(0.9, 1.1)  # noqa: S311  jitter, not a secret
    soon = random.uniform(0.0, 1.0)  # noqa: S311  as above
    match chore:
        case "sync":
            return {
                SYNC: now + settings.resync_s * spread,
                PING: now + ping_s,
                FACTS: now,
                # The first polls of a large fleet come when its first reading is about done.
                POLL: now + fleet / FIRST_HOSTS_PER_S + soon * settings.refresh_s,
                SAVED: now + behind_facts + soon * fleet / FIRST_SAVED_PER_S,
                VOLUMES: now + behind_facts + soon * fleet / FIRST_VOLUMES_PER_S,
                FILES: now + 2.0 + soon * max(FILES_EVERY_S / 5, fleet / FILES_PER_S),
            } | dict.fromkeys(RECHECKS, now + soon * settings.recheck_s + fleet / FIRST_VOLUMES_PER_S)
        case "ping":
            return {PING: now + ping_s}
        case "poll":
            return {POLL: now + settings.refresh_s}
        case "files":
            return {FILES: now + max(FILES_EVERY_S, fleet / FILES_PER_S) * spread}
        case "volumes":
            return {VOLUMES: now + VOLUMES_EVERY_S * spread}
    return {}
