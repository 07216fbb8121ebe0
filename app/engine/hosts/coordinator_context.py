"""What all coordinators share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.config import Settings
from app.core.inventory.reports import HostReport
from app.engine.hosts.host_registry import TargetOf
from app.engine.hosts.poll_schedule import PollSchedule
from app.engine.hosts.rate_limiter import RateLimiter
from app.engine.hosts.reader import OnUsage
from app.engine.thread_pool import ElasticThreadPool
from app.engine.timer import Timer
from app.inventory.collectors.all_collectors import Collectors

# Large fleets are asked less often for signs of life: with the deadline of a call, silence still shows in 10 s.
PING_MAX_S = 4.5
PINGS_PER_S = 250.0


@dataclass(frozen=True, slots=True)
class CoordinatorContext:
    """What all coordinators share."""

    settings: Settings
    timer: Timer
    threads: ElasticThreadPool
    rate_limiter: RateLimiter
    target: TargetOf
    report: Callable[[HostReport], None]
    fleet: Callable[[], int]  # how many hosts there are
    collectors: Collectors
    schedule: PollSchedule
    on_usage: OnUsage

    @property
    def ping_s(self) -> float:
        """Seconds between two signs of life asked of a host."""
        return max(self.settings.ping_s, min(self.fleet() / PINGS_PER_S, PING_MAX_S))
