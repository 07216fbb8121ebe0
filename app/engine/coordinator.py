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
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import structlog

from app.config import Settings
from app.core.errors import (
    HostAuthFailed,
    HostError,
    HostIdentityChanged,
    HypervisorRefused,
    Unavailable,
    VigieError,
)
from app.core.hosts.states import HostState
from app.core.inventory.reports import Hint, HostReport, HostSnapshot
from app.engine import chores
from app.engine.chores import CONNECT, DEFINITIONS, FILL, HINTS, PING, POOLS, SYNC, VOLUMES
from app.engine.clock import Clock
from app.engine.hints import HintQueue
from app.engine.pace import Pace, back_off_s
from app.engine.pool import ElasticPool
from app.engine.reading import HUNG_RETRY_S, READINGS, Reader
from app.engine.roster import Entry, TargetOf
from app.engine.troubles import Troubles
from app.hypervisor import Host

log = structlog.get_logger(__name__)

REFUSED_RETRY_S = 20.0  # credential refused, identity changed: only a person can mend that
# Large fleets are asked less often for signs of life: with the deadline of a call, silence still shows in 10 s.
PING_MAX_S = 4.5
PINGS_PER_S = 250.0


@dataclass(frozen=True, slots=True)
class Tools:
    """What all coordinators share."""

    settings: Settings
    clock: Clock
    pool: ElasticPool
    pace: Pace
    target: TargetOf
    report: Callable[[HostReport], None]
    fleet: Callable[[], int]  # how many hosts there are

    @property
    def ping_s(self) -> float:
        """Seconds between two signs of life asked of a host."""
        return max(self.settings.ping_s, min(self.fleet() / PINGS_PER_S, PING_MAX_S))


class Coordinator:
    """Keeps one host connected and its mirror true."""

    def __init__(self, entry: Entry, tools: Tools) -> None:
        self._tools = tools
        self._lock = threading.Lock()
        self._entry = entry
        self._state = entry.state
        self._link: object = object()
        self._host: Host | None = None
        self._reader = Reader(entry.id)
        self._due: dict[str, float] = {}
        self._busy: set[tuple[str, ...]] = set()
        self._troubles = Troubles()
        self._machine: str | None = None  # libvirt's UUID of the host that was read last
        self._told: str | None = None  # the trouble that people see as the reason of the state
        self._hints = HintQueue()
        self._answered_at = 0.0
        self._settling_until: float | None = None  # None until a first connection was in sync
        self._attempts = 0
        self._sick = not (entry.state.is_usable or entry.state is HostState.CONNECTING)
        self._armed = 0.0
        self._closed = False

    # -- what others ask -------------------------------------------------------------------------------

    def start(self, delay_s: float = 0.0) -> None:
        """Begin to connect. Until then the host counts as connecting, whatever an earlier run saw."""
        self._enter(HostState.CONNECTING, None)
        self._plan({CONNECT: time.monotonic() + delay_s})

    def close(self) -> None:
        """Let go of the host, at once."""
        with self._lock:
            self._closed = True
            self._due.clear()
        self._drop()

    def configure(self, entry: Entry) -> None:
        """Take over a changed configuration; connect anew when it asks for that."""
        with self._lock:
            anew = entry.config_version != self._entry.config_version
            self._entry = entry
        if anew:
            self._drop()
            self._attempts = 0
            self._reader = Reader(entry.id)
            self.start()

    @property
    def state(self) -> HostState:
        """State of the connection."""
        return self._state

    @property
    def host(self) -> Host | None:
        """The open connection; None while there is none."""
        host = self._host
        return host if host is not None and host.is_open else None

    # -- turns ------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Hand out what is due and ask the clock for the next turn."""
        now = time.monotonic()
        with self._lock:
            if self._closed:
                return
            for lane in chores.LANES:
                due = [chore for chore in lane if self._due.get(chore, now + 1) <= now]
                if due and lane not in self._busy:
                    chore = due[0]
                    del self._due[chore]
                    self._busy.add(lane)
                    slack_s, job = chores.slack_s(chore, sick=self._sick), partial(self._do, lane, chore)
                    first = self._host is None and not self._attempts
                    self._tools.pool.submit(job, slack_s=slack_s, suspect=self._host is None, first=first)
            self._arm(now)

    def _arm(self, now: float) -> None:
        """Ask for a turn when the next chore of an idle lane is due. The lock is held."""
        times = [due for chore, due in self._due.items() if chores.LANE_OF[chore] not in self._busy]
        if not times:
            return
        due = min(times)
        if not now < self._armed <= due:
            self._armed = due
            self._tools.clock.at(due, self.turn)

    def _plan(self, due: dict[str, float]) -> None:
        with self._lock:
            if self._closed:
                return
            self._due |= due
        self._tools.clock.soon(self.turn)

    def _do(self, lane: tuple[str, ...], chore: str) -> None:
        """One chore, in a thread of the pool."""
        link, host = self._link, self._host
        try:
            if chore == CONNECT:
                self._connect()
            elif host is not None:
                self._keep(chore, host, link)
        except Unavailable:
            self._plan({chore: time.monotonic() + 1.0})
        except HypervisorRefused as error:
            self._refused(chore, link, error)
        except HostError as error:
            if chore in (VOLUMES, POOLS, FILL, DEFINITIONS) and host is not None and host.is_open:
                # A pool hangs, not the host: its connection for such things was cut, and is made again.
                self._plan({chore: time.monotonic() + HUNG_RETRY_S})
            else:
                self._lost(link, error)
        except Exception as error:
            if self._troubles.is_news(chore, repr(error)):
                log.exception("chore_failed", host=self._entry.id, chore=chore)
            with self._lock:
                if not self._closed and (chore == CONNECT or link is self._link):
                    self._troubles.unexpected(chore)
                    self._tell_trouble()
            self._plan({chore: time.monotonic() + REFUSED_RETRY_S})
        finally:
            with self._lock:
                self._busy.discard(lane)
            self.turn()

    # -- the connection -----------------------------------------------------------------------------------

    def _connect(self) -> None:
        wait = self._tools.pace.claim() if self._attempts else 0.0
        if wait:
            self._plan({CONNECT: time.monotonic() + wait})
            return
        self._attempts += 1
        with self._lock:
            link = self._link = object()
            entry = self._entry
        try:
            host = Host.open(
                self._tools.target(entry),
                connect_deadline_s=self._tools.settings.connect_deadline_s,
                call_deadline_s=self._tools.settings.call_deadline_s,
                on_hint=partial(self._hint, link),
                on_lost=lambda error: self._tools.clock.soon(partial(self._lost, link, error)),
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
                self._due = {SYNC: time.monotonic()}
                self._troubles.over(CONNECT)
        if not wanted:
            host.close()

    def _drop(self) -> None:
        """Forget the connection and close it."""
        with self._lock:
            host, self._host, self._link = self._host, None, object()
            self._due.clear()
            self._hints.clear()
            self._troubles.forget()
        self._reader.forget_rates()
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
            self._enter(HostState.AUTH_FAILED, error)
        elif isinstance(error, HostIdentityChanged):
            self._enter(HostState.IDENTITY_CHANGED, error)
        else:
            self._enter(HostState.NOT_ANSWERING, error)
        if isinstance(error, (HostAuthFailed, HostIdentityChanged)):
            pause = REFUSED_RETRY_S
        else:
            pause = back_off_s(self._attempts, self._tools.settings.reconnect_max_s)
        self._plan({CONNECT: time.monotonic() + pause * random.uniform(0.5, 1.0)})  # noqa: S311  jitter, not a secret

    def _refused(self, chore: str, link: object, error: HypervisorRefused) -> None:
        """Libvirt answered with an error. Without a first reading there is no use in the connection."""
        if self._troubles.is_news(chore, error.code):
            log.warning(
                "host_refused", host=self._entry.id, chore=chore, code=error.code, detail=error.detail
            )
        if chore == SYNC and not self._state.is_usable:
            self._lost(link, error)
        else:
            with self._lock:
                if not self._closed and link is self._link:
                    self._troubles.refused(chore, error)
                    self._tell_trouble()
            self._plan({chore: time.monotonic() + REFUSED_RETRY_S})

    def _tell_trouble(self) -> None:
        """Report the reason when it changed. The lock is held, so that this cannot follow a later state."""
        reason = self._troubles.reason
        if reason == self._told:
            return
        self._told = reason
        # With the UUID: of a machine that is registered twice the mirror believes no state.
        snapshot = HostSnapshot(libvirt_uuid=self._machine) if self._state.is_usable else None
        self._tools.report(
            HostReport(self._entry.id, None, state=self._state, state_reason=reason, snapshot=snapshot)
        )

    def _enter(self, state: HostState, error: VigieError | None) -> None:
        """Report a change of state; the log has edges only."""
        reason = (error.texts().why or error.title) if error is not None else None
        if state is not self._state:
            log.info("host_state", host=self._entry.id, name=self._entry.name, state=state.value, why=reason)
        self._state, self._told = state, reason
        self._tools.report(
            HostReport(
                host_id=self._entry.id,
                seen_at=None,
                state=state,
                state_reason=reason,
                fingerprint_seen=error.fingerprint if isinstance(error, HostIdentityChanged) else None,
            )
        )

    # -- chores of an open connection -----------------------------------------------------------------------

    def _keep(self, chore: str, host: Host, link: object) -> None:
        """Do one chore, report what it read, and plan the next of its kind."""
        reader, began = self._reader, time.monotonic()
        if chore == PING and self._answered_at + self._tools.ping_s * 0.7 > time.monotonic():
            with self._lock:
                self._due[PING] = self._answered_at + self._tools.ping_s
            return
        report: HostReport | None = None
        if chore == HINTS:
            report = self._follow(host, link)
        elif chore == PING:
            host.ping()
        else:
            report = READINGS[chore](reader, host)
        with self._lock:
            if link is not self._link:
                return
            self._answered_at = time.monotonic()
            healed = self._troubles.over(chore)
        self._tell(chore, report, began)
        if healed:
            with self._lock:
                if link is self._link:
                    self._tell_trouble()
        plan = self._next(chore)
        with self._lock:
            if link is self._link:
                self._due |= plan

    def _tell(self, chore: str, report: HostReport | None, began: float) -> None:
        if report is None:
            return
        report = replace(report, seen_at=datetime.now(UTC), began_s=began)
        if chore == SYNC:
            self._attempts = 0
            with self._lock:
                self._told = self._troubles.reason
                self._machine = report.snapshot.libvirt_uuid if report.snapshot else None
            report = replace(report, state=HostState.CONNECTED, state_reason=self._told)
            if self._state is not HostState.CONNECTED:
                log.info("host_state", host=self._entry.id, name=self._entry.name, state="connected")
                self._settling_until = chores.settling_until(self._settling_until, time.monotonic())
            self._state = HostState.CONNECTED
        self._tools.report(report)

    def _next(self, chore: str) -> dict[str, float]:
        """When what follows a chore is due."""
        now, tools, reader = time.monotonic(), self._tools, self._reader
        calls = reader.calls.get(chore, 0)
        plan = chores.follow_ups(chore, now, tools.settings, tools.ping_s, tools.fleet(), calls)
        plan = {
            each: due
            for each, due in plan.items()
            if (chore, each) not in chores.FIRST or each not in self._due
        }
        return chores.while_settling(plan, now, self._settling_until or 0.0) | reader.wants(now)

    # -- events ---------------------------------------------------------------------------------------------

    def _hint(self, link: object, hint: Hint) -> None:
        with self._lock:
            if link is not self._link or self._closed:
                return
            due = self._hints.add(hint, time.monotonic())
            if self._due.get(HINTS, due + 1) <= due:
                return
            self._due[HINTS] = due
        self._tools.clock.soon(self.turn)

    def _follow(self, host: Host, link: object) -> HostReport:
        with self._lock:
            hints = self._hints.take(time.monotonic())
        try:
            return self._reader.follow(host, hints)
        finally:
            with self._lock:
                due = self._hints.followed(time.monotonic())
                if due is not None and link is self._link:
                    self._due[HINTS] = min(due, self._due.get(HINTS, due))
