"""What an operation is: the one declaration of something that changes a host, beside its use case.

An operation says what it is called, which objects it touches and which privileges that takes, what it locks, reserves
and claims, when it is refused, what it does and how that is undone, and which observed events it explains. Pages, API,
command line, bulk actions and schedules all go through `app.tasks.submit`; nothing else names a kind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from app.access.context import Ctx
from app.core.hosts.states import AdminState, HostMode
from app.core.messages import N_
from app.core.records import Ref
from app.db.models import Host
from app.db.models.base import Base
from app.tasks.errors import TaskFailed

if TYPE_CHECKING:
    from app.tasks.context import TaskContext


class Parameters(BaseModel):
    """Typed parameters of an operation: ids and choices, never secrets. Secrets are sealed by the vault first.

    `target_id` and `host_id` are columns of the task; the rest is stored as JSON with `version`. A class whose fields
    change their meaning raises its version and reads older ones in `upgraded`, so that a task that was queued before
    an upgrade can still be done.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: ClassVar[int] = 1

    target_id: str = Field(exclude=True)
    host_id: str = Field("", exclude=True)

    @classmethod
    def upgraded(cls, stored: dict[str, object], version: int) -> dict[str, object]:
        """What an earlier version stored, in the shape of this one."""
        return stored


P = TypeVar("P", bound=Parameters)


@dataclass(frozen=True, slots=True)
class Touch:
    """An object that an operation works on, and the privilege that this takes there."""

    model: type[Base]
    id: str
    privilege: str


@dataclass(frozen=True, slots=True)
class Location:
    """Where an operation works now. `uuid` is libvirt's of the object, where it has one; the states are the host's."""

    host_id: str
    mode: HostMode
    admin_state: AdminState
    uuid: str = ""


@dataclass(slots=True)
class Locks:
    """Names of what a task holds alone, and of what it shares with others that only read it. Most are ids of objects.

    `apart` are names that nobody may hold when it is submitted, not even shared.
    """

    holds: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)
    apart: set[str] = field(default_factory=set)

    def __or__(self, other: Locks) -> Locks:
        return Locks(self.holds | other.holds, self.reads | other.reads, self.apart | other.apart)


@dataclass(frozen=True, slots=True)
class Reservation:
    """What an operation takes of a host from its submission until its end."""

    host_id: str
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class IdentityClaim:
    """The id that an object is to have which the operation creates: it is known by its host and libvirt's UUID."""

    host_id: str
    uuid: str
    object_id: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a check allows: on what, where, and what is held, reserved and claimed meanwhile.

    The target is held alone unless `holds_target` is False.
    """

    target: Ref
    host: Ref
    locks: Locks = field(default_factory=Locks)
    reservations: tuple[Reservation, ...] = ()
    claims: tuple[IdentityClaim, ...] = ()
    holds_target: bool = True

    def all_locks(self) -> Locks:
        """The locks, with the target."""
        own = {self.target.id} if self.holds_target else set()
        return Locks(self.locks.holds | own, self.locks.reads - self.locks.holds - own, self.locks.apart)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an operation succeeded: a message id with parameters, and what it created."""

    message: str
    params: Mapping[str, object] = field(default_factory=dict)
    result: Mapping[str, object] | None = None


class Operation(ABC, Generic[P]):
    """One kind of task, declared with `app.tasks.catalogue.declare`.

    `cancellable`: it can be stopped once it has begun. `by_client`: the program that submitted it drives it (an
    upload), so the engine leaves it alone. `explains`: kinds of observed events that it causes. `creates`: the history
    of its target begins with it. `redefines`: it makes new versions of a definition. `supersedes`: operations that
    end, and let go of their target, when it is submitted.
    """

    kind: ClassVar[str]
    title: ClassVar[str]
    parameters: type[P]
    cancellable: ClassVar[bool] = False
    by_client: ClassVar[bool] = False
    explains: ClassVar[frozenset[str]] = frozenset()
    creates: ClassVar[bool] = False
    redefines: ClassVar[bool] = False
    supersedes: ClassVar[tuple[type[Operation[Any]], ...]] = ()

    @abstractmethod
    def touches(self, parameters: P) -> tuple[Touch, ...]:
        """Every object that it works on. `submit` and the task's begin require each privilege."""

    @abstractmethod
    def check(self, ctx: Ctx, parameters: P) -> Plan:
        """Say what would be done, without doing any of it: the same for preview, request and begin.

        When the task begins, `ctx.task_id` is set. Raises Conflict, InvalidInput and what else refuses it.
        """

    @abstractmethod
    def run(self, context: TaskContext, parameters: P) -> Outcome:
        """Do it. May run again from the start after a crash, so it looks before it acts.

        What must not be repeated goes through `context.send_once`. Raises TaskFailed, HostError, Cancelled.
        """

    def locate(self, session: Session, parameters: P) -> Location:
        """Where it works now. Raises TaskFailed (host_gone) when the inventory does not know that any more."""
        query = sa.select(Host.mode, Host.admin_state).where(Host.id == parameters.host_id)
        row = session.execute(query).one_or_none()
        if row is None:
            raise TaskFailed("host_gone", N_("The host is not in the inventory any more."))
        return Location(parameters.host_id, HostMode(row.mode), AdminState(row.admin_state))

    def read(self, target_id: str, host_id: str, stored: dict[str, object], version: int) -> P:
        """The parameters of a task, as its row has them."""
        values = stored if version == self.parameters.version else self.parameters.upgraded(stored, version)
        return self.parameters.model_validate({**values, "target_id": target_id, "host_id": host_id})
