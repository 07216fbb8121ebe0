"""Changes of a VM's hardware as they are asked for, and what is said of the definition. Sizes are bytes."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from app.core.messages import N_
from app.core.records import Record
from app.core.specs import Name, ObjectId, Spec
from app.core.vms.create.spec import MIB, Mac, VmName

MAX_XML = 512 * 1024
Target = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,8}$")]
Xml = Annotated[str, StringConstraints(min_length=1, max_length=MAX_XML)]


class HardwarePatch(Spec):
    """Processors, memory, title and boot order; what is left out stays."""

    vcpus: int | None = Field(None, ge=1, le=1024, description="Now, as far as the maximum allows it.")
    vcpus_max: int | None = Field(None, ge=1, le=1024, description="After the next power-off.")
    memory_bytes: int | None = Field(None, ge=MIB, le=2**50, description="Now, by the balloon.")
    memory_max_bytes: int | None = Field(None, ge=MIB, le=2**50, description="After the next power-off.")
    title: Name | None = None
    boot: list[Target | Mac] | None = Field(
        None, max_length=40, description="Disks by target and interfaces by MAC address, first to last."
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(N_("change at least one thing"))
        if self.boot is not None and len(set(self.boot)) != len(self.boot):
            raise ValueError(N_("each device boots once"))
        return self


class Media(Spec):
    """What lies in a CD or floppy drive."""

    volume_id: ObjectId | None = Field(None, description="None: the drive is emptied.")
    image_id: ObjectId | None = None


class NicPatch(Spec):
    """Changes of an interface; what is left out stays."""

    link_up: bool | None = None
    network_id: ObjectId | None = None
    filter: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        None, description="A network filter of the host; empty: none."
    )
    in_kbps: int | None = Field(None, ge=0, le=2**40, description="Kilobytes per second; 0: no limit.")
    out_kbps: int | None = Field(None, ge=0, le=2**40)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(N_("change at least one thing"))
        return self


class RenameSpec(Spec):
    """Another name. The VM must be off."""

    name: VmName


class DefinitionSpec(Spec):
    """A definition to take the place of the saved one. It counts after the next power-off of a VM that runs."""

    xml: Xml


class DefinitionRecord(Record):
    """The saved definition, and the one that runs where that differs. `version` is the ETag for changes."""

    saved: str
    live: str | None = None
    pending: tuple[str, ...] = Field((), description="Parts that will be others after the next power-off.")
    version: int
