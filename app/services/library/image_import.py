"""Import an image into the library from another server."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from pydantic import TypeAdapter, ValidationError

from app.access.context import Ctx
from app.access.find import known, ref
from app.core.errors import Conflict, InvalidInput
from app.core.library.images import ImageImport
from app.core.library.import_sources import Source, SourceRefused, read_source
from app.core.messages import N_
from app.core.tasks.records import TaskRecord
from app.core.vms.config import VolumePlan
from app.core.vms.create.spec import VolumeName
from app.db.models import Image
from app.hypervisor.storage.os_detect import detect_os
from app.services.hosts.manageable import require_manageable
from app.services.library import image_records
from app.services.library.downloads import Download, DownloadRules
from app.services.library.image_content import IN_LIBRARY, failed_image, look, no_content, record_image
from app.services.library.image_records import ImageContent, ImageFile
from app.services.library.images import begin_image
from app.services.library.operation import ImageOperation, ImageParameters, pool_by_uuid
from app.services.storage.reread import reread_pools
from app.services.storage.volumes.checks import task_checks
from app.services.storage.volumes.checks.refusals import refuse_taken, running_pool
from app.services.storage.volumes.locks import locks_of
from app.services.storage.volumes.steps.own_volume import own_volume, write_beginning, write_content
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed
from app.tasks.operation import Locks, Outcome, Plan
from app.tasks.submit import submit


class ImportImageParameters(ImageParameters):
    """The file on the other server. `url` is sealed: its query may be a key. `sha256` is what its sum must be."""

    url: str
    sha256: str | None


@declare
class ImportImage(ImageOperation[ImportImageParameters]):
    """Fetch a file into a volume, look what it is, and make it an image. What is none is removed again."""

    kind = "image.import"
    title = N_("Import the image")
    parameters = ImportImageParameters
    cancellable = True

    def check(self, ctx: Ctx, parameters: ImportImageParameters) -> Plan:
        """The name must be free in the pool. Raises Conflict (volume_exists, host_not_connected…)."""
        pool, host = pool_by_uuid(ctx.session, parameters.host_id, parameters.pool)
        require_manageable(ctx, host)
        refuse_taken(ctx, pool, parameters.name)
        image = known(ctx, Image, parameters.target_id)
        locks = Locks(holds=locks_of(ctx.session, pool, parameters.name), reads={pool.id})
        return Plan(ref(image), ref(host), locks)

    def run(self, context: TaskContext, parameters: ImportImageParameters) -> Outcome:
        """Fetch it, unless an earlier run was interrupted just before its end."""
        image_id, pool = parameters.target_id, parameters.pool
        there = partial(image_records.is_placed, image_id=image_id, host_id=context.job.host_id, pool=pool)
        if not context.write(there):
            with failed_image(context, image_id), ExitStack() as created:
                digest, held_back, size = _fetch(context, parameters, created)
                if parameters.sha256 not in (None, digest):
                    raise _wrong_checksum()
                head, facts = look(context, pool, parameters.name, size, held_back)
                write_beginning(context, pool, parameters.name, held_back)
                content = ImageContent(facts, size, digest, detect_os(parameters.name, head))
                _keep(context, parameters, content)
        reread_pools(context, {pool})
        return Outcome(IN_LIBRARY)


def import_image(ctx: Ctx, spec: ImageImport) -> TaskRecord:
    """Have a file fetched from another server into a pool and made an image.

    Raises InvalidInput (url, pool_id, volume_name, os), Conflict (name_taken, volume_exists, host_not_connected…),
    Busy.
    """
    ctx.require("image.edit")
    ctx.require("volume.edit")
    source = _source(ctx, spec)
    pool, host = running_pool(ctx, spec.pool_id, "pool_id")
    name = spec.volume_name or _volume_name(source)
    refuse_taken(ctx, pool, name)
    image = begin_image(ctx, spec, name, source.shown)
    parameters = ImportImageParameters(
        target_id=image.id,
        host_id=host.id,
        image_id=image.id,
        pool_id=pool.id,
        pool=pool.uuid,
        name=name,
        url=ctx.services.vault.seal({"url": source.url}).decode(),
        sha256=spec.sha256,
    )
    return tasks.record_of(ctx, submit(ctx, ImportImage, parameters))


def imports_from(ctx: Ctx) -> list[str]:
    """The servers from which images may be imported, as the settings say."""
    ctx.require("image.edit")
    return sorted(ctx.services.settings.import_servers)


def _source(ctx: Ctx, spec: ImageImport) -> Source:
    allowed = ctx.services.settings.import_servers
    if not allowed:
        raise Conflict(
            N_("Nothing may be imported from other servers."),
            why=N_("No server is allowed for it."),
            hint=N_("Upload the file instead, or have VIGIE_IMPORT_FROM name the server."),
            code="imports_off",
        )
    try:
        return read_source(spec.url, allowed, plain=spec.sha256 is not None)
    except SourceRefused as refused:
        hint = ctx.say(N_("Allowed are: %(servers)s."), {"servers": ", ".join(sorted(allowed))})
        raise InvalidInput("url", refused.rule, params=refused.params, hint=hint) from None


def _volume_name(source: Source) -> str:
    try:
        return TypeAdapter[str](VolumeName).validate_python(source.file_name)
    except ValidationError:
        raise InvalidInput(
            "volume_name", N_("must be given: the URL ends with no usable file name")
        ) from None


def _fetch(
    context: TaskContext, parameters: ImportImageParameters, created: ExitStack
) -> tuple[str, bytes, int]:
    """Fetch the file into a volume, which goes with `created` when that ends with an error.

    Return its SHA-256, its beginning, which is not written yet, and its size in bytes.
    """
    pool, name = parameters.pool, parameters.name
    rules = DownloadRules.of(context.settings, plain=parameters.sha256 is not None)
    context.say(0, N_("Asking the server for the file."))
    with Download(context.open_sealed(parameters.url)["url"], rules) as source:
        size = source.size_bytes
        _refuse_narrow(context, pool, size)
        plan = VolumePlan(pool=pool, name=name, format="raw", size_bytes=size)
        created.enter_context(own_volume(context, plan))
        content = write_content(context, pool, name, source.parts(), size, N_("Fetching the image."))
    return *content, size


def _keep(context: TaskContext, parameters: ImportImageParameters, content: ImageContent) -> None:
    pool, name = parameters.pool, parameters.name
    volume = context.call(lambda host: host.storage.find_volume(pool, name))
    if volume is None:
        raise no_content()
    task_checks.record_created(context, pool, volume, content.facts.volume_format)
    record_image(
        context, ImageFile(parameters.target_id, context.job.host_id, pool, name, volume.path), content
    )


def _refuse_narrow(context: TaskContext, pool: str, needed: int) -> None:
    """Raise TaskFailed (pool_full) when so many bytes are not left in the pool."""
    seen = context.call(lambda host: host.read_pools(volumes=False, only={pool}))
    free = next((item.available_bytes for item in seen if item.uuid == pool), None)
    if free is not None and needed > free:
        raise TaskFailed(
            "pool_full",
            N_("The storage pool is too full."),
            why=N_("The file takes %(needed)d MiB; the pool has %(free)d MiB left."),
            hint=N_("Choose another pool, or free some space first."),
            params={"needed": -(-needed // 2**20), "free": free // 2**20},
        )


def _wrong_checksum() -> TaskFailed:
    return TaskFailed(
        "wrong_checksum",
        N_("The file is not the one that was meant."),
        why=N_("Its SHA-256 is another than the one that was given."),
        hint=N_("Compare the sum with that of its source, and ask anew."),
    )
