"""Images, uploads and saved specifications: what people keep to make VMs from."""

from __future__ import annotations

from datetime import datetime
from typing import Any

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


class Upload(Base):
    """A file on its way into a volume. The task of the same id shows it to people."""

    __tablename__ = "upload"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    pool_id: Mapped[str] = mapped_column(Id, ForeignKey("pool.id", ondelete="CASCADE"), index=True)
    volume_name: Mapped[str]
    size_bytes: Mapped[int]
    offset_bytes: Mapped[int] = mapped_column(default=0)
    sha256: Mapped[str | None] = mapped_column(String(64))  # what the sender says the whole has
    image: Mapped[dict[str, Any] | None]  # what becomes of it in the library, if anything
    head: Mapped[bytes | None] = mapped_column(deferred=True)  # its beginning, which is written last
    claim: Mapped[str | None] = mapped_column(String(32))  # of the request that writes a part now
    claimed_until: Mapped[datetime | None]
    user_id: Mapped[str | None] = mapped_column(Id)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime] = mapped_column(index=True)


class SavedSpec(Base):
    """A VM specification that was kept under a name."""

    __tablename__ = "saved_spec"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str]
    name_key: Mapped[str] = mapped_column(unique=True)
    spec: Mapped[dict[str, Any]]  # without passwords and user_data
    sealed: Mapped[bytes | None]  # its user_data, sealed with the key file
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    version: Mapped[int] = mapped_column(default=1)


class CloudInitSeed(Base):
    """The medium with which a VM is set up at its first boot. `vm_id` is set before the VM is made."""

    __tablename__ = "cloud_init_seed"

    vm_id: Mapped[str] = mapped_column(Id, primary_key=True)
    host_id: Mapped[str] = mapped_column(Id, ForeignKey("host.id", ondelete="CASCADE"), index=True)
    pool_uuid: Mapped[str] = mapped_column(String(36))
    volume_name: Mapped[str]
    target: Mapped[str]  # its drive
    keep: Mapped[bool]
    created_at: Mapped[datetime]
    booted_at: Mapped[datetime | None]  # when the VM was first seen running
    tried_at: Mapped[datetime | None]  # when its removal was last asked for
