"""Hosts, and what they offer to VMs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Base, Id
from app.db.models.usage import Usage


class Host(Usage, Base):
    """A registered host: where it is, what it is, how it was last seen.

    `connection_reason` is an English message id with `connection_params`; `config_version` grows when the connection
    must be made anew (address, credential, identity, disabled or not).
    """

    __tablename__ = "host"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    datacenter_id: Mapped[str] = mapped_column(ForeignKey("datacenter.id"), index=True)
    name: Mapped[str]
    name_key: Mapped[str] = mapped_column(unique=True)
    transport: Mapped[str]
    address: Mapped[str]
    port: Mapped[int]
    user: Mapped[str]
    socket: Mapped[str]
    credential_id: Mapped[str | None] = mapped_column(ForeignKey("credential.id"), index=True)
    mode: Mapped[str]
    admin_state: Mapped[str] = mapped_column(default="enabled", server_default="enabled")
    # What VMs may be plugged into by those who may not give them host access; None: nothing.
    allowed_bridges: Mapped[list[str] | None]
    allowed_interfaces: Mapped[list[str] | None]
    fingerprint: Mapped[str | None]
    fingerprint_seen: Mapped[str | None]
    libvirt_uuid: Mapped[str | None] = mapped_column(unique=True)
    config_version: Mapped[int] = mapped_column(default=1)

    connection: Mapped[str] = mapped_column(index=True)
    connection_reason: Mapped[str | None]
    connection_params: Mapped[dict[str, object]] = mapped_column(default=dict)
    connection_since: Mapped[datetime | None]
    observed_at: Mapped[datetime | None]  # last answer
    synced_at: Mapped[datetime | None]  # last complete reading

    hostname: Mapped[str | None]
    libvirt_version: Mapped[str | None]
    hypervisor_version: Mapped[str | None]
    cpu_model: Mapped[str | None]
    cpus: Mapped[int | None]
    memory_bytes: Mapped[int | None]
    facts: Mapped[dict[str, object]] = mapped_column(default=dict)  # core.hosts.observations.HostFacts
    checks: Mapped[list[dict[str, object]]] = mapped_column(default=list)  # core.hosts.observations.Check
    worst_check: Mapped[str | None]
    checked_at: Mapped[datetime | None]
    vm_count: Mapped[int] = mapped_column(default=0)
    vm_running: Mapped[int] = mapped_column(default=0)

    tags: Mapped[list[str]] = mapped_column(default=list)
    notes: Mapped[str] = mapped_column(default="")
    search_text: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)


class HostCapabilities(Base):
    """What a host can give to VMs (core.hosts.capabilities), read once per connection."""

    __tablename__ = "host_capabilities"

    host_id: Mapped[str] = mapped_column(Id, ForeignKey("host.id", ondelete="CASCADE"), primary_key=True)
    capabilities: Mapped[dict[str, object]]
    read_at: Mapped[datetime]
    devices: Mapped[
        list[dict[str, object]] | None
    ]  # core.vms.host_devices.HostDevice, read when somebody asks
    devices_read_at: Mapped[datetime | None]
