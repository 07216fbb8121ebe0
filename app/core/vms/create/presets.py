"""VM presets: specifications that are kept under a name."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from app.core.records import Record
from app.core.specs import Name, Spec
from app.core.vms.create.spec import VmSpec


class VmPresetRecord(Record):
    """A specification that was kept under a name. Passwords are not kept; user_data is, sealed, and never shown:

    `user_data_from` in it names the specification itself then, so that it can be sent back as it is.
    """

    id: str
    name: str
    spec: dict[str, object] = Field(description="What `POST /vms` takes; only the fields that were given.")
    created_at: datetime
    created_by: str
    version: int


class VmPresetList(Record):
    """VM presets, by name."""

    items: tuple[VmPresetRecord, ...]


class VmPresetSpec(Spec):
    """A specification to keep."""

    name: Name
    spec: VmSpec
