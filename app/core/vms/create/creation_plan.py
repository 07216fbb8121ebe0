"""What people see of a VM's creation before it is done: what would be made, where, and what it leaves free."""

from __future__ import annotations

from pydantic import Field

from app.core.records import Record, Ref


class PlannedVolume(Record):
    """A volume that would be made."""

    pool: str
    name: str
    format: str
    size_bytes: int
    from_image: str | None = Field(None, description="Name of the image that it is made from.")
    linked: bool = False


class Room(Record):
    """What there is of something on a host, and what would be left of it."""

    name: str = Field(description="memory, or the name of a pool.")
    total_bytes: int
    free_bytes: int
    after_bytes: int = Field(description="May be negative: then more is allocated than there is.")

    @property
    def taken_bytes(self) -> int:
        """What would not be free any more."""
        return self.total_bytes - self.after_bytes


class CreationPlan(Record):
    """What would be made, where, why there, and what it leaves free."""

    name: str
    host: Ref
    reason: str | None = Field(None, description="Why this host, when Vigie chose it.")
    os_variant: str | None = Field(None, description="Name of the guest's system.")
    machine: str | None
    firmware: str
    hypervisor: str
    cpu: str
    vcpus: int
    memory_bytes: int
    video: str | None
    volumes: tuple[PlannedVolume, ...] = ()
    networks: tuple[str, ...] = ()
    room: tuple[Room, ...] = ()
    warnings: tuple[str, ...] = ()
    xml: str = Field(description="The definition that would be made.")
