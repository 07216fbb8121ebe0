"""Have hosts read their pools anew; a host refuses that while it makes a volume in the pool."""

from __future__ import annotations

import time

from app.core.errors import PoolBusy
from app.core.messages import N_
from app.engine.run import LOOK_EVERY_S, Run
from app.hypervisor import Host

PATIENCE_S = 20.0


def refresh_pool(run: Run, pool: str) -> None:
    """Have the task's host read a pool anew, however long it makes a volume there. Raises Cancelled, HostError."""
    told = False
    while not _refreshed(run, pool):
        if not told:
            run.say(None, N_("Waiting for the storage pool: the host is making a volume in it."))
            told = True
        run.stop_if_asked()
        run.pause(LOOK_EVERY_S)


def refresh_if_idle(run: Run, pool: str) -> None:
    """The same where it helps but is not needed: given up after some seconds. Raises HostError."""
    deadline = time.monotonic() + PATIENCE_S
    while not _refreshed(run, pool) and time.monotonic() < deadline:
        run.stop_if_asked()
        run.pause(LOOK_EVERY_S)


def _refreshed(run: Run, pool: str) -> bool:
    def refresh(host: Host) -> bool:
        try:
            host.storage.refresh(pool)
        except PoolBusy:
            return False
        return True

    return run.call(refresh)
