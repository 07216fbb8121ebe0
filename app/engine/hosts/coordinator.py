"""The life of one connection: connect, keep in sync, notice silence, connect again.

A coordinator is a state machine, not a thread. `turn` looks at what is due and hands at most one job per lane
to the pool: the first lane connects, answers events and asks for signs of life; the second reads usage; the
third does what may take long (volumes, guests). So nothing that hangs keeps a silent host from being noticed.
When a job ends, the next turn follows.

`_link` stands for the connection that is wanted now: whatever belongs to an earlier one (a late error, an event,
a job that took long) is recognised by it and ignored.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import structlog

from app.core.errors import (
    HostAuthFailed,
    HostError,
    HostIdentityChanged,
    HypervisorRefused,
    Unavailable,
    VigieError,
)
from app.core.hosts.states import HostConnection
from app.core.inventory.reports import Hint, HostReport, Parts
from app.engine.hosts.coordinator_context import CoordinatorContext
from app.engine.hosts.event_debouncer import EventDebouncer
from app.engine.hosts.host_registry import RegisteredHost
from app.engine.hosts.poll_errors import PollErrors
from app.engine.hosts.poll_schedule import CONNECT, PING, SETTLING_S
from app.engine.hosts.rate_limiter import back_off_s
from app.engine.hosts.reader import HostReader
from app.hypervisor import Host
from app.inventory.collectors.collector import EVENTS, Load
from app.inventory.collectors.vms import SYNC

log = structlog.get_logger(__name__)

HUNG_RETRY_S = 60.0  # until a part of the host that hung is asked again
REFUSED_RETRY_S = 20.0  # credential refused, identity changed: only a person can mend that


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one step read. `machine`: of a full reading, which machine it is of. `healed`: an error of before is over."""

    parts: Parts
    hints: tuple[Hint, ...]
    machine: str | None
    healed: bool


class Coordinator:
    """Keeps one host connected and its mirror true."""

    def __init__(self, entry: RegisteredHost, shared: CoordinatorContext) -> None:
        self._shared = shared
        self._lock = threading.Lock()
        self._entry = entry
        self._connection = entry.connection
        self._link: object = object()
        self._host: Host | None = None
        self._reader = self._new_reader()
        self._due: dict[str, float] = {}
        self._busy: set[tuple[str, ...]] = set()
        self._poll_errors = PollErrors()
        self._machine: str | None = None  # libvirt's UUID of the host that was read last
        self._told: str | None = None  # the error that people see as the reason of the connection
        self._hints = EventDebouncer()
        self._answered_at = 0.0
        self._settling_until: float | None = None  # None until a first connection was in sync
        self._attempts = 0
        self._sick = not (entry.connection.is_usable or entry.connection is HostConnection.CONNECTING)
        self._armed = 0.0
        self._closed = False

    # -- what others ask -------------------------------------------------------------------------------

    def start(self, delay_s: float = 0.0) -> None:
        """Begin to connect. Until then the host counts as connecting, whatever an earlier run saw."""
        self._enter(HostConnection.CONNECTING, None)
        self._plan({CONNECT: time.monotonic() + delay_s})

    def close(self) -> None:
        """Let go of the host, at once."""
        with self._lock:
            self._closed = True
            self._due.clear()
        self._drop()

    def configure(self, entry: RegisteredHost) -> None:
        """Take over a changed configuration; connect anew when it asks for that."""
        with self._lock:
            anew = entry.config_version != self._entry.config_version
            self._entry = entry
        if anew:
            self._drop()
            self._attempts = 0
            self._reader = self._new_reader()
            self.start()

    def _new_reader(self) -> HostReader:
        return HostReader(self._entry.id, self._shared.collectors, self._shared.on_usage)

    @property
    def connection(self) -> HostConnection:
        """State of the connection."""
        return self._connection

    @property
    def host(self) -> Host | None:
        """The open connection; None while there is none."""
        host = self._host
        return host if host is not None and host.is_open else None

    # -- turns ------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Hand out what is due and ask the timer for the next turn."""
        now = time.monotonic()
        with self._lock:
            if self._closed:
                return
            for lane in self._shared.schedule.lanes:
                due = [step for step in lane if self._due.get(step, now + 1) <= now]
                if due and lane not in self._busy:
                    step = due[0]
                    del self._due[step]
                    self._busy.add(lane)
                    slack_s = self._shared.schedule.slack_s(step, sick=self._sick)
                    job = partial(self._do, lane, step)
                    first = self._host is None and not self._attempts
                    self._shared.threads.submit(job, slack_s=slack_s, suspect=self._host is None, first=first)
            self._arm(now)

    def _arm(self, now: float) -> None:
        """Ask for a turn when the next step of an idle lane is due. The lock is held."""
        times = [
            due for step, due in self._due.items() if self._shared.schedule.lane_of[step] not in self._busy
        ]
        if not times:
            return
        due = min(times)
        if not now < self._armed <= due:
            self._armed = due
            self._shared.timer.at(due, self.turn)

    def _plan(self, due: dict[str, float]) -> None:
        with self._lock:
            if self._closed:
                return
            self._due |= due
        self._shared.timer.soon(self.turn)

    def _do(self, lane: tuple[str, ...], step: str) -> None:
        """One step, in a thread of the pool: connect, or read, report what was read and plan the next of its kind."""
        link, host, began = self._link, self._host, time.monotonic()
        try:
            if step == CONNECT:
                self._connect()
            elif host is not None and (reading := self._read(step, host, link)) is not None:
                if step == SYNC.name:
                    self._report_sync(reading.parts, reading.machine, began)
                elif reading.parts or reading.hints:
                    report = HostReport(
                        self._entry.id, datetime.now(UTC), parts=reading.parts, hints=reading.hints
                    )
                    self._shared.report(replace(report, began_s=began, urgent=step == EVENTS))
                plan = self._next(step)
                with self._lock:
                    if link is self._link:
                        self._due |= plan
                        if reading.healed:
                            self._report_poll_error()
        except (Unavailable, HostError) as error:
            self._failed(step, link, host, error)
        except Exception as error:
            if self._poll_errors.is_new(step, repr(error)):
                log.exception("poll_failed", host=self._entry.id, step=step)
            self._note_unexpected(step, link)
        finally:
            with self._lock:
                self._busy.discard(lane)
            self.turn()

    def _failed(self, step: str, link: object, host: Host | None, error: VigieError) -> None:
        """Plan the step again after an error, or give up the connection."""
        if isinstance(error, Unavailable):
            self._plan({step: time.monotonic() + 1.0})
            return
        if isinstance(error, HypervisorRefused):
            self._refused(step, link, error)
            return
        poll = self._shared.schedule.polls.get(step)
        if poll is not None and poll.hangs_alone and host is not None and host.is_open:
            # A part of the host hangs: its connection for such things was cut, and is made again.
            self._plan({step: time.monotonic() + HUNG_RETRY_S})
        else:
            self._lost(link, error)

    def _note_unexpected(self, step: str, link: object) -> None:
        """Show that a step cannot be done, and try it again later."""
        with self._lock:
            if not self._closed and (step == CONNECT or link is self._link):
                self._poll_errors.unexpected(step)
                self._report_poll_error()
        self._plan({step: time.monotonic() + REFUSED_RETRY_S})

    # -- the connection -----------------------------------------------------------------------------------

    def _connect(self) -> None:
        wait = self._shared.rate_limiter.claim() if self._attempts else 0.0
        if wait:
            self._plan({CONNECT: time.monotonic() + wait})
            return
        self._attempts += 1
        with self._lock:
            link = self._link = object()
            entry = self._entry
        try:
            host = Host.open(
                self._shared.target(entry),
                connect_deadline_s=self._shared.settings.connect_deadline_s,
                call_deadline_s=self._shared.settings.call_deadline_s,
                on_hint=partial(self._hint, link),
                on_lost=lambda error: self._shared.timer.soon(partial(self._lost, link, error)),
            )
        except VigieError as error:
            if isinstance(error, Unavailable):
                raise
            self._lost(link, error)
            return
        with self._lock:
            wanted = self._link is link and not self._closed
            if wanted:
                self._host = host
                self._due = {SYNC.name: time.monotonic()}
                self._poll_errors.over(CONNECT)
        if not wanted:
            host.close()

    def _drop(self) -> None:
        """Forget the connection and close it."""
        with self._lock:
            host, self._host, self._link = self._host, None, object()
            self._due.clear()
            self._hints.clear()
            self._poll_errors.forget()
        self._reader.reconnected()
        if host is not None:
            host.close()

    def _lost(self, link: object, error: VigieError) -> None:
        """The connection that `link` stands for failed: say so and try again later."""
        with self._lock:
            if link is not self._link or self._closed:
                return
        self._drop()
        self._sick = self._attempts > 1
        if isinstance(error, HostAuthFailed):
            self._enter(HostConnection.AUTH_FAILED, error)
        elif isinstance(error, HostIdentityChanged):
            self._enter(HostConnection.IDENTITY_CHANGED, error)
        else:
            self._enter(HostConnection.NOT_ANSWERING, error)
        if isinstance(error, (HostAuthFailed, HostIdentityChanged)):
            pause = REFUSED_RETRY_S
        else:
            pause = back_off_s(self._attempts, self._shared.settings.reconnect_max_s)
        self._plan({CONNECT: time.monotonic() + pause * random.uniform(0.5, 1.0)})  # noqa: S311  jitter, not a secret

    def _refused(self, step: str, link: object, error: HypervisorRefused) -> None:
        """Libvirt answered with an error. Without a first reading there is no use in the connection."""
        if self._poll_errors.is_new(step, error.code):
            log.warning("host_refused", host=self._entry.id, step=step, code=error.code, detail=error.detail)
        if step == SYNC.name and not self._connection.is_usable:
            self._lost(link, error)
        else:
            with self._lock:
                if not self._closed and link is self._link:
                    self._poll_errors.refused(step, error)
                    self._report_poll_error()
            self._plan({step: time.monotonic() + REFUSED_RETRY_S})

    def _report_poll_error(self) -> None:
        """Report the reason when it changed. The lock is held, so that this cannot follow a later change."""
        reason = self._poll_errors.reason
        if reason == self._told:
            return
        self._told = reason
        # With the UUID: of a machine that is registered twice the mirror believes no connection.
        machine = self._machine if self._connection.is_usable else None
        report = HostReport(self._entry.id, None, self._connection, reason, libvirt_uuid=machine)
        self._shared.report(report)

    def _enter(self, connection: HostConnection, error: VigieError | None) -> None:
        """Report a change of the connection; the log has edges only."""
        reason = (error.texts().why or error.title) if error is not None else None
        if connection is not self._connection:
            self._log_edge(connection, reason)
        self._connection, self._told = connection, reason
        self._shared.report(
            HostReport(
                host_id=self._entry.id,
                answered_at=None,
                connection=connection,
                connection_reason=reason,
                fingerprint_seen=error.fingerprint if isinstance(error, HostIdentityChanged) else None,
            )
        )

    def _log_edge(self, connection: HostConnection, reason: str | None) -> None:
        entry = self._entry
        log.info("host_connection", host=entry.id, name=entry.name, connection=connection.value, why=reason)

    # -- polls of an open connection ------------------------------------------------------------------------

    def _read(self, step: str, host: Host, link: object) -> _Reading | None:
        """Make one poll, or read again what events named; None when that is not needed or the connection is over."""
        now = time.monotonic()
        if step == PING and self._answered_at + self._shared.ping_s * 0.7 > now:
            with self._lock:
                self._due[PING] = self._answered_at + self._shared.ping_s
            return None
        hints: list[Hint] = []
        machine: str | None = None
        parts: Parts = {}
        if step == EVENTS:
            with self._lock:
                hints = self._hints.take(now)
            try:
                parts = self._reader.follow(host, hints)
            finally:
                self._plan_waiting(link)
        elif step == PING:
            host.ping()
        else:
            machine = host.read_uuid() if step == SYNC.name else None
            parts = self._reader.read(self._shared.schedule.polls[step], host)
        with self._lock:
            if link is not self._link:
                return None
            self._answered_at = time.monotonic()
            return _Reading(parts, tuple(hints), machine, healed=self._poll_errors.over(step))

    def _report_sync(self, parts: Parts, machine: str | None, began_s: float) -> None:
        """A complete reading: with it the connection is in sync."""
        self._attempts = 0
        with self._lock:
            self._told = self._poll_errors.reason
            self._machine = machine
        if self._connection is not HostConnection.CONNECTED:
            self._log_edge(HostConnection.CONNECTED, None)
            # The first connection needs no settling.
            settles = self._settling_until is not None
            self._settling_until = time.monotonic() + SETTLING_S if settles else 0.0
        self._connection = HostConnection.CONNECTED
        report = HostReport(self._entry.id, datetime.now(UTC), HostConnection.CONNECTED, self._told)
        self._shared.report(replace(report, libvirt_uuid=machine, parts=parts, began_s=began_s))

    def _next(self, step: str) -> dict[str, float]:
        """When what follows a step is due."""
        now, shared = time.monotonic(), self._shared
        load = Load(shared.settings, shared.fleet(), self._reader.memory.calls.get(step, 0))
        plan = shared.schedule.after(step, now, load, shared.ping_s, self._due)
        if now < (self._settling_until or 0.0):
            plan = shared.schedule.while_settling(plan, now)
        return plan | self._reader.wanted(now)

    # -- events ---------------------------------------------------------------------------------------------

    def _hint(self, link: object, hint: Hint) -> None:
        with self._lock:
            if link is not self._link or self._closed:
                return
            due = self._hints.add(hint, time.monotonic())
            if self._due.get(EVENTS, due + 1) <= due:
                return
            self._due[EVENTS] = due
        self._shared.timer.soon(self.turn)

    def _plan_waiting(self, link: object) -> None:
        """Plan the events that came while others were followed up."""
        with self._lock:
            due = self._hints.followed(time.monotonic())
            if due is not None and link is self._link:
                self._due[EVENTS] = min(due, self._due.get(EVENTS, due))
