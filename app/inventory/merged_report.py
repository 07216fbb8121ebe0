"""The reports of one host that are written together, merged into one: later ones win, as each collector says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from app.core.inventory.reports import HostReport, Parts
from app.inventory.batch import StoredRow

T = TypeVar("T")
MergeParts = Callable[[Parts, Parts], Parts]  # earlier and later parts of one host
MAX_HINTS = 200  # of one host that wait to be written; the oldest go when there are more


@dataclass(slots=True)
class MergedReport:
    """What is written of one host at a time.

    `row`: the columns of the host that `hosts.observe_hosts` compares. `first`: the host was never read before.
    `turned`: it was lost, or came back.
    """

    report: HostReport
    host_name: str = ""
    row: StoredRow | None = field(default=None, repr=False)
    first: bool = False
    turned: bool = False

    @property
    def host_id(self) -> str:
        """Id of the host."""
        return self.report.host_id

    @property
    def host(self) -> tuple[str, str]:
        """Id and name of the host."""
        return self.report.host_id, self.host_name

    @property
    def answered_at(self) -> datetime | None:
        """When the host last answered (UTC); None when nothing is said of that."""
        return self.report.answered_at

    def hinted(self, uuid: str, what: str, detail: str = "") -> bool:
        """Whether an event of the host said this of the VM."""
        return any(
            hint.uuid == uuid and hint.what == what and detail in (hint.detail or "")
            for hint in self.report.hints
        )


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """What one collector read of a host: its `value`, and the report that it is a part of."""

    merged: MergedReport
    value: T

    @property
    def host_id(self) -> str:
        """Id of the host."""
        return self.merged.host_id

    @property
    def host(self) -> tuple[str, str]:
        """Id and name of the host."""
        return self.merged.host


def merge(earlier: HostReport, later: HostReport, merge_parts: MergeParts) -> HostReport:
    """Two reports of one host as one. It has no beginning any more: only what is in order is merged."""
    hints = (*earlier.hints, *later.hints)[-MAX_HINTS:]
    latest = later if later.connection is not None else earlier
    return HostReport(
        earlier.host_id,
        later.answered_at or earlier.answered_at,
        latest.connection,
        latest.connection_reason,
        latest.connection_params,
        later.fingerprint_seen or earlier.fingerprint_seen,
        later.libvirt_uuid or earlier.libvirt_uuid,
        merge_parts(earlier.parts, later.parts),
        hints,
        urgent=earlier.urgent or later.urgent,
    )


def merge_by_host(reports: Iterable[HostReport], merge_parts: MergeParts) -> dict[str, MergedReport]:
    """What the reports say of each host, by its id."""
    found: dict[str, HostReport] = {}
    for report in reports:
        before = found.get(report.host_id)
        found[report.host_id] = report if before is None else merge(before, report, merge_parts)
    return {host_id: MergedReport(report) for host_id, report in found.items()}
