"""Show in the mirror what a task has done to storage."""

from __future__ import annotations

from collections.abc import Collection

from app.core.inventory.reports import HostSnapshot
from app.tasks.context import TaskContext


def show_pools(context: TaskContext, uuids: Collection[str]) -> None:
    """Have the volumes of these pools read and written, so that pages are right when the task ends."""
    if uuids:
        pools = context.call(lambda host: host.read_pools(volumes=True, only=uuids))
        context.report(snapshot=HostSnapshot(pools=pools))
