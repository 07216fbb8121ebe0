"""Copy an image of the library to another host: by itself, or on the way to a disk that is made from it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import sqlalchemy as sa
from pydantic import ConfigDict

from app.access.context import Ctx
from app.access.find import find, known, ref, unrestricted
from app.core.errors import Conflict
from app.core.hosts.states import HostConnection
from app.core.library.images import ImageCopySpec, ImageFetch
from app.core.messages import N_
from app.core.storage.created_volumes import volume_note
from app.core.tasks.records import TaskRecord
from app.core.vms.config import VolumePlan
from app.db.models import Host, Image, ImageCopy, Pool, Volume
from app.services.hosts.manageable import require_manageable
from app.services.library import image_records
from app.services.library.image_records import ImageFile
from app.services.library.images import READY
from app.services.library.operation import ImageOperation, ImageParameters, pool_by_uuid
from app.services.storage.reread import reread_pools
from app.services.storage.volumes import records as volume_records
from app.services.storage.volumes.checks import task_checks
from app.services.storage.volumes.checks.refusals import refuse_narrow, running_pool
from app.services.storage.volumes.locks import locks_of
from app.services.storage.volumes.records import VolumeKey
from app.services.storage.volumes.steps.own_volume import own_volume, write_beginning, write_content
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed
from app.tasks.operation import Locks, Outcome, Plan
from app.tasks.submit import submit

WAIT_S = 0.5
_copying: dict[VolumeKey, threading.Lock] = {}
_guard = threading.Lock()


class CopyImageParameters(ImageParameters, ImageFetch):
    """The copy: from where, and as which volume."""

    model_config = ConfigDict(frozen=True, extra="ignore")


@declare
class CopyImage(ImageOperation[CopyImageParameters]):
    """Copy an image to a host that has it not. Others may use it, and copy it to other hosts, at the same time."""

    kind = "image.copy"
    title = N_("Copy the image")
    parameters = CopyImageParameters
    cancellable = True

    def check(self, ctx: Ctx, parameters: CopyImageParameters) -> Plan:
        """Raises Conflict (image_there, host_not_connected…)."""
        image = known(ctx, Image, parameters.target_id)
        pool, host = pool_by_uuid(ctx.session, parameters.host_id, parameters.pool)
        require_manageable(ctx, host)
        if not ctx.begins:
            _refuse_there(ctx, image, host)
        reads = {image.id, pool.id, *locks_of(ctx.session, pool, parameters.name)}
        locks = Locks(holds={f"{image.id}/{host.id}"}, reads=reads)
        return Plan(ref(image), ref(host), locks, holds_target=False)

    def run(self, context: TaskContext, parameters: CopyImageParameters) -> Outcome:
        """Copy it, unless the host has it by now."""
        fetch(context, parameters)
        return Outcome(N_("The host has the image now."))


def copy_image(ctx: Ctx, image_id: str, spec: ImageCopySpec) -> TaskRecord:
    """Have an image copied to another host. Raises InvalidInput, Conflict (image_there, image_nowhere…), Busy."""
    image = find(ctx, Image, image_id, "image.edit")
    pool, host = running_pool(ctx, spec.pool_id, "pool_id")
    _refuse_there(ctx, image, host)
    parameters = CopyImageParameters(
        target_id=image.id, host_id=host.id, pool_id=pool.id, **fetch_to(ctx, image, pool).model_dump()
    )
    return tasks.record_of(ctx, submit(ctx, CopyImage, parameters))


def _refuse_there(ctx: Ctx, image: Image, host: Host) -> None:
    query = sa.select(ImageCopy.host_id).where(ImageCopy.image_id == image.id, ImageCopy.host_id == host.id)
    if ctx.session.scalar(query.limit(1)) is not None:
        raise Conflict(N_("The host has this image already."), code="image_there")


def fetch_to(ctx: Ctx, image: Image, pool: Pool) -> ImageFetch:
    """How an image comes into a pool of a host that has it not. Raises Conflict (image_nowhere, pool_full…)."""
    query = sa.select(ImageCopy, Host).join(Host, Host.id == ImageCopy.host_id)
    rows = ctx.session.execute(unrestricted(query.where(ImageCopy.image_id == image.id)))
    usable = [(copy, host) for copy, host in rows if HostConnection(host.connection).is_usable]
    if image.state != READY or not usable or image.size_bytes is None or image.sha256 is None:
        raise Conflict(
            N_("The image cannot be copied now."),
            why=N_("No host that has it is connected."),
            hint=N_("Wait until one of its hosts answers again."),
            code="image_nowhere",
        )
    copy, source = usable[0]
    name = copy.volume_name
    taken = sa.select(Volume.id).where(Volume.pool_id == pool.id, Volume.name == name)
    if ctx.session.scalar(unrestricted(taken)) is not None:
        name = f"{image.id}-{name}"[:200]
    refuse_narrow(ctx, pool, image.size_bytes)
    return ImageFetch(
        image_id=image.id,
        from_host=source.id,
        from_pool=copy.pool_uuid,
        from_name=copy.volume_name,
        pool=pool.uuid,
        name=name,
        size_bytes=image.size_bytes,
        sha256=image.sha256,
        format=image.format or "raw",
    )


def fetch(context: TaskContext, wanted: ImageFetch) -> None:
    """Have the image in the pool of the task's host; half a copy is removed. Raises TaskFailed (wrong_checksum)."""
    there = partial(
        image_records.is_placed, image_id=wanted.image_id, host_id=context.job.host_id, pool=wanted.pool
    )
    with _alone(context, wanted):
        if not context.write(there):
            _fetch(context, wanted)


@contextmanager
def _alone(context: TaskContext, wanted: ImageFetch) -> Iterator[None]:
    """Several VMs may be made from an image at the same time: one task copies it, the others wait.

    After a restart the first to come is not always the one that had begun: half a copy is left to its own task, which
    takes it up again or removes it.
    """
    key = VolumeKey(context.job.host_id, wanted.pool, wanted.name)
    begun_by_other = partial(volume_records.is_begun_by_other, key=key, task_id=context.job.task_id)
    with _guard:
        lock = _copying.setdefault(key, threading.Lock())
    while True:
        if lock.acquire(timeout=WAIT_S):
            try:
                if not context.write(begun_by_other):
                    yield
                    return
            finally:
                lock.release()
        context.say(None, N_("Waiting for another task that copies the image."))
        context.stop_if_cancelled()
        context.pause(WAIT_S)


def _fetch(context: TaskContext, wanted: ImageFetch) -> None:
    pool, name, size = wanted.pool, wanted.name, wanted.size_bytes
    with own_volume(context, VolumePlan(pool=pool, name=name, format="raw", size_bytes=size)):
        source = context.other(wanted.from_host).storage
        content = source.read_volume(wanted.from_pool, wanted.from_name, size)
        message = N_("Copying the image to the host.")
        digest, head = write_content(context, pool, name, content, size, message)
        if digest != wanted.sha256:
            raise _wrong_checksum()
        write_beginning(context, pool, name, head)
        _keep(context, wanted)
    reread_pools(context, {pool})


def _keep(context: TaskContext, wanted: ImageFetch) -> None:
    created = context.call(lambda host: host.storage.find_volume(wanted.pool, wanted.name))
    if created is None:
        return
    task_checks.record_created(context, wanted.pool, created, wanted.format)
    file = ImageFile(wanted.image_id, context.job.host_id, wanted.pool, wanted.name, created.path)
    context.hand_over(partial(image_records.place, file=file), volume_note(wanted.pool, wanted.name))


def _wrong_checksum() -> TaskFailed:
    return TaskFailed(
        "wrong_checksum",
        N_("The image is not the one that was taken into the library."),
        why=N_("Its SHA-256 is another than it was then."),
        hint=N_("Somebody changed its file. Take it in anew from its source."),
    )
