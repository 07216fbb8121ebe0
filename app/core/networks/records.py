"""What is answered about networks."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from app.core.records import Record


class NetworkRecord(Record):
    """A virtual network of a host."""

    id: str
    uuid: str
    name: str
    host_id: str
    host_name: str
    active: bool
    autostart: bool
    persistent: bool
    stale: bool
    observed_at: datetime | None
    bridge: str | None = None
    forward_mode: str
    addresses: list[str] = Field([])
    dhcp: bool = False
    mtu: int | None = None
    vlan: str | None = None
    vm_count: int = Field(0, description="VMs that are plugged into it, running or not.")
