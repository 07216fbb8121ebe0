"""What is answered about datacenters, events, the dashboard, the search palette and the inventory tree."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from app.core.kinds import ObjectKind, Severity
from app.core.records import Record, Ref
from app.core.vms.records import VmRecord


class DatacenterRecord(Record):
    """A datacenter: the top of the tree."""

    id: str
    name: str
    host_count: int = 0
    vm_count: int = 0
    version: int


class EventRecord(Record):
    """Something that happened."""

    id: int
    at: datetime
    kind: str
    severity: Severity
    message: str = Field(description="In the language of the asker.")
    target: Ref | None = None
    host: Ref | None = None
    task_id: str | None = None
    actor: str | None = Field(None, description="Who asked Vigie for it; null: nobody did.")
    outside: bool = Field(
        False,
        description="Whether somebody did it outside Vigie. Otherwise, without an actor, Vigie saw or did it itself.",
    )


class Meter(Record):
    """How much of something is used."""

    used: float
    total: float
    percent: float | None


class Dashboard(Record):
    """The dashboard."""

    hosts: dict[str, int] = Field(
        description="Number of hosts by what they are shown as: their connection, or maintenance or disabled."
    )
    vms: dict[str, int] = Field(description="Number of VMs by state.")
    stale_vms: int
    duplicate_vms: int
    cpu: Meter
    memory: Meter
    storage: Meter
    vcpus_allocated: int
    cpus: int
    memory_allocated_bytes: int
    attention: list[Attention]
    busiest: list[VmRecord]


class Attention(Record):
    """Something an administrator should look at."""

    severity: Severity
    message: str
    hint: str | None = None
    url: str


class SearchHit(Record):
    """An answer of the search palette."""

    kind: Literal["vm", "host", "datacenter", "pool", "network", "image", "volume", "action", "page"]
    id: str
    name: str
    url: str
    state: str | None = None
    stale: bool = False
    where: str | None = Field(
        None, description="The host of a VM, the address of a host, the pool and host of a volume."
    )
    matched: str | None = Field(
        None, description="What matched when it is not the name: an address, a MAC, a tag…"
    )
    method: Literal["GET", "POST"] = "GET"
    confirm: bool = Field(
        False, description="Whether a person should be asked first: the guest may lose data."
    )


class TreeNode(Record):
    """A node of the inventory tree; children are asked for when it is opened."""

    id: str
    kind: ObjectKind
    name: str
    url: str
    state: str | None = None
    stale: bool = False
    count: int | None = Field(None, description="How many VMs (or objects of the view) are below it.")
    children: bool
