"""Versions of definitions (of VMs, pools, networks) and what is different between two of them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from app.core.records import Record


class DiffLine(Record):
    """A line of a comparison. `kind` is same, gone or new."""

    kind: Literal["same", "gone", "new"]
    text: str

    @property
    def is_same(self) -> bool:
        """True when both definitions have it."""
        return self.kind == "same"

    @property
    def is_gone(self) -> bool:
        """True when only the earlier definition has it."""
        return self.kind == "gone"


class DiffRecord(Record):
    """Two definitions compared, element by element."""

    parts: tuple[str, ...] = Field(description="What is different, in words.")
    host_access: tuple[str, ...] = Field((), description="What of the new one lets a guest reach its host.")
    lines: tuple[DiffLine, ...]

    @property
    def differs(self) -> bool:
        """True when a line of one is not in the other."""
        return any(not line.is_same for line in self.lines)


class VersionRecord(Record):
    """A version of a definition: since when it counts and who made it. `id` 0 is the present one without history."""

    id: int
    since: datetime | None = Field(None, description="null: so it was before Vigie knew it.")
    actor: str | None = Field(None, description="null: outside Vigie.")
    task_id: str | None = None
    current: bool = False


class VersionList(Record):
    """Versions of a definition, the latest first."""

    items: tuple[VersionRecord, ...]
