"""What tasks write while they look at images and copy them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.db.models import Image, ImageCopy
from app.hypervisor.storage.images import ImageFacts


@dataclass(frozen=True, slots=True)
class ImageFile:
    """The volume that has an image, on a host: `pool` is the pool's UUID."""

    image_id: str
    host_id: str
    pool: str
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class ImageContent:
    """What was found in the file of an image. `os` is a guess: what a person has said stays."""

    facts: ImageFacts
    size_bytes: int
    sha256: str
    os: str | None


def mark_ready(session: Session, file: ImageFile, content: ImageContent) -> None:
    """Mark the image ready and record what its content is."""
    image = session.get(Image, file.image_id)
    if image is None:
        return
    facts = content.facts
    image.kind = "iso" if facts.format == "iso" else "disk"
    image.format, image.state = facts.volume_format, "ready"
    image.size_bytes, image.virtual_bytes = content.size_bytes, facts.virtual_bytes
    image.sha256 = content.sha256
    image.os_id = image.os_id or content.os
    place(session, file)


def mark_failed(session: Session, image_id: str) -> None:
    """Mark an image that was being imported as failed."""
    image = session.get(Image, image_id)
    if image is not None and image.state == "importing":
        image.state = "failed"


def place(session: Session, file: ImageFile) -> None:
    """A host has the image."""
    if session.get(Image, file.image_id) is None:
        return
    row = session.get(ImageCopy, (file.image_id, file.host_id, file.pool))
    if row is None:
        row = ImageCopy(image_id=file.image_id, host_id=file.host_id, pool_uuid=file.pool)
        session.add(row)
    row.volume_name, row.path, row.checked_at = file.name, file.path, datetime.now(UTC)


def is_placed(session: Session, image_id: str, host_id: str, pool: str) -> bool:
    """Whether the host has the image in this pool."""
    return session.get(ImageCopy, (image_id, host_id, pool)) is not None
