"""Who would be harmed if a VM wrote to a volume: the volumes that are built on it, and images of the library."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy.orm import Session

from app.services.storage.volume_locations import places_of, volumes_named
from app.services.storage.volume_users import dependents_of


def dependents(session: Session, host_id: str, sources: Collection[str]) -> dict[str, list[str]]:
    """By name, those of a host's volumes with these paths, or called `pool/volume`, that must not change, with the
    names of what depends on them on any host that surely has the same storage.
    """
    found: dict[str, list[str]] = {}
    for volume, _ in volumes_named(session, host_id, sources):
        places = places_of(session, [volume])[volume.id]
        users = {user.name for place, user in dependents_of(session, places, [volume]) if place in places}
        if users:
            found[volume.name] = sorted(users)
    return found
