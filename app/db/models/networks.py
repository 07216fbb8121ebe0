"""Networks and network filters."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Base, Id


class StoredLease(TypedDict):
    """An address that a guest has from a network's DHCP; see core.networks.observations.Lease."""

    address: str
    prefix: int
    mac: str | None
    hostname: str | None
    expires_at: str | None


class Network(Base):
    """A virtual network of a host."""

    __tablename__ = "network"
    __table_args__ = (UniqueConstraint("host_id", "uuid"), Index("ix_network_name_id", "name", "id"))

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    host_id: Mapped[str] = mapped_column(ForeignKey("host.id", ondelete="CASCADE"), index=True)
    uuid: Mapped[str] = mapped_column(String(36))
    name: Mapped[str]
    active: Mapped[bool]
    autostart: Mapped[bool]
    persistent: Mapped[bool]
    bridge: Mapped[str | None]
    forward_mode: Mapped[str]
    addresses: Mapped[list[str]] = mapped_column(default=list)
    dhcp: Mapped[bool] = mapped_column(default=False)
    xml: Mapped[str | None] = mapped_column(deferred=True)
    live_xml: Mapped[str | None] = mapped_column(deferred=True)  # what runs, where that differs from `xml`
    mtu: Mapped[int | None]
    vlan: Mapped[str | None]
    leases: Mapped[list[StoredLease] | None] = mapped_column(JSON, deferred=True)  # as last read
    leases_read_at: Mapped[datetime | None]


class Nwfilter(Base):
    """A network filter (nwfilter) of a host, which interfaces of VMs may name."""

    __tablename__ = "nwfilter"
    __table_args__ = (UniqueConstraint("host_id", "uuid"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    host_id: Mapped[str] = mapped_column(ForeignKey("host.id", ondelete="CASCADE"), index=True)
    uuid: Mapped[str] = mapped_column(String(36))
    name: Mapped[str]
    xml: Mapped[str] = mapped_column(deferred=True)
