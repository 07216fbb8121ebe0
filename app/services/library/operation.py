"""What operations on images of the library have in common."""

from __future__ import annotations

from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.access.find import FINDABLE
from app.core.errors import NotFound
from app.db.models import Host, Image, Pool
from app.tasks.operation import Operation, Parameters, Touch


class ImageParameters(Parameters):
    """The image and the volume that has it, or is to have it: `pool` is the pool's UUID on the host.

    `pool_id` is the pool's in the inventory; None in tasks of earlier versions.
    """

    image_id: str
    pool_id: str | None = None
    pool: str
    name: str


ImageP = TypeVar("ImageP", bound=ImageParameters)


class ImageOperation(Operation[ImageP]):
    """An operation that puts an image into a volume, or makes it of one."""

    def touches(self, parameters: ImageP) -> tuple[Touch, ...]:
        """The image, and the pool with the volume."""
        image = Touch(Image, parameters.image_id, "image.edit")
        if parameters.pool_id is None:
            return (image,)
        return (image, Touch(Pool, parameters.pool_id, "volume.edit"))


def pool_by_uuid(session: Session, host_id: str, uuid: str) -> tuple[Pool, Host]:
    """The rows of a pool, by libvirt's UUID on its host, and of the host. Raises NotFound."""
    query = sa.select(Pool, Host).join(Host, Host.id == Pool.host_id)
    row = session.execute(query.where(Pool.host_id == host_id, Pool.uuid == uuid)).one_or_none()
    if row is None:
        raise NotFound(FINDABLE[Pool].missing)
    return row[0], row[1]
