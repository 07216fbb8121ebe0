"""What services answer: one shape for pages, API and command line.

These are the schemas of the REST API. Times are UTC, sizes bytes, rates per second. Text that came from a
host or a guest is untrusted. Every observed object carries `observed_at` and `stale`: when its host was last
heard, and whether that is too long ago to be believed.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from app.core.kinds import ObjectKind

T = TypeVar("T")


class Record(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Page(Record, Generic[T]):
    """A part of a list: `next` is the cursor of the following part, `total` counts what the filter lets through."""

    items: list[T]
    next: str | None = None
    total: int


class Ref(Record):
    """A pointer to an object with what is needed to show it."""

    kind: ObjectKind
    id: str
    name: str


class UsageRecord(Record):
    """Rates over the last interval; null where they cannot be known (not running, first reading, no support)."""

    cpu_percent: float | None = Field(None, description="Of all its vCPUs or threads, 0 to 100.")
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    disk_read_bps: float | None = Field(None, description="Bytes per second.")
    disk_write_bps: float | None = None
    disk_iops: float | None = None
    net_rx_bps: float | None = None
    net_tx_bps: float | None = None


class Problem(BaseModel):
    """An error, as RFC 9457 says it, with Vigie's own fields."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(description="A URI that names the kind of problem; about:blank is never used.")
    title: str
    status: int
    detail: str | None = None
    code: str
    why: str | None = Field(None, description="The check that failed, with its figures.")
    hint: str | None = Field(None, description="What to do.")
    field: str | None = Field(None, description="The field that breaks the rule.")
    errors: list[FieldProblem] | None = None
    task: str | None = Field(None, description="For a busy object: the task that holds it.")
    fingerprint: str | None = Field(None, description="For an identity to confirm: what the host showed.")


class FieldProblem(BaseModel):
    """One field that breaks a rule."""

    field: str
    rule: str
