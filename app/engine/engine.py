"""The engine: all that runs by itself, started and stopped as one."""

from __future__ import annotations

import random
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import structlog

from app.access.context import Services
from app.core.errors import Unavailable
from app.core.hosts.states import HostConnection
from app.core.inventory.reports import HostReport
from app.core.inventory.usage import UsageSample
from app.core.notices import DEVICES, HOSTS, LEASES, SCREENSHOT_WANTED, VOLUMES, WORK
from app.engine.host_ownership import HostOwnership, SingleProcessHostOwnership
from app.engine.hosts.coordinator import Coordinator
from app.engine.hosts.coordinator_context import CoordinatorContext
from app.engine.hosts.host_registry import HostRegistry, RegisteredHost
from app.engine.hosts.on_demand import OnDemand, read_devices, read_volumes, refresh_leases
from app.engine.hosts.poll_schedule import PollSchedule
from app.engine.hosts.rate_limiter import RateLimiter
from app.engine.hosts.reader import OnUsage
from app.engine.hosts.screenshots import Screenshots
from app.engine.retention import run_retention
from app.engine.task_dispatcher import TaskDispatcher
from app.engine.thread_pool import ElasticThreadPool
from app.engine.timer import Timer
from app.engine.writer import Writer
from app.hypervisor import Host
from app.inventory.collectors.all_collectors import COLLECTORS, Collectors
from app.services.operations import load_operations
from app.services.storage.pools.verify_shared import request_due
from app.services.storage.uploads.abandoned import end_abandoned
from app.services.vms.cloud_init import deletion

log = structlog.get_logger(__name__)

RECONNECTS_PER_S = 100.0
REGISTRY_EVERY_S = 2.0
TICK_S = 0.1
RETENTION_EVERY_S = 3600.0
UPLOADS_EVERY_S = 5.0
CLOUD_INIT_DRIVES_EVERY_S = 15.0
VERIFY_EVERY_S = 3.0

LEASES_EVERY_S = 2.0
DEVICES_EVERY_S = 5.0
VOLUMES_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class EngineHealth:
    """How the engine is. `hosts` counts by state of the connection; times are seconds."""

    running: bool
    hosts: dict[str, int]
    writer_lag_s: float
    writer_failing: bool
    reports_waiting: int
    host_jobs_waiting: int
    host_jobs_slow: int
    tasks_running: int
    tasks_queued: int
    threads: int


class Engine:
    """Coordinators, writer, tasks. `start` returns at once; `stop` within about two seconds, whatever hosts do."""

    def __init__(self, services: Services, collectors: Collectors = COLLECTORS) -> None:
        settings = services.settings
        # Called with each sample of a host's counters, before anything is rounded or dropped; see HostReader.
        self.usage_listeners: list[OnUsage] = []
        self._services = services
        self._timer = Timer()
        self._threads = ElasticThreadPool(settings.workers)
        self._writer = Writer(services, collectors)
        self._registry = HostRegistry(services)
        self._ownership: HostOwnership = SingleProcessHostOwnership()
        self._mark: tuple[object, ...] | None = None
        self._entries: dict[str, RegisteredHost] = {}
        self._reading_registry = threading.Lock()
        self._coordinators: dict[str, Coordinator] = {}
        self._tasks = TaskDispatcher(services, self.host, self._observe)
        self._screenshots = Screenshots(services, self._threads, self.host)
        self._leases = OnDemand(self._threads, partial(refresh_leases, services, self.host), LEASES_EVERY_S)
        self._devices = OnDemand(self._threads, partial(read_devices, services, self.host), DEVICES_EVERY_S)
        read = partial(read_volumes, services, self.host, self._writer.put)
        self._volumes = OnDemand(self._threads, read, VOLUMES_EVERY_S)
        self._coordinator_context = CoordinatorContext(
            settings=settings,
            timer=self._timer,
            threads=self._threads,
            rate_limiter=RateLimiter(RECONNECTS_PER_S),
            target=self._registry.target,
            report=self._writer.put,
            fleet=lambda: len(self._coordinators),
            collectors=collectors,
            schedule=PollSchedule(collectors),
            on_usage=self._on_usage,
        )
        self._unlisten = services.hub.listen(self._hear)
        self._running = False

    def start(self) -> None:
        """Start everything. Raises Unavailable when the database cannot be read."""
        load_operations()
        self._read_registry()
        self._running = True
        self._timer.start()
        self._writer.start()
        self._tasks.start()
        self._timer.every(TICK_S, self._threads.tick)
        self._timer.every(REGISTRY_EVERY_S, partial(self._threads.submit, self._read_registry, slack_s=1.0))
        self._timer.every(RETENTION_EVERY_S, self._submit_retention)
        self._timer.every(UPLOADS_EVERY_S, self._submit_uploads)
        self._timer.every(
            CLOUD_INIT_DRIVES_EVERY_S,
            partial(self._threads.submit, self._delete_cloud_init_drives, slack_s=60.0),
        )
        self._timer.every(VERIFY_EVERY_S, self._submit_verification)
        self._submit_retention()

    def stop(self) -> None:
        """Stop everything; what waits for the database is written if that is possible soon."""
        self._running = False
        self._unlisten()
        self._timer.stop()
        self._threads.stop()
        self._tasks.stop()
        for host_id, coordinator in list(self._coordinators.items()):
            coordinator.close()
            self._ownership.release(host_id)
        self._writer.stop()

    def host(self, host_id: str) -> Host | None:
        """The open connection to a host that is in sync; None while there is none."""
        coordinator = self._coordinators.get(host_id)
        return coordinator.host if coordinator is not None and coordinator.connection.is_usable else None

    def health(self) -> EngineHealth:
        """How the engine is now."""
        pool, tasks = self._threads.health(), self._tasks.health
        hosts = Counter(coordinator.connection.value for coordinator in list(self._coordinators.values()))
        return EngineHealth(
            running=self._running,
            hosts={item.value: hosts[item.value] for item in HostConnection if item.value in hosts},
            writer_lag_s=self._writer.lag_s,
            writer_failing=self._writer.failing,
            reports_waiting=self._writer.waiting,
            host_jobs_waiting=pool.waiting,
            host_jobs_slow=pool.slow,
            tasks_running=tasks.running,
            tasks_queued=tasks.queued,
            threads=threading.active_count(),
        )

    def _hear(self, topics: frozenset[str]) -> None:
        """A notice: only queue."""
        if WORK in topics:
            self._tasks.poke()
        if HOSTS in topics:
            self._threads.submit(partial(self._read_registry, anyway=True))
        for topic in topics:
            if topic.startswith(SCREENSHOT_WANTED):
                self._screenshots.want(topic.removeprefix(SCREENSHOT_WANTED))
            elif topic.startswith(LEASES):
                self._leases.want(topic.removeprefix(LEASES))
            elif topic.startswith(VOLUMES):
                self._volumes.want(topic.removeprefix(VOLUMES))
            elif topic.startswith(DEVICES):
                self._devices.want(topic.removeprefix(DEVICES))

    def _on_usage(self, host_id: str, sample: UsageSample) -> None:
        for listener in self.usage_listeners:
            listener(host_id, sample)

    def _observe(self, report: HostReport, timeout_s: float) -> bool:
        return self._writer.put_and_wait(report, timeout_s)

    def _read_registry(self, *, anyway: bool = False) -> None:
        """Start, reconfigure and close coordinators as the list of hosts, and who owns them, says."""
        with self._reading_registry:
            try:
                mark = self._registry.mark()
                changed = anyway or mark != self._mark
                if changed:
                    self._entries = self._registry.entries()
                owned = self._ownership.claim(self._entries.keys())
            except Unavailable as error:
                if not self._running:
                    raise
                log.warning("registry_waits_for_database", reason=error.code)
                return
            self._mark = mark
            if changed or owned != self._coordinators.keys():
                self._watch({host_id: self._entries[host_id] for host_id in owned})

    def _watch(self, entries: dict[str, RegisteredHost]) -> None:
        """Have a coordinator for each of these hosts, and none for any other."""
        for host_id in self._coordinators.keys() - entries.keys():
            self._coordinators.pop(host_id).close()
            self._writer.forget(host_id)
            self._ownership.release(host_id)
        for host_id, entry in entries.items():
            known = self._coordinators.get(host_id)
            if known is not None:
                known.configure(entry)
            else:
                self._coordinators[host_id] = coordinator = Coordinator(entry, self._coordinator_context)
                coordinator.start(random.uniform(0.0, 0.05))  # noqa: S311  jitter, not a secret

    def _submit_uploads(self) -> None:
        """Whoever sent a file may be gone: what was cancelled or left alone is ended here."""
        self._timer.at(0.0, partial(self._threads.submit, self._end_uploads, slack_s=30.0))

    def _end_uploads(self) -> None:
        with suppress(Unavailable):
            end_abandoned(self._services)

    def _delete_cloud_init_drives(self) -> None:
        with suppress(Unavailable):
            deletion.delete_due(self._services, now=datetime.now(UTC))

    def _submit_verification(self) -> None:
        """Pools that may be the same storage as those of other hosts are not left unverified for long."""
        self._timer.at(0.0, partial(self._threads.submit, self._request_verification, slack_s=30.0))

    def _request_verification(self) -> None:
        with suppress(Unavailable):
            request_due(self._services)

    def _submit_retention(self) -> None:
        job = partial(run_retention, self._services, self._tasks.forget_old, lambda: not self._running)
        self._timer.at(0.0, partial(self._threads.submit, job, slack_s=60.0))
