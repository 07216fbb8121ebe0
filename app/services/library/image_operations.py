"""What tasks do with images: looked at before anything opens them, and copied from host to host."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from app.core.errors import VigieError
from app.core.library.images import ImageDownload, ImageFetch, ImageLook
from app.core.messages import N_
from app.core.storage.created_volumes import volume_note
from app.core.vms.config import VolumePlan
from app.engine.operations import operation
from app.hypervisor.storage.images import HEAD_BYTES, TAIL_BYTES, ImageFacts, ImageRefused, inspect
from app.hypervisor.storage.os_detect import LABEL_BYTES, guess_system
from app.services.library import image_records
from app.services.library.fetch import Download, DownloadRules
from app.services.library.images import plan_of
from app.services.storage import task_checks, volume_records
from app.services.storage.own_volume import own_volume, tell_share, write_beginning, write_content
from app.services.storage.volume_records import Place
from app.tasks.context import TaskContext
from app.tasks.errors import Cancelled, TaskFailed
from app.tasks.operation import Outcome

IN_LIBRARY = N_("The image is in the library.")
WAIT_S = 0.5
_copying: dict[Place, threading.Lock] = {}
_guard = threading.Lock()


@operation("image.import")
def take_in(context: TaskContext) -> Outcome:
    """Look what the volume is, and read it once for its sum."""
    look = context.asked(ImageLook)
    with _none_if_it_fails(context, look.image_id):
        size = context.call(lambda host: host.storage.stored_bytes(look.pool, look.name))
        if size is None:
            raise TaskFailed("no_content", N_("The content cannot be read."))
        task_checks.check_link(context, look.pool, look.name, look.path)
        head, facts = _look(context, look.pool, look.name, size)
        task_checks.check(context, look.path, facts.volume_format)
        digest = hashlib.sha256()
        seen = 0
        for chunk in context.host().storage.read_volume(look.pool, look.name, size):
            digest.update(chunk)
            seen += len(chunk)
            tell_share(context, seen, size, N_("Reading the image."))
        _settle(context, look, facts, size, digest.hexdigest(), guess_system(look.name, head))
    return Outcome(IN_LIBRARY)


@operation("image.download")
def download(context: TaskContext) -> Outcome:
    """Fetch a file into a volume, look what it is, and make it an image. What is none is removed again."""
    asked = context.asked(ImageDownload)
    there = partial(
        image_records.is_placed, image_id=asked.image_id, host_id=context.job.host_id, pool=asked.pool
    )
    if context.write(there):
        context.show_pools({asked.pool})
        return Outcome(IN_LIBRARY)  # an earlier run was interrupted just before its end
    with _none_if_it_fails(context, asked.image_id), ExitStack() as made:
        rules = DownloadRules.of(context.settings, plain=asked.sha256 is not None)
        context.say(0, N_("Asking the server for the file."))
        with Download(context.open_sealed(asked.url)["url"], rules) as source:
            size = source.size_bytes
            _refuse_narrow(context, asked.pool, size)
            plan = VolumePlan(pool=asked.pool, name=asked.name, format="raw", size_bytes=size)
            made.enter_context(own_volume(context, plan))
            digest, held_back = write_content(
                run, asked.pool, asked.name, source.parts(), size, N_("Fetching the image.")
            )
        if asked.sha256 not in (None, digest):
            raise TaskFailed(
                "wrong_checksum",
                N_("The file is not the one that was meant."),
                why=N_("Its SHA-256 is another than the one that was given."),
                hint=N_("Compare the sum with that of its source, and ask anew."),
            )
        head, facts = _look(context, asked.pool, asked.name, size, held_back)
        write_beginning(context, asked.pool, asked.name, held_back)
        volume = context.call(lambda host: host.storage.find_volume(asked.pool, asked.name))
        if volume is None:
            raise TaskFailed("no_content", N_("The content cannot be read."))
        look = ImageLook(image_id=asked.image_id, pool=asked.pool, name=asked.name, path=volume.path)
        task_checks.record_made(context, asked.pool, volume, facts.volume_format)
        _settle(context, look, facts, size, digest, guess_system(asked.name, head))
    context.show_pools({asked.pool})
    return Outcome(IN_LIBRARY)


@contextmanager
def _none_if_it_fails(context: TaskContext, image_id: str) -> Iterator[None]:
    """Mark the image as refused when this ends with an error; a restart of the server is none."""
    try:
        yield
    except (VigieError, Cancelled) as error:
        context.write(partial(image_records.fail, image_id=image_id))
        if isinstance(error, ImageRefused):
            raise TaskFailed(
                error.code, error.title, why=error.why, hint=error.hint, params=error.params
            ) from None
        raise


def _look(
    context: TaskContext, pool: str, name: str, size: int, held_back: bytes = b""
) -> tuple[bytes, ImageFacts]:
    """The beginning of the volume, and what it is; `held_back` is not written yet. Raises ImageRefused."""
    storage, start = context.host().storage, len(held_back)
    head, tail = held_back, held_back[max(0, size - TAIL_BYTES) :]
    if size > start:
        head += b"".join(storage.read_volume(pool, name, min(size, HEAD_BYTES) - start, start))
        tail += storage.read_tail(pool, name, min(TAIL_BYTES, size - start), size)
    return head[:LABEL_BYTES], inspect([head], size, tail)


def _settle(
    context: TaskContext, look: ImageLook, facts: ImageFacts, size: int, sha256: str, os: str | None
) -> None:
    settle = partial(
        image_records.settle,
        look=look,
        host_id=context.job.host_id,
        kind="iso" if facts.format == "iso" else "disk",
        format=facts.volume_format,
        size=size,
        virtual=facts.virtual_bytes,
        sha256=sha256,
        os=os,
    )
    context.hand_over(settle, volume_note(look.pool, look.name))


@operation("image.copy")
def copy(context: TaskContext) -> Outcome:
    """Copy an image to the task's host."""
    fetch(context, context.asked(ImageFetch))
    return Outcome(N_("The host has the image now."))


def fetch(context: TaskContext, asked: ImageFetch) -> None:
    """Have the image in the pool of the task's host; half a copy is removed. Raises TaskFailed (wrong_checksum)."""
    there = partial(
        image_records.is_placed, image_id=asked.image_id, host_id=context.job.host_id, pool=asked.pool
    )
    with _alone(context, asked):
        if not context.write(there):
            _fetch(context, asked)


@contextmanager
def _alone(context: TaskContext, asked: ImageFetch) -> Iterator[None]:
    """Several VMs may be made from an image at the same time: one task copies it, the others wait.

    After a restart the first to come is not always the one that had begun: half a copy is left to its own task, which
    takes it up again or removes it.
    """
    place = Place(context.job.host_id, asked.pool, asked.name)
    begun_by_other = partial(volume_records.is_begun_by_other, place=place, task_id=context.job.task_id)
    with _guard:
        lock = _copying.setdefault(place, threading.Lock())
    while True:
        if lock.acquire(timeout=WAIT_S):
            try:
                if not context.write(begun_by_other):
                    yield
                    return
            finally:
                lock.release()
        context.say(None, N_("Waiting for another task that copies the image."))
        context.stop_if_asked()
        context.pause(WAIT_S)


def _fetch(context: TaskContext, asked: ImageFetch) -> None:
    with own_volume(context, plan_of(asked)):
        source = context.other(asked.from_host).storage
        content = source.read_volume(asked.from_pool, asked.from_name, asked.size_bytes)
        message = N_("Copying the image to the host.")
        digest, head = write_content(context, asked.pool, asked.name, content, asked.size_bytes, message)
        if digest != asked.sha256:
            raise TaskFailed(
                "wrong_checksum",
                N_("The image is not the one that was taken into the library."),
                why=N_("Its SHA-256 is another than it was then."),
                hint=N_("Somebody changed its file. Take it in anew from its source."),
            )
        write_beginning(context, asked.pool, asked.name, head)
        made = context.call(lambda host: host.storage.find_volume(asked.pool, asked.name))
        if made is not None:
            task_checks.record_made(context, asked.pool, made, asked.format)
            place = partial(
                image_records.place,
                image_id=asked.image_id,
                host_id=context.job.host_id,
                pool=asked.pool,
                name=asked.name,
                path=made.path,
            )
            context.hand_over(place, volume_note(asked.pool, asked.name))
    context.show_pools({asked.pool})


def _refuse_narrow(context: TaskContext, pool: str, needed: int) -> None:
    """Raise TaskFailed (pool_full) when so many bytes are not left in the pool."""
    seen = context.call(lambda host: host.read_pools(volumes=False, only={pool}))
    free = next((each.available_bytes for each in seen if each.uuid == pool), None)
    if free is not None and needed > free:
        raise TaskFailed(
            "pool_full",
            N_("The storage pool is too full."),
            why=N_("The file takes %(needed)d MiB; the pool has %(free)d MiB left."),
            hint=N_("Choose another pool, or free some space first."),
            params={"needed": -(-needed // 2**20), "free": free // 2**20},
        )
