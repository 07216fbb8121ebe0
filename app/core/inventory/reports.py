"""What one reading of a host says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from app.core.hosts.states import HostConnection

Parts = Mapping[str, object]
"""What was read of a host, by the name of the collector (app/inventory/collectors) that knows its type."""


@dataclass(frozen=True, slots=True)
class HostReport:
    """What a coordinator or a task has to say of a host; the mirror writes it. A field that is None says nothing.

    `connection_reason` is a message id with `connection_params`. `libvirt_uuid` tells whose readings these are. `began_s` is the
    time.monotonic() at which the reading began; None for what is no reading. `urgent`: somebody may be waiting for it.
    """

    host_id: str
    answered_at: datetime | None  # UTC; when the host last answered, None when this report is about silence
    connection: HostConnection | None = None
    connection_reason: str | None = None
    connection_params: dict[str, str] = field(default_factory=dict)
    fingerprint_seen: str | None = None
    libvirt_uuid: str | None = None
    parts: Parts = field(default_factory=dict)
    hints: tuple[Hint, ...] = ()  # events that led to this reading, for the event log (crashed, rebooted…)
    began_s: float | None = None
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Hint:
    """An event from a host: something about `kind`/`uuid` may have changed. Never believed, always re-read."""

    kind: str  # vm, pool, network, host
    uuid: str | None
    what: str  # started, stopped, crashed, defined, undefined, agent, device, job, rebooted, ...
    detail: str | None = None
