"""Creating VMs: what a task is told, and what people see of a plan before it is done."""

from __future__ import annotations

from pydantic import Field

from app.core.blueprint import Blueprint
from app.core.records import Record, Ref
from app.core.specs import Notes, Spec, TagName


class Creation(Spec):
    """Params of a task that creates a VM. `seed` holds the sealed texts of a cloud-init seed."""

    blueprint: Blueprint
    seed: str | None = None
    start: bool
    autostart: bool
    tags: tuple[TagName, ...] = ()
    notes: Notes = ""


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
    after_bytes: int = Field(description="May be negative: then more is promised than there is.")


class CreationPlan(Record):
    """What would be made, where, why there, and what it leaves free."""

    name: str
    host: Ref
    reason: str | None = Field(None, description="Why this host, when Vigie chose it.")
    system: str | None = Field(None, description="Name of the guest's system.")
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
