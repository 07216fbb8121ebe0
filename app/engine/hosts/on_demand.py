"""What is read when somebody looks at it: a few things at a time, each at most every few seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial

import sqlalchemy as sa
import structlog

from app.access.context import Services
from app.core.errors import VigieError
from app.core.inventory.reports import HostReport
from app.db.models import HostCapabilities, Network, Pool
from app.engine.thread_pool import ElasticThreadPool
from app.hypervisor import Host
from app.inventory.collectors.storage import STORAGE
from app.inventory.storage.readings import StorageReading

log = structlog.get_logger(__name__)

AT_ONCE = 4
FORGET_ABOVE = 1000
REST = 20  # so many times as long as a reading took pass before the next of the same thing
Find = Callable[[str], Host | None]
Report = Callable[[HostReport], None]


class OnDemand:
    """Runs `read` for an id when asked, unless that was done just now.

    What takes long is done less often: a reading of a second, for example, not again within twenty.
    """

    def __init__(self, threads: ElasticThreadPool, read: Callable[[str], None], every_s: float) -> None:
        self._threads = threads
        self._read = read
        self._every_s = every_s
        self._lock = threading.Lock()
        self._read_at: dict[str, float] = {}
        self._in_work = 0

    def want(self, object_id: str) -> None:
        """Somebody looks at it. What is not read now is asked for again by the page soon."""
        now = time.monotonic()
        with self._lock:
            if self._in_work >= AT_ONCE or now - self._read_at.get(object_id, -self._every_s) < self._every_s:
                return
            if len(self._read_at) > FORGET_ABOVE:
                self._read_at = {id_: at for id_, at in self._read_at.items() if now - at < self._every_s}
            self._read_at[object_id] = now
            self._in_work += 1
        self._threads.submit(partial(self._do, object_id), slack_s=1.0)

    def _do(self, object_id: str) -> None:
        began = time.monotonic()
        try:
            self._read(object_id)
        except VigieError as error:
            log.debug("not_read", object=object_id, reason=error.code)
        finally:
            took_s = time.monotonic() - began
            with self._lock:
                self._in_work -= 1
                self._read_at[object_id] = began + max(0.0, took_s * REST - self._every_s)


def refresh_leases(services: Services, find: Find, network_id: str) -> None:
    """Read and write the leases of a network."""
    with services.database.read() as session:
        query = sa.select(Network.host_id, Network.uuid, Network.leases)
        row = session.execute(query.where(Network.id == network_id, Network.active)).one_or_none()
    host = find(row.host_id) if row else None
    if row is None or host is None:
        return
    seen = host.networks.leases(row.uuid)
    if seen is None:
        return
    leases = [asdict(item) for item in seen]
    with services.database.begin() as session:
        change = sa.update(Network).where(Network.id == network_id)
        session.execute(change.values(leases=leases, leases_read_at=datetime.now(UTC)))
    if leases != row.leases:
        services.hub.publish([network_id])


def read_volumes(services: Services, find: Find, report: Report, pool_id: str) -> None:
    """Read and report the volumes of a pool that runs."""
    with services.database.read() as session:
        query = sa.select(Pool.host_id, Pool.uuid).where(Pool.id == pool_id, Pool.state == "running")
        row = session.execute(query).one_or_none()
    host = find(row.host_id) if row else None
    if row is None or host is None:
        return
    began = time.monotonic()
    pools = host.read_pools(volumes=True, only={row.uuid})
    report(HostReport(row.host_id, None, parts=STORAGE.part(StorageReading(pools)), began_s=began))


def read_devices(services: Services, find: Find, host_id: str) -> None:
    """Read and write the devices of a host."""
    host = find(host_id)
    if host is None:
        return
    devices = [asdict(device) for device in host.read_devices()]
    with services.database.begin() as session:
        before = session.scalar(
            sa.select(HostCapabilities.devices).where(HostCapabilities.host_id == host_id)
        )
        change = sa.update(HostCapabilities).where(HostCapabilities.host_id == host_id)
        session.execute(change.values(devices=devices, devices_read_at=datetime.now(UTC)))
    # Tuples become lists in the database.
    if before is None or [item["name"] for item in before] != [device["name"] for device in devices]:
        services.hub.publish([host_id])
