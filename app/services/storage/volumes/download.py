"""The content of volumes, for people to take with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.orm import Session

from app.access import audit
from app.access.context import Actor, Ctx, Services
from app.access.find import find, known, ref
from app.access.host_connections import connected_host
from app.core.errors import Conflict, NotFound
from app.core.messages import N_
from app.db.models import Pool, Volume
from app.hypervisor import Host as OpenHost
from app.services.storage.volumes.checks.content_checks import VolumeAccess, check_volume
from app.services.storage.volumes.checks.refusals import refuse_running
from app.services.vms.cloud_init.known_drives import refuse_cloud_init_drive

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Content:
    """A volume's bytes as they are stored. `chunks` must be read to the end, or closed."""

    name: str
    size_bytes: int
    chunks: Iterator[bytes]


def open_content(
    services: Services, actor: Actor, translate: Callable[[str], str], volume_id: str
) -> Content:
    """Begin to read a volume. Raises NotFound, Conflict (volume_busy, volume_refused, host_not_connected), HostError."""
    with services.database.begin() as session:
        ctx = Ctx(services, session, actor, translate)
        volume = find(ctx, Volume, volume_id, "volume.edit")
        pool = known(ctx, Pool, volume.pool_id)
        refuse_cloud_init_drive(ctx, volume)
        refuse_running(ctx, volume, N_("Shut the VM down, or clone the disk of a snapshot."))
        audit.record(ctx, "volume.download", target=ref(volume))
        place = (pool.host_id, pool.uuid, volume.name, volume.path)
    return _content(services, translate, *place)


def _content(
    services: Services, translate: Callable[[str], str], host_id: str, pool: str, name: str, path: str
) -> Content:
    held = ExitStack()
    try:
        host = held.enter_context(connected_host(services, host_id))
        _check(services, host, host_id, path)
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


def _check(services: Services, host: OpenHost, host_id: str, path: str) -> None:
    def write(step: Callable[[Session], T]) -> T:
        with services.database.begin() as session:
            return step(session)

    def call(step: Callable[[OpenHost], T]) -> T:
        return step(host)

    check_volume(VolumeAccess(host_id, call, write), path)
