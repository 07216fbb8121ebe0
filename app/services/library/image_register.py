"""Register a volume as an image of the library."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import known, ref, unrestricted, visible
from app.core.errors import Conflict, InvalidInput
from app.core.library.images import ImageSpec
from app.core.messages import N_
from app.core.tasks.records import TaskRecord
from app.db.models import Host, Image, Pool, Volume
from app.hypervisor.storage.os_detect import detect_os
from app.services.hosts.manageable import require_manageable
from app.services.library.image_content import IN_LIBRARY, failed_image, look, no_content, record_image
from app.services.library.image_records import ImageContent, ImageFile
from app.services.library.images import begin_image
from app.services.library.operation import ImageOperation, ImageParameters, pool_by_uuid
from app.services.storage.volumes.checks import task_checks
from app.services.storage.volumes.checks.content_checks import require_usable
from app.services.storage.volumes.locks import locks_of
from app.services.storage.volumes.steps.own_volume import report_share
from app.services.storage.volumes.users import refuse_possibly_used, users_of
from app.services.vms.cloud_init.known_drives import refuse_cloud_init_drive
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.locks import require_unlocked
from app.tasks.operation import Locks, Outcome, Plan
from app.tasks.submit import submit


class RegisterImageParameters(ImageParameters):
    """The volume, by its name in the pool and its path on the host."""

    path: str


@declare
class RegisterImage(ImageOperation[RegisterImageParameters]):
    """Look what a volume is, and make it an image. From then on it must not change, so nothing may write to it."""

    kind = "image.register"
    title = N_("Register the image")
    parameters = RegisterImageParameters
    cancellable = True

    def check(self, ctx: Ctx, parameters: RegisterImageParameters) -> Plan:
        """Nothing may use the volume. Raises Conflict (volume_in_use, …), Busy, VolumeRefused."""
        pool, host = pool_by_uuid(ctx.session, parameters.host_id, parameters.pool)
        require_manageable(ctx, host)
        locks = locks_of(ctx.session, pool, parameters.name)
        require_unlocked(ctx, *locks)
        query = sa.select(Volume).where(Volume.pool_id == pool.id, Volume.name == parameters.name)
        if volume := ctx.session.scalar(unrestricted(query)):
            refuse_cloud_init_drive(ctx, volume)
            _refuse_used(ctx, volume)
            require_usable(ctx, volume, host.id)
        image = known(ctx, Image, parameters.target_id)
        return Plan(ref(image), ref(host), Locks(holds=locks))

    def run(self, context: TaskContext, parameters: RegisterImageParameters) -> Outcome:
        """Look what it is, and read it once for its sum."""
        pool, name, path = parameters.pool, parameters.name, parameters.path
        with failed_image(context, parameters.target_id):
            size = context.call(lambda host: host.storage.stored_bytes(pool, name))
            if size is None:
                raise no_content()
            task_checks.check_link(context, pool, name, path)
            head, facts = look(context, pool, name, size)
            task_checks.check(context, path, facts.volume_format)
            content = ImageContent(facts, size, _sum_of(context, pool, name, size), detect_os(name, head))
            record_image(
                context, ImageFile(parameters.target_id, context.job.host_id, pool, name, path), content
            )
        return Outcome(IN_LIBRARY)


def register_image(ctx: Ctx, spec: ImageSpec) -> TaskRecord:
    """Have a volume looked at and made an image.

    Raises InvalidInput (volume_id, os), Conflict (name_taken, volume_in_use, host_not_connected…), Busy.
    """
    ctx.require("image.edit")
    query = sa.select(Volume, Pool, Host).join(Pool, Pool.id == Volume.pool_id)
    query = query.join(Host, Host.id == Pool.host_id).where(Volume.id == spec.volume_id)
    row = ctx.session.execute(visible(ctx, query, Volume, "pool.view")).one_or_none()
    if row is None:
        raise InvalidInput("volume_id", N_("names no volume"))
    volume, pool, host = row
    image = begin_image(ctx, spec, volume.name, f"{host.name}: {volume.path}")
    image.format, image.virtual_bytes = volume.format, volume.capacity_bytes
    parameters = RegisterImageParameters(
        target_id=image.id,
        host_id=host.id,
        image_id=image.id,
        pool_id=pool.id,
        pool=pool.uuid,
        name=volume.name,
        path=volume.path,
    )
    return tasks.record_of(ctx, submit(ctx, RegisterImage, parameters))


def _refuse_used(ctx: Ctx, volume: Volume) -> None:
    if users := users_of(ctx, [volume])[volume.id]:
        raise Conflict(
            N_("The volume is in use."),
            why=N_("%(volume)s is used by: %(names)s."),
            hint=N_("Clone it, and make the copy an image."),
            code="volume_in_use",
            params={"volume": volume.name, "names": ", ".join(user.name for user in users[:5])},
        )
    refuse_possibly_used(ctx, volume)


def _sum_of(context: TaskContext, pool: str, name: str, size: int) -> str:
    digest = hashlib.sha256()
    seen = 0
    for chunk in context.host().storage.read_volume(pool, name, size):
        digest.update(chunk)
        seen += len(chunk)
        report_share(context, seen, size, N_("Reading the image."))
    return digest.hexdigest()
