"""Requests about VMs: annotations, power, lists."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.core.specs import ListQuery, Notes, ObjectId, Spec, TagName
from app.core.vms.power import VmVerb
from app.core.vms.states import VmState


class VmPatch(Spec):
    """What people own of a VM; what is left out stays."""

    tags: list[TagName] | None = Field(None, max_length=50)
    notes: Notes | None = None


class ActionOptions(Spec):
    """Options of a power verb. `method` and `timeout_s` are for shutdown and reboot."""

    method: Literal["auto", "agent", "acpi"] = Field(
        "auto", description="auto: the guest agent where one answers, else ACPI."
    )
    timeout_s: int = Field(
        120, ge=1, le=3600, description="How long the guest may take before the task fails."
    )
    force_after_timeout: bool = Field(
        False, description="Shutdown only: force off a guest that does not react."
    )


class BulkAction(ActionOptions):
    """One verb on many VMs."""

    verb: VmVerb
    ids: list[ObjectId] = Field(min_length=1, max_length=5000)


class VmQuery(ListQuery):
    """Filters of the VM list."""

    state: list[VmState] = Field([])
    host: ObjectId | None = None
    datacenter: ObjectId | None = None
    tag: str | None = Field(None, max_length=64)
    stale: bool | None = None
    uuid: str | None = Field(None, max_length=36)
    name: str | None = Field(None, max_length=300, description="The exact name.")
