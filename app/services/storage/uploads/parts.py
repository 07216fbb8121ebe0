"""The parts of an upload: each goes straight through to the host's storage, so memory does not grow with the file."""

from __future__ import annotations

from collections.abc import Callable

from app.access.context import Actor, Ctx, Services
from app.access.find import known
from app.access.host_connections import connected_host
from app.core.errors import Conflict, InvalidInput
from app.core.messages import N_
from app.core.storage.observations import VolumeObservation
from app.core.storage.uploads import UploadRecord
from app.core.tasks.states import TaskState
from app.db.models import Host, Pool, Upload
from app.services.hosts.manageable import require_manageable
from app.services.storage.uploads.abandoned import end_upload
from app.services.storage.uploads.claims import PartClaim
from app.services.storage.uploads.content import UploadPart
from app.services.storage.uploads.uploads import find_upload, record_of
from app.services.storage.uploads.volume import create_upload_volume
from app.services.storage.volumes import records
from app.tasks import lifecycle
from app.tasks.lifecycle import Ending

ENDING = ("image_refused", "wrong_checksum", "volume_gone")  # whatever is sent again, it stays so


def receive(
    services: Services,
    actor: Actor,
    translate: Callable[[str], str],
    upload_id: str,
    offset: int,
    part: bytes,
) -> UploadRecord:
    """Write the next part.

    Raises Conflict (wrong_offset) telling the right one, Conflict (part_under_way) while another request writes one,
    ImageRefused as soon as the beginning or the whole is no image, InvalidInput for a part that is too much or whose
    sum is wrong, HostError when the host does not take it: then the same part may be sent again.

    The beginning of the file is held back and written last: until all of it was inspected, the host has nothing that
    its libvirt could take for an image.
    """
    with services.database.begin() as session:
        ctx = Ctx(services, session, actor, translate)
        upload, pool, host = find_upload(ctx, upload_id)
        claim = PartClaim.take(ctx, upload_id)
        _check_part(ctx, upload, offset, part)
        upload_part = UploadPart.of(upload, pool, host, part)
    with claim:
        try:
            upload_part.refuse_beginning()
            if offset == 0:
                create_upload_volume(services, translate, upload_part, claim)
            with connected_host(services, upload_part.host_id) as open_host:
                upload_part.write(open_host.storage, claim.hold)
                found = upload_part.complete(open_host.storage, claim.hold) if upload_part.is_last else None
        except Conflict as refused:
            if refused.code in ENDING:
                _refuse(services, claim, refused)
            raise
        return _keep(services, actor, translate, upload_part, claim, found)


def _keep(
    services: Services,
    actor: Actor,
    translate: Callable[[str], str],
    upload_part: UploadPart,
    claim: PartClaim,
    found: tuple[VolumeObservation, str] | None,
) -> UploadRecord:
    """Note how far the upload has come; with the whole file, that it has ended."""
    with services.database.begin() as session:
        ctx = Ctx(services, session, actor, translate)
        _, pool, _ = find_upload(ctx, upload_part.upload_id)
        upload = claim.require(session)
        upload.offset_bytes += len(upload_part.part)
        upload.head, upload.updated_at = upload_part.head or upload.head, ctx.now
        percent = 100 * upload.offset_bytes // upload.size_bytes
        lifecycle.report_progress(session, services.hub, upload.id, percent)
        record = record_of(upload, pool)
        if found is not None:
            volume, format = found
            lifecycle.note_created(session, upload.id, [])
            records.record_created(session, pool.host_id, pool.uuid, volume, format)
            message, params = N_("The file is in the pool, as volume %(name)s."), {"name": record.name}
            end_upload(session, services, upload, Ending(TaskState.SUCCEEDED, message, params))
    return record


def _refuse(services: Services, claim: PartClaim, refused: Conflict) -> None:
    """End the upload of what is no safe image, or not what was meant; what came of it is removed."""
    ending = Ending(TaskState.FAILED, error=lifecycle.error_of(refused))
    with services.database.begin() as session:
        upload = claim.require(session)
        end_upload(session, services, upload, ending)


def _check_part(ctx: Ctx, upload: Upload, offset: int, part: bytes) -> None:
    require_manageable(ctx, known(ctx, Host, known(ctx, Pool, upload.pool_id).host_id))
    if offset != upload.offset_bytes:
        raise _wrong_offset(ctx, upload)
    if not part:
        raise InvalidInput("body", N_("must not be empty"))
    if offset + len(part) > upload.size_bytes:
        raise InvalidInput(
            "body",
            N_("is %(more)d bytes more than the file was said to have"),
            params={"more": offset + len(part) - upload.size_bytes},
        )


def _wrong_offset(ctx: Ctx, upload: Upload) -> Conflict:
    return Conflict(
        N_("This part does not follow the last one."),
        why=N_("The next part begins at byte %(offset)d."),
        hint=N_("Ask how far the upload has come, and go on there."),
        code="wrong_offset",
        params={"offset": upload.offset_bytes},
    )
