"""Images, uploads and saved specifications: what people keep to make VMs from."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Base, Id


class Image(Base):
    """An ISO or a disk image in the library. `state` is importing, ready or failed.

    `size_bytes` is that of the file, `virtual_bytes` that of the disk in it. `source` is where it came from, for
    people to read: a file's name or a URL without its query.
    """

    __tablename__ = "image"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str]
    name_key: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]  # iso, disk
    format: Mapped[str | None]  # raw, qcow2
    state: Mapped[str]
    size_bytes: Mapped[int | None]
    virtual_bytes: Mapped[int | None]
    sha256: Mapped[str | None] = mapped_column(String(64))
    os_id: Mapped[str | None]
    source: Mapped[str]
    notes: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    version: Mapped[int] = mapped_column(default=1)


class ImageCopy(Base):
    """Where an image's file is: a volume of a pool of a host, named by what stays the same there."""

    __tablename__ = "image_copy"

    image_id: Mapped[str] = mapped_column(Id, ForeignKey("image.id", ondelete="CASCADE"), primary_key=True)
    host_id: Mapped[str] = mapped_column(
        Id, ForeignKey("host.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    pool_uuid: Mapped[str] = mapped_column(String(36), primary_key=True)
    volume_name: Mapped[str]
    path: Mapped[str]
    checked_at: Mapped[datetime]
