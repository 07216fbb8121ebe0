"""How objects are found: answers of the search palette, nodes of the inventory tree."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.core.kinds import ObjectKind
from app.core.records import Record


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
