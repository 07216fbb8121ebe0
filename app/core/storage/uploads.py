"""Files on their way into a volume, in parts. Sizes are bytes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from app.core.records import Record, Ref
from app.core.specs import Spec
from app.core.vms.create.spec import MAX_DISK, MIB, VolumeName

MAX_PART = 16 * MIB
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class UploadSpec(Spec):
    """A file that shall become a volume."""

    name: VolumeName
    size_bytes: int = Field(ge=1, le=MAX_DISK)
    sha256: Sha256 | None = Field(None, description="Of the whole file; then it is compared at the end.")


class UploadRecord(Record):
    """How far a file has come. The next part begins at `offset_bytes`; the task of the same id shows it to people."""

    id: str
    pool: Ref
    name: str
    size_bytes: int
    offset_bytes: int
    part_bytes: int = Field(MAX_PART, description="Largest part.")
    updated_at: datetime


class UploadList(Record):
    """Files that are on their way, the latest first."""

    items: tuple[UploadRecord, ...]
