"""What is answered about storage pools and volumes."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from app.core.inventory.conditions import ConditionRecord
from app.core.records import Record, Ref


class PoolRecord(Record):
    """A storage pool."""

    id: str
    uuid: str
    name: str
    host_id: str
    host_name: str
    kind: str
    state: str
    stale: bool
    observed_at: datetime | None
    autostart: bool
    persistent: bool
    capacity_bytes: int
    allocation_bytes: int
    available_bytes: int
    target_path: str | None = None
    volume_count: int = 0
    volumes_read_at: datetime | None = Field(None, description="When its volumes were read last.")
    shared: bool | None = Field(
        None, description="Whether other hosts have the same storage; null: not known."
    )
    shared_with: tuple[Ref, ...] = Field((), description="Those hosts; only when one pool is asked for.")
    verified_at: datetime | None = Field(None, description="When that was found out.")
    pending: bool | None = Field(None, description="Of one pool: a definition waits for its next start.")
    conditions: list[ConditionRecord] = Field([], description="What is wrong with it now, the worst first.")
    links_checked: bool = Field(True, description="Whether Vigie can see symbolic links on this host.")
    stop_reason: str | None = Field(None, description="Why it stopped by itself, as far as it is known.")

    @property
    def is_running(self) -> bool:
        """True when its volumes can be used."""
        return self.state == "running"


class VolumeRecord(Record):
    """A volume of a pool."""

    id: str
    name: str
    path: str
    pool_id: str
    pool_name: str
    host_id: str
    host_name: str
    kind: str
    format: str | None = None
    capacity_bytes: int
    allocation_bytes: int
    backing_path: str | None = None
    condition: Literal["incomplete", "format_disagrees", "refused"] | None = Field(
        None, description="What holds the volume back from use."
    )
    condition_reason: str | None = None
    links_checked: bool = Field(True, description="Whether Vigie can see symbolic links on this host.")
    checked_at: datetime | None = Field(None, description="When it was last checked, before a use.")
    stale: bool
    observed_at: datetime | None
