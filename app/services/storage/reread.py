"""Read pools again after a task changed them, so that the mirror is right when the task ends."""

from __future__ import annotations

from collections.abc import Collection

from app.inventory.collectors.storage import STORAGE
from app.inventory.storage.readings import StorageReading
from app.tasks.context import TaskContext


def reread_pools(context: TaskContext, uuids: Collection[str]) -> None:
    """Have the volumes of these pools read and written, so that pages are right when the task ends."""
    if uuids:
        pools = context.call(lambda host: host.read_pools(volumes=True, only=uuids))
        context.report(STORAGE.part(StorageReading(pools)))
