"""One task while it runs: what its operation may use, and the ways in which it can end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

import structlog
from sqlalchemy.orm import Session

from app.access.context import Services
from app.config import Settings
from app.core.errors import DaemonGone, HostError, HostNotAnswering, HostUnreachable
from app.core.inventory.reports import HostReport, Parts
from app.core.messages import N_
from app.hypervisor import Host
from app.tasks import lifecycle, undo
from app.tasks.errors import Cancelled, Interrupted, TaskFailed, maybe_sent
from app.tasks.journal import Journal
from app.tasks.lifecycle import Job

log = structlog.get_logger(__name__)
T = TypeVar("T")

HOST_WAIT_S = 60.0  # how long a task waits for a lost host to come back
RESENDS = 3
LOOK_EVERY_S = 0.4
OUTCOME_WAIT_S = 60.0  # how long is waited, while the host answers, for what may have arrived
CALM_S = 3.0  # a host that answers and shows nothing for so long is not at work on it
Lost = (HostNotAnswering, HostUnreachable, DaemonGone)


class EngineAccess(Protocol):
    """What a task needs of the engine that runs it."""

    def host(self, host_id: str) -> Host | None:
        """The open connection to a host; None while there is none."""

    def observe(self, report: HostReport) -> bool:
        """Have a report written into the mirror; False when that takes too long."""


class TaskContext:
    """One run of a task. Every method raises Cancelled or TaskFailed when the task must end."""

    def __init__(
        self,
        job: Job,
        services: Services,
        journal: Journal,
        engine: EngineAccess,
        stopping: threading.Event,
    ) -> None:
        self.job = job
        self.created_resources: list[dict[str, str]] = list(job.created_resources)
        self.left: list[dict[str, str]] = []  # what is left where it is, since it may be somebody else's
        self.percent = -1  # as last told, of work that counts bytes
        self._called_at = 0.0  # when the last call to the host began
        self._services = services
        self._journal = journal
        self._engine = engine
        self._stopping = stopping

    def host(self) -> Host:
        """The open connection; waits a bounded time for a lost host."""
        deadline = time.monotonic() + HOST_WAIT_S
        is_announced = False
        while (host := self._engine.host(self.job.host_id)) is None:
            self.stop_if_cancelled()
            if time.monotonic() > deadline:
                raise TaskFailed(
                    "host_lost",
                    N_("The host was lost; how this ended is not known."),
                    why=N_("It did not answer for %(seconds)d seconds while the task waited for it."),
                    hint=N_("Look at the VM once the host answers again, then decide."),
                    params={"seconds": int(HOST_WAIT_S)},
                )
            self._stop_if_disabled()
            if not is_announced:
                self.say(None, N_("Waiting for the host to answer."))
                is_announced = True
            self.pause(0.2)
        return host

    def _stop_if_disabled(self) -> None:
        if not self._journal.read(lambda session: lifecycle.is_disabled(session, self.job.host_id)):
            return
        raise TaskFailed(
            "host_disabled",
            N_("The host was disabled; how this ended is not known."),
            why=N_("Vigie does not connect to a disabled host, not even for tasks that run."),
            hint=N_("Enable the host, look at what the task was to change, then decide."),
        )

    def other(self, host_id: str) -> Host:
        """The open connection to another host than the task's. Raises TaskFailed (host_lost)."""
        host = self._engine.host(host_id)
        if host is None:
            raise TaskFailed(
                "host_lost",
                N_("The other host is not connected."),
                hint=N_("Wait until it answers again, then ask anew."),
            )
        return host

    def call(self, verb: Callable[[Host], T]) -> T:
        """Do something that may be repeated, again if the host is lost meanwhile. Raises TaskFailed, HostError."""
        for attempt in range(RESENDS):
            try:
                return self._call_once(verb)
            except Lost:
                # The connection may not have noticed yet that the daemon is gone.
                self.pause(0.2 * 4**attempt)
        return self._call_once(verb)

    def _call_once(self, verb: Callable[[Host], T]) -> T:
        host = self.host()
        self._called_at = time.monotonic()
        return verb(host)

    def send_once(self, verb: Callable[[Host], None]) -> None:
        """Send what must never be sent twice: note that first, and fail rather than repeat it."""
        if self.job.sent:
            raise maybe_sent()
        host = self.host()
        self.stop_if_cancelled()
        self._journal.mark_sent(self.job.task_id)
        try:
            verb(host)
        except Lost:
            raise maybe_sent() from None

    def note_begun(self) -> None:
        """Note that what follows changes the host: `job.sent` tells a later run of the task."""
        self._journal.mark_sent(self.job.task_id)

    def note_creating(self, **what: str) -> bool:
        """Note that the task begins to create this; False when an earlier run noted it already.

        What is noted is all that a clean-up may remove, so look first whether it is there already.
        """
        if what in self.created_resources:
            return False
        self.created_resources.append(what)
        self._journal.note_created(self.job.task_id, self.created_resources)
        return True

    def noted(self, kind: str, **key: str) -> dict[str, str] | None:
        """What was noted, by this run or an earlier one, of the thing of this kind with this key."""
        wanted = {"kind": kind, **key}
        return next((item for item in self.created_resources if wanted.items() <= item.items()), None)

    def note(self, what: Mapping[str, str], *, instead_of: Mapping[str, str] | None = None) -> None:
        """Note how far a created resource has come, in the place of what was noted of the same one.

        `instead_of` is what is forgotten by the same write.
        """
        keys = {undo.key_of(item) for item in (what, instead_of) if item is not None}
        kept = [item for item in self.created_resources if undo.key_of(item) not in keys]
        self._keep_notes([*kept, dict(what)])

    def drop_note(self, what: Mapping[str, str]) -> None:
        """Forget a resource that this task did not create after all."""
        key = undo.key_of(what)
        self._keep_notes([item for item in self.created_resources if undo.key_of(item) != key])

    def hand_over(self, step: Callable[[Session], T], what: Mapping[str, str]) -> T:
        """Do a step on the database that keeps a created resource; in its transaction the task forgets it."""
        key = undo.key_of(what)
        kept = [item for item in self.created_resources if undo.key_of(item) != key]

        def both(session: Session) -> T:
            done = step(session)
            lifecycle.note_created(session, self.job.task_id, kept)
            return done

        done: T = self._journal.write(both)
        self.created_resources = kept
        return done

    def _keep_notes(self, notes: list[dict[str, str]]) -> None:
        self.created_resources = notes
        self._journal.note_created(self.job.task_id, notes)

    def roll_back(self) -> None:
        """Remove what this task surely created. When the host cannot be asked now, that is done on its return."""
        host = self._engine.host(self.job.host_id)
        if not self.created_resources or host is None:
            return
        try:
            doubtful = undo.roll_back(host, self.created_resources)
        except HostError as error:
            log.warning("leftovers_stay", task=self.job.task_id, code=error.code)
            return
        for item in doubtful:
            self.leave(item)
        self._keep_notes([])

    def leave(self, what: Mapping[str, str]) -> None:
        """Leave something where it is, since it may be somebody else's, and say so."""
        self.left.append(dict(what))
        self._journal.leave(self.job.task_id, dict(what))
        self.drop_note(what)

    def write(self, step: Callable[[Session], T]) -> T:
        """Do a step on the database, in a transaction of its own."""
        done: T = self._journal.write(step)
        return done

    def seal(self, secret: dict[str, str]) -> bytes:
        """A secret as it may be stored."""
        return self._services.vault.seal(secret)

    def open_sealed(self, sealed: str) -> dict[str, str]:
        """What a service sealed for this task."""
        return self._services.vault.open(sealed.encode())

    @property
    def settings(self) -> Settings:
        """The server's settings."""
        return self._services.settings

    def say(self, progress: int | None, message: str | None = None, **params: object) -> None:
        """Show progress in percent, and a message id."""
        self._journal.progress(self.job.task_id, progress, message, params)

    @property
    def cancel_requested(self) -> bool:
        """Whether somebody asked the task to stop."""
        return self._journal.is_cancelled(self.job.task_id)

    def stop_if_cancelled(self) -> None:
        """Raise Cancelled when the task was asked to stop."""
        if self.cancel_requested:
            raise Cancelled

    def pause(self, seconds: float) -> None:
        """Wait; raises Interrupted when the server stops, so that the task is taken up by the next start."""
        if self._stopping.wait(seconds):
            raise Interrupted

    def report(self, parts: Parts) -> None:
        """Have what the last call read of the host written into the mirror, so that pages are right when the task ends.

        `parts`: as a collector makes them (`VMS.part(…)`).
        """
        self._report(parts, self._called_at)

    def report_gone(self, parts: Parts) -> None:
        """As `report`; what is gone is so from now on."""
        self._report(parts, time.monotonic())

    def _report(self, parts: Parts, began_s: float) -> None:
        self._engine.observe(HostReport(self.job.host_id, None, parts=parts, began_s=began_s, urgent=True))
