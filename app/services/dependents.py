"""Who would be harmed if a VM wrote to a volume: the volumes that are built on it, and images of the library."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db.models import Image, ImageCopy, Pool, Volume
from app.services.volume_places import Place, places_of, volumes_named


def dependents(session: Session, host_id: str, sources: Collection[str]) -> dict[str, list[str]]:
    """By name, those of a host's volumes with these paths, or called `pool/volume`, that must not change, with the
    names of what depends on them on any host that surely has the same storage.
    """
    volumes = [volume for volume, _ in volumes_named(session, host_id, sources)]
    found = {}
    for volume_id, places in places_of(session, volumes).items():
        volume = session.get_one(Volume, volume_id)
        names = _built_on(session, places) + _images(session, volume.name, places)
        if names:
            found[volume.name] = names
    return found


def _built_on(session: Session, places: Collection[Place]) -> list[str]:
    query = sa.select(Pool.host_id, Volume.backing_path, Volume.name).join(Pool, Pool.id == Volume.pool_id)
    query = query.where(Volume.backing_path.in_({path for _, path in places})).order_by(Volume.name)
    rows = session.execute(query)
    return list(dict.fromkeys(name for host, path, name in rows if (host, path) in places))


def _images(session: Session, name: str, places: Collection[Place]) -> list[str]:
    query = sa.select(ImageCopy.host_id, ImageCopy.path, Image.name)
    query = query.join(Image, Image.id == ImageCopy.image_id).where(ImageCopy.volume_name == name)
    rows = session.execute(query.order_by(Image.name))
    return list(dict.fromkeys(image for host, path, image in rows if (host, path) in places))
