"""What an observation changed: events and new versions of definitions, before it is known who caused them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from app.core.kinds import ObjectKind, Severity

# What somebody does: where no task of Vigie explains it, it was done outside. The rest is what Vigie sees or does itself.
DEEDS = frozenset(
    {
        *("vm.defined", "vm.restored", "vm.deleted", "vm.undefined", "vm.ended", "vm.started", "vm.stopped"),
        *("vm.saved", "vm.paused", "vm.resumed", "vm.rebooted", "vm.autostart", "vm.changed", "vm.renamed"),
        *("vm.migrated", "pool.appeared", "pool.state", "pool.changed", "pool.vanished"),
        *("network.appeared", "network.state", "network.changed", "network.vanished"),
        *("nwfilter.appeared", "nwfilter.changed", "nwfilter.vanished"),
    }
)


@dataclass(frozen=True, slots=True)
class Initiator:
    """The task that caused something, and who submitted it. `at`: when it began."""

    task_id: str
    actor_name: str
    at: datetime | None = None


@dataclass(slots=True)
class ObservedEvent:
    """An event about an object on a host. `message` is a message id."""

    kind: str
    message: str
    params: Mapping[str, object]
    object_kind: ObjectKind
    object_id: str
    object_name: str
    host_id: str
    host_name: str
    severity: Severity = Severity.INFO
    initiator: Initiator | None = None


@dataclass(slots=True)
class NewVersion:
    """A definition that became another. Without `before` a task created the object: its history begins with that.

    `is_first`: no version of the object was kept before; `creator` is the task that created the object then.
    """

    kind: ObjectKind
    object_id: str
    host_id: str
    before: str | None
    after: str
    is_first: bool = False
    creator: Initiator | None = None
    initiator: Initiator | None = None


@dataclass(slots=True)
class Changes:
    """All that one transaction of the mirror changed. `topics`: what to publish after the commit."""

    at: datetime
    events: list[ObservedEvent] = field(default_factory=list)
    versions: dict[str, NewVersion] = field(default_factory=dict)
    topics: set[str] = field(default_factory=set)
