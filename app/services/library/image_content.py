"""The content of images in tasks: looked at before anything opens it, and noted once it is known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from app.core.errors import VigieError
from app.core.messages import N_
from app.core.storage.created_volumes import volume_note
from app.hypervisor.storage.images import HEAD_BYTES, TAIL_BYTES, ImageFacts, ImageRefused, inspect
from app.hypervisor.storage.os_detect import LABEL_BYTES
from app.services.library import image_records
from app.services.library.image_records import ImageContent, ImageFile
from app.tasks.context import TaskContext
from app.tasks.errors import Cancelled, TaskFailed

IN_LIBRARY = N_("The image is in the library.")


@contextmanager
def failed_image(context: TaskContext, image_id: str) -> Iterator[None]:
    """Mark the image as refused when this ends with an error; a restart of the server is none."""
    try:
        yield
    except (VigieError, Cancelled) as error:
        context.write(partial(image_records.mark_failed, image_id=image_id))
        if isinstance(error, ImageRefused):
            raise TaskFailed(
                error.code, error.title, why=error.why, hint=error.hint, params=error.params
            ) from None
        raise


def look(
    context: TaskContext, pool: str, name: str, size: int, held_back: bytes = b""
) -> tuple[bytes, ImageFacts]:
    """The beginning of the volume, and what it is; `held_back` is not written yet. Raises ImageRefused."""
    storage, start = context.host().storage, len(held_back)
    head, tail = held_back, held_back[max(0, size - TAIL_BYTES) :]
    if size > start:
        head += b"".join(storage.read_volume(pool, name, min(size, HEAD_BYTES) - start, start))
        tail += storage.read_tail(pool, name, min(TAIL_BYTES, size - start), size)
    return head[:LABEL_BYTES], inspect([head], size, tail)


def record_image(context: TaskContext, file: ImageFile, content: ImageContent) -> None:
    """Note what the image is and where, from when on its volume is kept."""
    step = partial(image_records.mark_ready, file=file, content=content)
    context.hand_over(step, volume_note(file.pool, file.name))


def no_content() -> TaskFailed:
    """The error for a volume that cannot be read."""
    return TaskFailed("no_content", N_("The content cannot be read."))
