"""The one thread that writes what coordinators observe: many hosts per transaction, so that SQLite keeps up.

The first report after a pause is written at once; those that follow within WINDOW_S share a transaction, and
within CALM_S when nobody waits for them. When the database takes nothing (locked, full, gone), reports wait,
merged as their collectors say, and are written once it does again.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial, reduce

import structlog

from app.access.context import Services
from app.core.errors import Unavailable
from app.core.inventory.reports import HostReport
from app.engine.reading_order import ReadingOrder
from app.inventory.collectors.all_collectors import COLLECTORS, Collectors
from app.inventory.merged_report import merge
from app.inventory.observe import observe, record_changes
from app.tasks.explain import explain

log = structlog.get_logger(__name__)

WINDOW_S = 0.1
CALM_S = 0.5  # the same, while all that waits is usage: transactions cost more than what is in them
MAX_REPORTS = 100
MERGE_ABOVE = 8  # reports of one host that wait; they would be merged when they are written in any case
RETRY_S = (0.1, 2.0)


@dataclass(slots=True)
class _Waiting:
    reports: list[HostReport] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)
    written: list[threading.Event] = field(default_factory=list)


class Writer:
    """Writes reports in the order in which each host made them, without what a newer reading has told already.

    Hosts with urgent reports come first.
    """

    def __init__(self, services: Services, collectors: Collectors = COLLECTORS) -> None:
        self._services = services
        self._collectors = collectors
        self._wake = threading.Condition()
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()
        self._in_hand: dict[str, _Waiting] = {}
        self._order = ReadingOrder(collectors)
        self._stopped = False
        self._failing = False
        self._urgent = False  # somebody waits for what waits
        self._thread = threading.Thread(target=self._run, name="engine-writer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 1.0) -> None:
        """Write what waits if that is possible in time, then stop."""
        with self._wake:
            self._stopped = True
            self._wake.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def put(self, report: HostReport, written: threading.Event | None = None) -> None:
        """Have the report written soon. `written` is set once it was: somebody waits for it."""
        with self._wake:
            report = self._order.admit(report)
            host = self._waiting.setdefault(report.host_id, _Waiting())
            host.reports.append(report)
            if len(host.reports) > MERGE_ABOVE:
                host.reports = self._merged(host.reports)
            if written is not None:
                host.written.append(written)
            if report.urgent or report.connection is not None or written is not None:
                self._urgent = True
                self._waiting.move_to_end(report.host_id, last=False)
            self._wake.notify_all()

    def put_and_wait(self, report: HostReport, timeout_s: float) -> bool:
        """Have the report written; return whether it was within the time."""
        written = threading.Event()
        self.put(report, written)
        return written.wait(timeout_s)

    def forget(self, host_id: str) -> None:
        """The host is watched no more."""
        with self._wake:
            self._order.forget(host_id)

    @property
    def lag_s(self) -> float:
        """Age of the oldest report that is not written yet."""
        with self._wake:
            oldest = [item.since for item in (*self._waiting.values(), *self._in_hand.values())]
        return time.monotonic() - min(oldest) if oldest else 0.0

    @property
    def waiting(self) -> int:
        """Reports that are not written yet."""
        with self._wake:
            return sum(len(item.reports) for item in (*self._waiting.values(), *self._in_hand.values()))

    @property
    def failing(self) -> bool:
        """Whether the last attempt to write failed."""
        return self._failing

    def _run(self) -> None:
        pause_s = RETRY_S[0]
        while True:
            with self._wake:
                while not self._waiting and not self._stopped:
                    self._wake.wait()
                if not self._waiting or (self._stopped and self._failing):
                    return
                self._in_hand = self._take()
            began = time.monotonic()
            try:
                self._write([report for host in self._in_hand.values() for report in host.reports])
                is_written = True
            except Unavailable as error:
                if not self._failing:
                    log.warning("mirror_waits_for_database", reason=error.code)
                self._put_back()
                is_written = False
            except Exception:
                log.exception("mirror_batch_failed", hosts=len(self._in_hand))
                is_written = self._write_one_by_one()
            self._settle(is_written=is_written)
            pause_s = min(pause_s * 2, RETRY_S[1]) if self._failing else RETRY_S[0]
            self._rest(pause_s if self._failing else began + WINDOW_S - time.monotonic())

    def _rest(self, seconds: float) -> None:
        """Let reports gather: for so long in any case, longer while nobody waits for them."""
        with self._wake:
            self._wake.wait_for(lambda: self._stopped, max(seconds, 0.0))
            if not self._failing:
                self._wake.wait_for(lambda: self._stopped or self._urgent, CALM_S - WINDOW_S)

    def _take(self) -> dict[str, _Waiting]:
        """Hosts from the front of the queue, up to MAX_REPORTS reports in all."""
        taken: dict[str, _Waiting] = {}
        room = MAX_REPORTS
        while self._waiting and room > 0:
            host_id, host = self._waiting.popitem(last=False)
            taken[host_id] = host
            room -= len(host.reports)
        self._urgent = self._urgent and bool(self._waiting)
        return taken

    def _settle(self, *, is_written: bool) -> None:
        """Note whether the database took what was in hand, and tell those who wait for it."""
        if is_written and self._failing:
            log.info("mirror_writes_again")
        self._failing = not is_written
        if is_written:
            for host in self._in_hand.values():
                for event in host.written:
                    event.set()
            self._in_hand = {}

    def _write_one_by_one(self) -> bool:
        """After a batch broke: keep the hosts whose reports can be written, drop the report that cannot."""
        for host_id, host in list(self._in_hand.items()):
            for report in host.reports:
                try:
                    self._write([report])
                except Unavailable:
                    self._put_back()
                    return False
                except Exception:
                    log.exception("mirror_report_dropped", host=host_id)
        return True

    def _write(self, reports: list[HostReport]) -> None:
        with self._services.database.begin() as session:
            changes = observe(session, reports, self._collectors)
            explain(session, changes)
            record_changes(session, self._services.hub, changes)

    def _merged(self, reports: Iterable[HostReport]) -> list[HostReport]:
        return [reduce(partial(merge, merge_parts=self._collectors.merge), reports)]

    def _put_back(self) -> None:
        """What was taken goes before what has come since."""
        with self._wake:
            for host_id, host in reversed(self._in_hand.items()):
                newer = self._waiting.pop(host_id, None)
                if newer is not None:
                    host.reports = self._merged(host.reports + newer.reports)
                    host.written += newer.written
                self._waiting[host_id] = host
                self._waiting.move_to_end(host_id, last=False)
            self._in_hand = {}
