"""Leases of networks that somebody looks at: a few at a time, each network at most every few seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial

import sqlalchemy as sa
import structlog

from app.core.errors import VigieError
from app.db.models import Network
from app.engine.pool import ElasticPool
from app.hypervisor import Host
from app.services.context import Services

log = structlog.get_logger(__name__)

EVERY_S = 2.0
AT_ONCE = 4
FORGET_ABOVE = 1000


class Leases:
    """Reads the leases of a network when asked, unless they were read just now."""

    def __init__(self, services: Services, pool: ElasticPool, host: Callable[[str], Host | None]) -> None:
        self._services = services
        self._pool = pool
        self._host = host
        self._lock = threading.Lock()
        self._read_at: dict[str, float] = {}
        self._in_work = 0

    def want(self, network_id: str) -> None:
        """Somebody looks at the network. What is not read now is asked for again by the page soon."""
        now = time.monotonic()
        with self._lock:
            if self._in_work >= AT_ONCE or now - self._read_at.get(network_id, -EVERY_S) < EVERY_S:
                return
            if len(self._read_at) > FORGET_ABOVE:
                self._read_at = {id_: at for id_, at in self._read_at.items() if now - at < EVERY_S}
            self._read_at[network_id] = now
            self._in_work += 1
        self._pool.submit(partial(self._read, network_id), slack_s=1.0)

    def _read(self, network_id: str) -> None:
        try:
            with self._services.database.read() as session:
                query = sa.select(Network.host_id, Network.uuid, Network.leases)
                row = session.execute(query.where(Network.id == network_id, Network.active)).one_or_none()
            host = self._host(row.host_id) if row else None
            if row is None or host is None:
                return
            seen = host.networks.leases(row.uuid)
            if seen is None:
                return
            leases = [asdict(each) for each in seen]
            with self._services.database.begin() as session:
                change = sa.update(Network).where(Network.id == network_id)
                session.execute(change.values(leases=leases, leases_read_at=datetime.now(UTC)))
            if leases != row.leases:
                self._services.hub.publish([network_id])
        except VigieError as error:
            log.debug("no_leases", network=network_id, reason=error.code)
        finally:
            with self._lock:
                self._in_work -= 1
