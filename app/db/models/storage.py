"""Storage pools, volumes and uploads."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Base, Id


class StopReason(TypedDict):
    """Why a pool stopped by itself: a message id with its parameters."""

    why: str
    params: dict[str, object]


class Pool(Base):
    """A storage pool of a host. `missing_since` as with VMs."""

    __tablename__ = "pool"
    __table_args__ = (UniqueConstraint("host_id", "uuid"), Index("ix_pool_name_id", "name", "id"))

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    host_id: Mapped[str] = mapped_column(ForeignKey("host.id", ondelete="CASCADE"), index=True)
    uuid: Mapped[str] = mapped_column(String(36))
    name: Mapped[str]
    kind: Mapped[str]
    state: Mapped[str]
    autostart: Mapped[bool]
    persistent: Mapped[bool]
    capacity_bytes: Mapped[int]
    allocation_bytes: Mapped[int]
    available_bytes: Mapped[int]
    target_path: Mapped[str | None]
    volume_count: Mapped[int] = mapped_column(default=0)
    volumes_read_at: Mapped[datetime | None]
    xml: Mapped[str | None] = mapped_column(deferred=True)
    live_xml: Mapped[str | None] = mapped_column(deferred=True)  # what runs, where that differs from `xml`
    shared_mark: Mapped[str | None]  # pools with the same mark are proven to be the same storage
    verified_at: Mapped[datetime | None]
    source: Mapped[
        str | None
    ]  # its target on a storage server, such as "netfs nas:/vms"; None: local to the host
    links_hidden: Mapped[bool | None]  # Vigie's account may not see which of its files are symbolic links
    stopped_by: Mapped[StopReason | None] = mapped_column(JSON)  # when it stopped by itself
    verify_requested_at: Mapped[datetime | None]  # when Vigie by itself last had it found out who shares it


class PoolDifference(Base):
    """Two pools of different hosts that were found to be different storage. Written both ways round."""

    __tablename__ = "pool_difference"

    pool_id: Mapped[str] = mapped_column(Id, ForeignKey("pool.id", ondelete="CASCADE"), primary_key=True)
    other_id: Mapped[str] = mapped_column(
        Id, ForeignKey("pool.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class Volume(Base):
    """A volume of a pool."""

    __tablename__ = "volume"
    __table_args__ = (UniqueConstraint("pool_id", "name"), Index("ix_volume_name_id", "name", "id"))

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id", ondelete="CASCADE"))
    name: Mapped[str]
    path: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]
    format: Mapped[str | None]
    capacity_bytes: Mapped[int]
    allocation_bytes: Mapped[int]
    backing_path: Mapped[str | None]
    format_by: Mapped[
        str | None
    ]  # who recorded `format`: vigie, definition (of a VM), found (as first listed)
    condition: Mapped[str | None]  # what holds it back from use: format_disagrees, refused
    condition_why: Mapped[str | None]  # a message id
    condition_params: Mapped[dict[str, object] | None]
    checked_at: Mapped[datetime | None]  # when it was last checked before a use


class Upload(Base):
    """A file on its way into a volume. The task of the same id shows it to people."""

    __tablename__ = "upload"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    pool_id: Mapped[str] = mapped_column(Id, ForeignKey("pool.id", ondelete="CASCADE"), index=True)
    volume_name: Mapped[str]
    size_bytes: Mapped[int]
    offset_bytes: Mapped[int] = mapped_column(default=0)
    sha256: Mapped[str | None] = mapped_column(String(64))  # what the sender says the whole has
    image: Mapped[dict[str, object] | None]  # what becomes of it in the library, if anything
    head: Mapped[bytes | None] = mapped_column(deferred=True)  # its beginning, which is written last
    claim: Mapped[str | None] = mapped_column(String(32))  # of the request that writes a part now
    claimed_until: Mapped[datetime | None]
    user_id: Mapped[str | None] = mapped_column(Id)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime] = mapped_column(index=True)
