"""What tasks do with images: looked at before anything opens them, and copied from host to host."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from app.core.errors import HostError, VigieError
from app.core.images import ImageFetch, ImageLook
from app.core.messages import N_
from app.engine import leftovers
from app.engine.operations import operation
from app.engine.run import Cancelled, Outcome, Run, TaskFailed
from app.hypervisor.images import HEAD_BYTES, ImageRefused, inspect
from app.services import image_births
from app.services.images import plan_of
from app.services.uploads import written

PART = 4 * 1024**2
_copying: dict[tuple[str, str, str], threading.Lock] = {}  # by host, pool and volume
_guard = threading.Lock()


@operation("image.import")
def take_in(run: Run) -> Outcome:
    """Look what the volume is, and read it once for its sum."""
    look = run.asked(ImageLook)
    try:
        _take_in(run, look)
    except (VigieError, Cancelled) as error:
        run.write(partial(image_births.fail, image_id=look.image_id))
        if isinstance(error, ImageRefused):
            raise TaskFailed(
                error.code, error.title, why=error.why, hint=error.hint, params=error.params
            ) from None
        raise
    return Outcome(N_("The image is in the library."))


def _take_in(run: Run, look: ImageLook) -> None:
    size = run.call(lambda host: host.storage.stored_bytes(look.pool, look.name))
    if size is None:
        raise TaskFailed("no_content", N_("The content cannot be read."))
    facts = inspect(run.host().storage.read_volume(look.pool, look.name, min(size, HEAD_BYTES)), size)
    digest = hashlib.sha256()
    seen = 0
    for chunk in run.host().storage.read_volume(look.pool, look.name, size):
        digest.update(chunk)
        seen += len(chunk)
        _tell(run, seen, size, N_("Reading the image."))
    format_ = "raw" if facts.format == "iso" else facts.format
    settle = partial(
        image_births.settle,
        look=look,
        host_id=run.job.host_id,
        kind="iso" if facts.format == "iso" else "disk",
        format=format_,
        size=size,
        virtual=facts.virtual_bytes,
        sha256=digest.hexdigest(),
    )
    run.write(settle)


@operation("image.copy")
def copy(run: Run) -> Outcome:
    """Copy an image to the task's host."""
    fetch(run, run.asked(ImageFetch))
    return Outcome(N_("The host has the image now."))


def fetch(run: Run, asked: ImageFetch) -> None:
    """Have the image in the pool of the task's host; half a copy is removed. Raises TaskFailed (wrong_checksum)."""
    there = partial(image_births.is_placed, image_id=asked.image_id, host_id=run.job.host_id, pool=asked.pool)
    with _alone(run, asked):
        if not run.write(there):
            _fetch(run, asked)


@contextmanager
def _alone(run: Run, asked: ImageFetch) -> Iterator[None]:
    """Several VMs may be made from an image at the same time: one task copies it, the others wait."""
    with _guard:
        lock = _copying.setdefault((run.job.host_id, asked.pool, asked.name), threading.Lock())
    while not lock.acquire(timeout=1.0):
        run.say(None, N_("Waiting for another task that copies the image."))
        run.stop_if_asked()
        run.pause(0)
    try:
        yield
    finally:
        lock.release()


def _fetch(run: Run, asked: ImageFetch) -> None:
    found = run.call(lambda host: host.storage.find_volume(asked.pool, asked.name))
    note = leftovers.volume(asked.pool, asked.name)
    if found is not None and note not in run.made:
        raise TaskFailed(
            "volume_exists",
            N_("The pool has a volume of this name by now."),
            why=N_("Volume “%(name)s” was not made by this task."),
            hint=N_("Choose another name for the volume, or another pool."),
            params={"name": asked.name},
        )
    if found is not None:
        run.call(lambda host: host.storage.delete_volume(asked.pool, asked.name))
    run.make(**note)
    try:
        run.call(lambda host: host.storage.create_volume(plan_of(asked)))
        _transfer(run, asked)
        run.call(lambda host: host.storage.refresh(asked.pool))
        made = run.call(lambda host: host.storage.find_volume(asked.pool, asked.name))
    except (HostError, TaskFailed, Cancelled):
        run.take_back()
        raise
    if made is not None:
        place = partial(
            image_births.place,
            image_id=asked.image_id,
            host_id=run.job.host_id,
            pool=asked.pool,
            name=asked.name,
            path=made.path,
        )
        run.write(place)
    run.forget_made(note)
    run.show_pools({asked.pool})


def _transfer(run: Run, asked: ImageFetch) -> None:
    digest = hashlib.sha256()
    at = 0
    source = run.other(asked.from_host).storage
    for part in _parts(source.read_volume(asked.from_pool, asked.from_name, asked.size_bytes)):
        run.stop_if_asked()
        digest.update(part)
        for begin, stretch in written(part):
            run.host().storage.write_volume(asked.pool, asked.name, stretch, at + begin)
        at += len(part)
        _tell(run, at, asked.size_bytes, N_("Copying the image to the host."))
    if digest.hexdigest() != asked.sha256:
        raise TaskFailed(
            "wrong_checksum",
            N_("The image is not the one that was taken into the library."),
            why=N_("Its SHA-256 is another than it was then."),
            hint=N_("Somebody changed its file. Take it in anew from its source."),
        )


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


def _tell(run: Run, done: int, whole: int, message: str) -> None:
    percent = 100 * done // max(whole, 1)
    if percent != run.percent:
        run.percent = percent
        run.stop_if_asked()
        run.say(percent, message)
