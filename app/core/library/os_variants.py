"""Operating systems of guests and what suits them, as osinfo-db tells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pydantic import Field

from app.core.records import Record


@dataclass(frozen=True, slots=True)
class Media:
    """How an installation medium of a system can be recognised: regular expressions for fields of ISO 9660."""

    volume_id: str
    system_id: str | None = None
    publisher_id: str | None = None


@dataclass(frozen=True, slots=True)
class OsVariant:
    """One system. Sizes are bytes; None where nothing is said. `has_virtio`: it has drivers of its own."""

    short_id: str
    uri: str
    name: str
    family: str  # linux, winnt, freebsd, ...
    released: date | None
    memory_bytes: int | None
    disk_bytes: int | None
    vcpus: int | None
    has_virtio_disk: bool
    has_virtio_net: bool
    has_virtio_video: bool
    media: tuple[Media, ...] = ()
    codename: str | None = None  # of the release


class OsVariantRecord(Record):
    """A guest's operating system, as osinfo-db knows it."""

    id: str = Field(description="What `os` takes when a VM is created.")
    name: str
    family: str
    released: date | None = None
    memory_bytes: int | None = Field(None, description="Recommended.")
    disk_bytes: int | None = Field(None, description="Recommended.")


class OsVariantList(Record):
    """Systems, newest first."""

    items: tuple[OsVariantRecord, ...]
