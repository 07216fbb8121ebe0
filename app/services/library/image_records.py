"""What the engine writes while it looks at images and copies them."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.core.library.images import ImageLook
from app.db.models import Image, ImageCopy


def settle(
    session: Session,
    look: ImageLook,
    host_id: str,
    *,
    kind: str,
    format: str,
    size: int,
    virtual: int | None,
    sha256: str,
    os: str | None,
) -> None:
    """The volume is an image now. `os` is a guess: what a person has said stays."""
    image = session.get(Image, look.image_id)
    if image is None:
        return
    image.kind, image.format, image.state = kind, format, "ready"
    image.size_bytes, image.virtual_bytes, image.sha256 = size, virtual, sha256
    image.os_id = image.os_id or os
    place(session, look.image_id, host_id, look.pool, look.name, look.path)


def fail(session: Session, image_id: str) -> None:
    """It is none."""
    image = session.get(Image, image_id)
    if image is not None and image.state == "importing":
        image.state = "failed"


def place(session: Session, image_id: str, host_id: str, pool: str, name: str, path: str) -> None:
    """A host has the image."""
    if session.get(Image, image_id) is None:
        return
    row = session.get(ImageCopy, (image_id, host_id, pool))
    if row is None:
        row = ImageCopy(image_id=image_id, host_id=host_id, pool_uuid=pool)
        session.add(row)
    row.volume_name, row.path, row.checked_at = name, path, datetime.now(UTC)


def is_placed(session: Session, image_id: str, host_id: str, pool: str) -> bool:
    """Whether the host has the image in this pool."""
    return session.get(ImageCopy, (image_id, host_id, pool)) is not None
