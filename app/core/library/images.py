"""Images of the library: ISO and disk images that VMs are made from. Sizes are bytes."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from app.core.records import Record, Ref
from app.core.specs import Name, Notes, ObjectId, Spec
from app.core.storage.uploads import Sha256
from app.core.vms.create.spec import VolumeName, Word


class ImageSpec(Spec):
    """A volume that shall be an image. Upload the file to a pool first."""

    name: Name
    volume_id: ObjectId
    os: Word | None = Field(None, description="Short id of the system in it, as when a VM is created.")
    notes: Notes = ""


class ImageImport(Spec):
    """A file on another server that shall become a volume of a pool, and an image."""

    name: Name
    url: str = Field(
        min_length=1,
        max_length=2000,
        description="https://…, of a server that the settings allow; http:// only with `sha256`.",
    )
    pool_id: ObjectId
    volume_name: VolumeName | None = Field(None, description="Of the volume; unset: the file's.")
    sha256: Sha256 | None = Field(None, description="What the file's SHA-256 must be.")
    os: Word | None = Field(None, description="Short id of the system in it; unset: guessed.")
    notes: Notes = ""


class ImagePatch(Spec):
    """Changes; what is left out stays."""

    name: Name | None = None
    os: Word | None = None
    notes: Notes | None = None


class ImageCopySpec(Spec):
    """A pool of another host that shall have the image too."""

    pool_id: ObjectId


class ImageFetch(Spec):
    """A copy of an image that a task makes: from where, and as which volume of which pool."""

    image_id: str
    from_host: str
    from_pool: str
    from_name: str
    pool: str
    name: str
    size_bytes: int
    sha256: str
    format: str = "raw"


class ImagePlace(Record):
    """Where an image's file is."""

    host: Ref
    path: str
    volume_name: str
    checked_at: datetime


class ImageRecord(Record):
    """An image. `kind` iso goes into drives, disk becomes disks."""

    id: str
    name: str
    kind: Literal["iso", "disk"]
    format: str | None = None
    state: Literal["importing", "ready", "failed"]
    size_bytes: int | None = Field(None, description="Of the file.")
    virtual_bytes: int | None = Field(None, description="Of the disk in it.")
    sha256: str | None = None
    os: str | None = None
    source: str
    notes: str = ""
    created_at: datetime
    created_by: str
    places: tuple[ImagePlace, ...] = ()
    version: int

    @property
    def is_iso(self) -> bool:
        """True when it goes into drives."""
        return self.kind == "iso"

    @property
    def is_failed(self) -> bool:
        """True when it was refused or could not be read."""
        return self.state == "failed"
