"""One task while it runs: what its operation may use, and the ways in which it can end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
from pydantic import BaseModel
from sqlalchemy.orm import Session

from app.config import Settings
from app.core.errors import DaemonGone, HostError, HostNotAnswering, HostUnreachable, VigieError
from app.core.inventory.reports import HostReport, HostSnapshot
from app.core.messages import N_
from app.core.vms.observations import VmObservation
from app.engine import leftovers
from app.hypervisor import Host
from app.tasks import queue
from app.tasks.queue import TaskWork

log = structlog.get_logger(__name__)
T = TypeVar("T")
P = TypeVar("P", bound=BaseModel)

HOST_WAIT_S = 60.0  # how long a task waits for a lost host to come back
RESENDS = 3
LOOK_EVERY_S = 0.4
Lost = (HostNotAnswering, HostUnreachable, DaemonGone)


class Cancelled(Exception):
    """The task was asked to stop, and has."""


class TaskFailed(VigieError):
    """The task could not do what was asked. `next_verb` names what a person can do instead."""

    code = "task_failed"

    def __init__(
        self,
        code: str,
        title: str,
        *,
        why: str | None = None,
        hint: str | None = None,
        params: Mapping[str, object] | None = None,
        next_verb: str | None = None,
    ) -> None:
        super().__init__(title, why=why, hint=hint, code=code, params=params)
        self.next_verb = next_verb


@dataclass(frozen=True, slots=True)
class Outcome:
    """A task that succeeded: what to say of it (a message id with parameters), and what it made."""

    message: str
    params: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Tie:
    """How a task reaches the rest of the engine."""

    host: Callable[[str], Host | None]
    observe: Callable[[HostReport], bool]  # has it written; False when that takes too long
    cancelled: Callable[[str], bool]
    progress: Callable[[str, int | None, str | None, dict[str, Any]], None]
    mark_sent: Callable[[str], None]
    note_made: Callable[[str, list[dict[str, Any]]], None]
    leave: Callable[[str, dict[str, str]], None]  # say that something in doubt is left where it is
    write: Callable[[Callable[[Session], Any]], Any]  # a step on the database, in a transaction of its own
    seal: Callable[[dict[str, str]], bytes]
    open_sealed: Callable[[str], dict[str, str]]
    settings: Settings
    stopping: threading.Event


class Run:
    """One run of a task. Every method raises Cancelled or TaskFailed when the task must end."""

    def __init__(self, job: TaskWork, tie: Tie) -> None:
        self.job = job
        self.made: list[dict[str, str]] = list(job.made)
        self.left: list[dict[str, str]] = []  # what is left where it is, since it may be somebody else's
        self.vm_uuid = job.uuid  # of the VM to look at; a task that makes one sets it
        self.percent = -1  # as last told, of work that counts bytes
        self.saw_transient = False  # whether the VM, when last looked at, was one that its host forgets
        self._called_at = 0.0  # when the last call to the host began
        self._tie = tie

    def host(self) -> Host:
        """The open connection; waits a bounded time for a lost host."""
        deadline = time.monotonic() + HOST_WAIT_S
        told = False
        while (host := self._tie.host(self.job.host_id)) is None:
            self.stop_if_asked()
            if time.monotonic() > deadline:
                raise TaskFailed(
                    "host_lost",
                    N_("The host was lost; how this ended is not known."),
                    why=N_("It did not answer for %(seconds)d seconds while the task waited for it."),
                    hint=N_("Look at the VM once the host answers again, then decide."),
                    params={"seconds": int(HOST_WAIT_S)},
                )
            if not told:
                self.say(None, N_("Waiting for the host to answer."))
                told = True
            self.pause(0.2)
        return host

    def other(self, host_id: str) -> Host:
        """The open connection to another host than the task's. Raises TaskFailed (host_lost)."""
        host = self._tie.host(host_id)
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

    def look(self) -> VmObservation:
        """The VM as it is on its host now. Raises VmGone."""
        vm = self.call(lambda host: host.read_vm(self.vm_uuid))
        self.saw_transient = not vm.persistent
        return vm

    def wait_until(self, done: Callable[[VmObservation], bool], timeout_s: float) -> bool:
        """Look again and again until `done`; False when that takes too long."""
        deadline = time.monotonic() + timeout_s
        while not done(self.look()):
            self.stop_if_asked()
            if time.monotonic() > deadline:
                return False
            self.pause(LOOK_EVERY_S)
        return True

    def send_once(self, verb: Callable[[Host], None]) -> None:
        """Send what must never be sent twice: note that first, and fail rather than repeat it."""
        if self.job.sent:
            raise _maybe_sent()
        host = self.host()
        self.stop_if_asked()
        self._tie.mark_sent(self.job.task_id)
        try:
            verb(host)
        except Lost:
            raise _maybe_sent() from None

    def note_begun(self) -> None:
        """Note that what follows changes the host: `job.sent` tells a later run of the task."""
        self._tie.mark_sent(self.job.task_id)

    def asked(self, spec: type[P]) -> P:
        """What was asked for, as it was checked then."""
        return spec.model_validate(self.job.params)

    def make(self, **what: str) -> bool:
        """Note that the task begins to make this; False when an earlier run noted it already.

        What is noted is all that a clean-up may remove, so look first whether it is there already.
        """
        if what in self.made:
            return False
        self.made.append(what)
        self._tie.note_made(self.job.task_id, self.made)
        return True

    def noted(self, kind: str, **key: str) -> dict[str, str] | None:
        """What was noted, by this run or an earlier one, of the thing of this kind with this key."""
        wanted = {"kind": kind, **key}
        return next((each for each in self.made if wanted.items() <= each.items()), None)

    def note(self, what: Mapping[str, str], *, instead_of: Mapping[str, str] | None = None) -> None:
        """Note how far a created resource has come, in the place of what was noted of the same one.

        `instead_of` is what is forgotten by the same write.
        """
        keys = {leftovers.key_of(each) for each in (what, instead_of) if each is not None}
        kept = [each for each in self.made if leftovers.key_of(each) not in keys]
        self._keep_notes([*kept, dict(what)])

    def drop_note(self, what: Mapping[str, str]) -> None:
        """Forget a resource that this task did not create after all."""
        key = leftovers.key_of(what)
        self._keep_notes([each for each in self.made if leftovers.key_of(each) != key])

    def hand_over(self, step: Callable[[Session], T], what: Mapping[str, str]) -> T:
        """Do a step on the database that keeps a created resource; in its transaction the task forgets it."""
        key = leftovers.key_of(what)
        kept = [each for each in self.made if leftovers.key_of(each) != key]

        def both(session: Session) -> T:
            done = step(session)
            queue.note_made(session, self.job.task_id, kept)
            return done

        done: T = self._tie.write(both)
        self.made = kept
        return done

    def _keep_notes(self, notes: list[dict[str, str]]) -> None:
        self.made = notes
        self._tie.note_made(self.job.task_id, notes)

    def take_back(self) -> None:
        """Remove what this task surely created. When the host cannot be asked now, that is done on its return."""
        host = self._tie.host(self.job.host_id)
        if not self.made or host is None:
            return
        try:
            doubtful = leftovers.take_back(host, self.made)
        except HostError as error:
            log.warning("leftovers_stay", task=self.job.task_id, code=error.code)
            return
        for each in doubtful:
            self.leave(each)
        self._keep_notes([])

    def leave(self, what: Mapping[str, str]) -> None:
        """Leave something where it is, since it may be somebody else's, and say so."""
        self.left.append(dict(what))
        self._tie.leave(self.job.task_id, dict(what))
        self.drop_note(what)

    def write(self, step: Callable[[Session], T]) -> T:
        """Do a step on the database, in a transaction of its own."""
        done: T = self._tie.write(step)
        return done

    def seal(self, secret: dict[str, str]) -> bytes:
        """A secret as it may be stored."""
        return self._tie.seal(secret)

    def open_sealed(self, sealed: str) -> dict[str, str]:
        """What a service sealed for this task."""
        return self._tie.open_sealed(sealed)

    @property
    def settings(self) -> Settings:
        """The server's settings."""
        return self._tie.settings

    def say(self, progress: int | None, message: str | None = None, **params: object) -> None:
        """Show progress in percent, and a message id."""
        self._tie.progress(self.job.task_id, progress, message, params)

    @property
    def cancel_asked(self) -> bool:
        """Whether somebody asked the task to stop."""
        return self._tie.cancelled(self.job.task_id)

    def stop_if_asked(self) -> None:
        """Raise Cancelled when the task was asked to stop."""
        if self.cancel_asked:
            raise Cancelled

    def pause(self, seconds: float) -> None:
        """Wait; raises Interrupted when the server stops, so that the task is taken up by the next start."""
        if self._tie.stopping.wait(seconds):
            raise Interrupted

    def show(self, vm: VmObservation) -> None:
        """Have what was seen written before the task ends, so that pages are right when it does."""
        self.report(vms=(vm,))

    def show_pools(self, pools: Collection[str]) -> None:
        """Have the volumes of these pools read and written, so that pages are right when the task ends."""
        if pools:
            seen = self.call(lambda host: host.read_pools(volumes=True, only=pools))
            self.report(snapshot=HostSnapshot(pools=seen))

    def report(self, **seen: Any) -> None:
        """As `show`, with the fields of a HostReport, which the last call read. What is gone is so from now on."""
        began = time.monotonic() if "gone_vms" in seen else self._called_at
        self._tie.observe(HostReport(self.job.host_id, None, began_s=began, **seen))


class Interrupted(BaseException):
    """The server stops. Not an error of the task: it stays as it is, and the next start goes on with it."""


def _maybe_sent() -> TaskFailed:
    return TaskFailed(
        "interrupted",
        N_("This was interrupted; it may or may not have been sent to the host."),
        why=N_("Doing it a second time would do harm, so it was not repeated."),
        hint=N_("Look at the VM, and do it again if it is still needed."),
    )


def changed_meanwhile() -> TaskFailed:
    """What was to be changed is not what the asker saw."""
    return TaskFailed(
        "changed_meanwhile",
        N_("Somebody changed the definition in between."),
        why=N_("On its host it is not what you saw when you asked."),
        hint=N_("Load it again and repeat your change."),
    )
