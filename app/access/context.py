"""Who asks, with which rights, in which transaction. Every service function takes a `Ctx` first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Literal

from sqlalchemy.orm import Session

from app.access.replicas import Replicas, SingleProcessReplicas
from app.access.sign_in.login_attempts import LoginAttempts, SingleProcessLoginAttempts
from app.access.vault import Vault
from app.config import Settings
from app.core.access.privileges import PRIVILEGES, Role
from app.core.errors import NotAllowed
from app.core.messages import N_, filled
from app.core.notices import Hub
from app.db.notices import notify
from app.db.session import Database
from app.hypervisor import Host, HostConnectionCache, HostProber

Via = Literal["page", "api", "cli", "system"]


@dataclass(frozen=True, slots=True)
class Services:
    """What every service function may need of the running program; made once by `main` or the command line."""

    settings: Settings
    database: Database
    hub: Hub
    vault: Vault
    replicas: Replicas = field(default_factory=SingleProcessReplicas)
    login_attempts: LoginAttempts = field(default_factory=SingleProcessLoginAttempts)
    host_connections: HostConnectionCache = field(init=False)
    host_prober: HostProber = field(init=False)

    def __post_init__(self) -> None:
        connect_s, call_s = self.settings.connect_deadline_s, self.settings.call_deadline_s
        open_host = partial(Host.open, connect_deadline_s=connect_s, call_deadline_s=call_s)
        prober = HostProber(connect_deadline_s=connect_s, call_deadline_s=call_s)
        object.__setattr__(self, "host_connections", HostConnectionCache(open_host))
        object.__setattr__(self, "host_prober", prober)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. `user_id` is None for the program itself."""

    user_id: str | None
    name: str
    role: Role
    via: Via
    remote: str | None = None
    login_id: str | None = None
    token_id: str | None = None


def _same(text: str) -> str:
    return text


@dataclass(slots=True)
class Ctx:
    """One request or one step of a task: an open transaction, an actor, and the program around it.

    `translate` turns a message id into the asker's language (services answer with sentences, not ids).
    """

    services: Services
    session: Session
    actor: Actor
    translate: Callable[[str], str] = _same
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    task_id: str | None = None  # the task that begins, when its operation is checked again
    visible_rows: dict[str, object] = field(default_factory=dict)  # by id: rows that the actor may see

    @property
    def begins(self) -> bool:
        """Whether an operation is checked as its task begins: the host itself is looked at next, and better."""
        return self.task_id is not None

    def can(self, privilege: str, obj: object = None) -> bool:
        """Whether the actor holds the privilege on the object (on anything, when None)."""
        if privilege not in PRIVILEGES:
            raise ValueError(f"unknown privilege {privilege!r}")
        return privilege in self.actor.role.privileges

    def require(self, privilege: str, obj: object = None) -> None:
        """Raise NotAllowed unless the actor holds the privilege on the object."""
        if not self.can(privilege, obj):
            raise NotAllowed(
                self.translate(N_("You may not do this.")),
                why=self.translate(N_("The privilege %(privilege)s is missing.")) % {"privilege": privilege},
                hint=self.translate(N_("Ask an administrator for a role that holds it.")),
            )

    def say(self, message: str, params: Mapping[str, object] | None = None) -> str:
        """A message id in the asker's language, with its parameters filled in.

        A parameter that is a list holds message ids of its own.
        """
        return filled(self.translate, message, params)

    def notify(self, *topics: str) -> None:
        """Publish topics once the transaction is committed."""
        notify(self.session, self.services.hub, *topics)
