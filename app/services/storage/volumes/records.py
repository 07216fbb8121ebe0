"""What is recorded of volumes: their formats, and what holds them back from use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.core.ids import new_id
from app.core.kinds import ObjectKind, Severity
from app.core.storage.observations import VolumeObservation
from app.core.storage.pools import FILE_POOLS
from app.core.storage.states import BY_DEFINITION, BY_VIGIE, FORMAT_DISAGREES, HELD, RAW, REFUSED
from app.core.storage.volumes import is_same_format
from app.core.tasks.states import ACTIVE_TASK_STATES
from app.core.vms.create.spec import MAX_DISK
from app.db.models import Event, Host, Image, ImageCopy, Pool, Task, Volume
from app.inventory.volume_formats import formats_in_definitions
from app.services.storage.pools.same_storage import same_storage
from app.tasks.catalogue import kinds_by_client

_RANKS = {BY_VIGIE: 0, BY_DEFINITION: 1}


class VolumeKey(NamedTuple):
    """A volume by its host, its pool's UUID and its name."""

    host_id: str
    pool: str
    name: str


@dataclass(frozen=True, slots=True)
class RecordedVolume:
    """A volume as it is recorded. `other_format`: what a second record, or its host, takes it for instead."""

    volume_id: str | None
    pool: str
    name: str
    path: str
    format: str
    other_format: str | None = None
    is_file: bool = True
    is_incomplete: bool = False
    image_bytes: int | None = None  # length that it had when it became an image of the library


def find_recorded(session: Session, host_id: str, path: str) -> RecordedVolume | None:
    """The volume at this path of a host, with what is recorded of it through any host that has its storage.

    What Vigie made it as counts most, then the definitions of VMs.
    """
    query = sa.select(Volume, Pool).join(Pool, Pool.id == Volume.pool_id)
    here = session.execute(query.where(Pool.host_id == host_id, Volume.path == path)).all()
    if not here:
        return None
    volume, pool = here[0]
    same = {item.id for item in same_storage(session, pool)}
    rows = session.execute(query.where(Pool.id.in_(same), Volume.name == volume.name)).all()
    defined = _defined(session, rows)
    best = min((row[0] for row in rows), key=lambda item: (_RANKS.get(item.format_by or "", 2), item.id))
    recorded, other = best.format or RAW, None
    if best.format_by != BY_VIGIE and defined:
        recorded = defined
    elif defined and not is_same_format(defined, recorded):
        other = defined
    if volume.condition == FORMAT_DISAGREES:
        other = other or str((volume.condition_params or {}).get("found", "?"))
    keys = [VolumeKey(item.host_id, item.uuid, row.name) for row, item in rows]
    return RecordedVolume(
        volume_id=volume.id,
        pool=pool.uuid,
        name=volume.name,
        path=volume.path,
        format=recorded,
        other_format=None if other is None or is_same_format(other, recorded) else other,
        is_file=pool.kind in FILE_POOLS,
        is_incomplete=not incomplete(session).isdisjoint(keys),
        image_bytes=_image_bytes(session, host_id, path) if pool.kind in FILE_POOLS else None,
    )


def _defined(session: Session, rows: Sequence[sa.Row[Volume, Pool]]) -> str | None:
    """The format that definitions of VMs give for a volume, on all hosts that have its storage; raw wins."""
    found = set()
    for row, pool in rows:
        formats = formats_in_definitions(session, [pool.host_id]).get(pool.host_id, {})
        found |= {formats.get(row.path), formats.get(f"{pool.name}/{row.name}")} - {None}
    return next((item for item in found if is_same_format(item, RAW)), next(iter(found), None))


def _image_bytes(session: Session, host_id: str, path: str) -> int | None:
    query = sa.select(Image.size_bytes).join(ImageCopy, ImageCopy.image_id == Image.id)
    return session.scalar(query.where(ImageCopy.host_id == host_id, ImageCopy.path == path).limit(1))


def incomplete(session: Session) -> set[VolumeKey]:
    """Volumes that tasks are making, or have left behind half made."""
    return _noted(session)


def is_begun_by_other(session: Session, key: VolumeKey, task_id: str) -> bool:
    """Whether another task than this one has begun to make the volume and will go on with it by itself."""
    goes_on = sa.and_(Task.state.in_(ACTIVE_TASK_STATES), Task.kind.not_in(kinds_by_client()))
    return key in _noted(session, Task.host_id == key.host_id, Task.id != task_id, goes_on)


def _noted(session: Session, *where: sa.ColumnElement[bool]) -> set[VolumeKey]:
    query = sa.select(Task.host_id, Task.created_resources).where(Task.created_resources.is_not(None), *where)
    return {
        VolumeKey(host_id or "", note["pool"], note["name"])
        for host_id, created_resources in session.execute(query)
        for note in created_resources or ()
        if "pool" in note and "name" in note
    }


def record_created(
    session: Session, host_id: str, pool: str, created: VolumeObservation, format: str
) -> None:
    """Record a volume that Vigie has made, with the format that it made it as."""
    pool_id = session.scalar(sa.select(Pool.id).where(Pool.host_id == host_id, Pool.uuid == pool))
    if pool_id is None:
        return
    row = session.scalar(sa.select(Volume).where(Volume.pool_id == pool_id, Volume.name == created.name))
    if row is None:
        counted = sa.update(Pool).where(Pool.id == pool_id)
        session.execute(counted.values(volume_count=Pool.volume_count + 1))
        row = Volume(id=new_id(ObjectKind.VOLUME), pool_id=pool_id, name=created.name)
        session.add(row)
    row.path, row.kind = created.path, created.kind
    row.capacity_bytes = min(created.capacity_bytes, MAX_DISK)
    row.allocation_bytes = min(created.allocation_bytes, MAX_DISK)
    row.backing_path = None if is_same_format(format, RAW) else created.backing_path
    # A medium is raw to QEMU; that it is one is worth showing.
    row.format = created.format if created.format and is_same_format(created.format, format) else format
    row.format_by = BY_VIGIE
    row.condition = row.condition_why = row.condition_params = None


def mark_refused(session: Session, volume_id: str | None, why: str, params: Mapping[str, object]) -> None:
    """Show that the volume was refused when it was to be used, and tell, once."""
    row = None if volume_id is None else session.get(Volume, volume_id)
    if row is None or row.condition == FORMAT_DISAGREES:
        return
    if row.condition != REFUSED:
        session.add(_refused(session, row))
    row.condition, row.condition_why, row.condition_params = REFUSED, why, dict(params)
    row.checked_at = datetime.now(UTC)


def mark_checked(session: Session, volume_id: str | None, format: str) -> None:
    """The volume, and all that it is built on, was checked and may be used. From now on the format is Vigie's record."""
    row = None if volume_id is None else session.get(Volume, volume_id)
    if row is not None:
        if not is_same_format(row.format, format):
            row.format = format
        row.format_by = BY_VIGIE
        row.checked_at = datetime.now(UTC)
        row.condition = row.condition_why = row.condition_params = None


def note_links(session: Session, host_id: str, pool: str, *, hidden: bool) -> None:
    """Note whether Vigie's account may see on the host which files of a pool are symbolic links."""
    changed = sa.func.coalesce(Pool.links_hidden, sa.false()) != sa.literal(hidden)
    session.execute(
        sa.update(Pool).where(Pool.host_id == host_id, Pool.uuid == pool, changed).values(links_hidden=hidden)
    )


def _refused(session: Session, row: Volume) -> Event:
    query = sa.select(Host.id, Host.name).join(Pool, Pool.host_id == Host.id).where(Pool.id == row.pool_id)
    host_id, host_name = session.execute(query).one()
    return Event(
        at=datetime.now(UTC),
        kind="volume.held",
        severity=Severity.WARNING.value,
        message=HELD[REFUSED],
        params={"name": row.name, "host": host_name},
        object_kind=ObjectKind.VOLUME.value,
        object_id=row.id,
        object_name=row.name,
        host_id=host_id,
        host_name=host_name,
    )
