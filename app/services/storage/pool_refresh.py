"""Have hosts read their pools anew; a host refuses that while it makes a volume in the pool."""

from __future__ import annotations

import time

from app.core.errors import PoolBusy
from app.core.messages import N_
from app.hypervisor import Host
from app.tasks.context import LOOK_EVERY_S, TaskContext

PATIENCE_S = 20.0


def refresh_pool(context: TaskContext, pool: str) -> None:
    """Have the task's host read a pool anew, however long it makes a volume there. Raises Cancelled, HostError."""
    told = False
    while not _refreshed(context, pool):
        if not told:
            context.say(None, N_("Waiting for the storage pool: the host is making a volume in it."))
            told = True
        context.stop_if_asked()
        context.pause(LOOK_EVERY_S)


def refresh_if_idle(context: TaskContext, pool: str) -> None:
    """The same where it helps but is not needed: given up after some seconds. Raises HostError."""
    deadline = time.monotonic() + PATIENCE_S
    while not _refreshed(context, pool) and time.monotonic() < deadline:
        context.stop_if_asked()
        context.pause(LOOK_EVERY_S)


def _refreshed(context: TaskContext, pool: str) -> bool:
    def refresh(host: Host) -> bool:
        try:
            host.storage.refresh(pool)
        except PoolBusy:
            return False
        return True

    return context.call(refresh)
