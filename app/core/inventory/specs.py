"""Requests about datacenters, events and the tree."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.core.kinds import ObjectKind, Severity
from app.core.specs import ListQuery, Name, ObjectId, Spec


class DatacenterSpec(Spec):
    """A datacenter."""

    name: Name


class EventQuery(ListQuery):
    """Filters of the event list, newest first."""

    target: ObjectId | None = Field(None, description="Events of this object; of a host: of its VMs, too.")
    severity: list[Severity] = Field([])
    kind: str | None = Field(None, max_length=64)


class TreeQuery(Spec):
    """Which children to show: of the root or of `parent`, in one of four views."""

    view: Literal["hosts", "vms", "storage", "networks"] = "hosts"
    parent: ObjectId | None = None
    kind: ObjectKind | None = None
