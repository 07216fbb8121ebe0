"""The content of volumes, for people to take with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import sqlalchemy as sa

from app.core.errors import Conflict, NotFound
from app.core.messages import N_
from app.core.records import Ref
from app.core.states import ObjectKind
from app.db.models import Pool, Volume
from app.services import audit, volumes
from app.services.context import Actor, Ctx, Services


@dataclass(frozen=True, slots=True)
class Content:
    """A volume's bytes as they are stored. `chunks` must be read to the end, or closed."""

    name: str
    size_bytes: int
    chunks: Iterator[bytes]


def open_content(
    services: Services, actor: Actor, translate: Callable[[str], str], volume_id: str
) -> Content:
    """Begin to read a volume. Raises NotFound, Conflict (volume_busy, host_not_connected), HostError."""
    with services.database.begin() as session:
        ctx = Ctx(services, session, actor, translate)
        ctx.require("volume.edit")
        query = sa.select(Volume, Pool).join(Pool, Pool.id == Volume.pool_id).where(Volume.id == volume_id)
        row = session.execute(ctx.visible(query, "pool.view")).one_or_none()
        if row is None:
            raise NotFound(ctx.translate(N_("There is no such volume.")))
        volume, pool = row
        volumes.refuse_running(ctx, volume, N_("Shut the VM down, or clone the disk of a snapshot."))
        audit.record(
            ctx, "volume.download", target=Ref(kind=ObjectKind.VOLUME, id=volume.id, name=volume.name)
        )
        place = (pool.host_id, pool.uuid, volume.name)
    return _content(services, *place)


def _content(services: Services, host_id: str, pool: str, name: str) -> Content:
    held = ExitStack()
    try:
        host = held.enter_context(services.visits.to(host_id))
        found = host.storage.find_volume(pool, name)
        if found is None:
            raise NotFound(N_("There is no such volume."))
        # The file that is stored: of a qcow2 volume less than what the guest sees.
        size = host.storage.stored_bytes(pool, name)
        if size is None:
            raise Conflict(
                N_("The content cannot be read."),
                why=N_("The host does not say how long it is."),
                code="no_content",
            )
        chunks = host.storage.read_volume(pool, name, size)
    except BaseException:
        held.close()
        raise

    def read() -> Iterator[bytes]:
        with held:
            yield from chunks

    return Content(name, size, read())
