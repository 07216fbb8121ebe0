"""Volumes that a task fills by itself: nobody else's is written over, and none stays when the task fails."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

from app.core.errors import VigieError
from app.core.storage.created_volumes import VOLUME
from app.core.vms.config import VolumePlan
from app.hypervisor.storage.qcow2 import HEADER_BYTES
from app.services.storage.pools.refresh import refresh_when_idle
from app.services.storage.uploads.content import written
from app.services.storage.volumes.steps.created_volumes import create_volume
from app.tasks.context import TaskContext
from app.tasks.errors import Cancelled

PART = 4 * 1024**2
LOOK_S = 0.5


@contextmanager
def own_volume(context: TaskContext, plan: VolumePlan) -> Iterator[None]:
    """An empty volume of this task, which is removed again when this ends with an error.

    What an earlier run of the task left is removed first: its content may be half of it. Who keeps the volume tells
    by `TaskContext.hand_over`. Raises HostError, TaskFailed (volume_exists, volume_in_doubt).
    """
    if context.noted(VOLUME, pool=plan.pool, name=plan.name) is not None:
        context.roll_back()
    create_volume(context, plan, has_content=False)
    try:
        yield
    except (VigieError, Cancelled):
        context.roll_back()
        raise


def write_content(
    context: TaskContext, pool: str, name: str, content: Iterator[bytes], size: int, message: str
) -> tuple[str, bytes]:
    """Write the content into the volume, without its zeros; return its SHA-256 and its beginning.

    The beginning is not written: the host's libvirt would take the volume for an image before anybody inspected it.
    See `write_beginning`.
    """
    digest = hashlib.sha256()
    head, at = b"", 0
    for part in _parts(_stoppable(context, content)):
        digest.update(part)
        held_back = part[: max(0, HEADER_BYTES - at)]
        head += held_back
        _write(context, pool, name, part[len(held_back) :], at + len(held_back))
        at += len(part)
        report_share(context, at, size, message)
    return digest.hexdigest(), head


def write_beginning(context: TaskContext, pool: str, name: str, head: bytes) -> None:
    """Write what `write_content` held back, and have the host look at the volume anew."""
    _write(context, pool, name, head, 0)
    refresh_when_idle(context, pool)


def _write(context: TaskContext, pool: str, name: str, content: bytes, offset: int) -> None:
    for begin, stretch in written(content):
        context.host().storage.write_volume(pool, name, stretch, offset + begin)


def report_share(context: TaskContext, done: int, whole: int, message: str) -> None:
    """Show how far the work has come, once for each percent. Raises Cancelled."""
    percent = 100 * done // max(whole, 1)
    if percent != context.percent:
        context.percent = percent
        context.stop_if_cancelled()
        context.say(percent, message)


def _stoppable(context: TaskContext, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same, until somebody asks the task to stop: also when they come very slowly. Raises Cancelled, Interrupted."""
    looked_at = 0.0
    for chunk in chunks:
        if time.monotonic() - looked_at > LOOK_S:
            context.stop_if_cancelled()
            context.pause(0)
            looked_at = time.monotonic()
        yield chunk


def _parts(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in larger parts, so that fewer streams are opened."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        if len(held) >= PART:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)
