"""The volume of an upload: created once, known as the upload's own, and never that of somebody else."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.access.context import Services
from app.access.host_connections import connected_host
from app.core.errors import Conflict, HypervisorRefused
from app.core.messages import N_
from app.core.storage.created_volumes import CREATED, REQUESTED, marked_size, volume_note
from app.core.storage.observations import VolumeObservation
from app.core.vms.config import VolumePlan
from app.db.models import Task
from app.hypervisor.storage.storage import Storage
from app.services.storage.uploads.claims import PartClaim
from app.services.storage.uploads.content import UploadPart
from app.tasks import lifecycle


def create_upload_volume(
    services: Services, translate: Callable[[str], str], upload_part: UploadPart, claim: PartClaim
) -> None:
    """Create the volume before the first part is written; nothing when an earlier try of that part has.

    Raises Conflict (volume_exists) for a volume that somebody else has made, or a link that has its name, HostError; NotFound and
    Conflict (part_under_way) when the claim does not hold any more.
    """
    plan = VolumePlan(
        pool=upload_part.pool, name=upload_part.name, format="raw", size_bytes=upload_part.size_bytes
    )
    with services.database.read() as session:
        noted = session.get_one(Task, upload_part.upload_id).created_resources or []
    note = next((item for item in noted if item["name"] == plan.name), None)
    with connected_host(services, upload_part.host_id) as host:
        found = host.storage.find_volume(plan.pool, plan.name)
        if found is None:
            if upload_part.path and host.storage.is_link(upload_part.path):
                raise _exists(translate)
            _create(services, translate, claim, host.storage, plan, note)
        elif note is None or not _is_own(note, found):
            raise _exists(translate)
        elif found.capacity_bytes != plan.size_bytes:
            _grow(services, claim, host.storage, plan)


def _is_own(note: Mapping[str, str], found: VolumeObservation) -> bool:
    return note.get("state") == CREATED or note.get("size") == str(found.capacity_bytes)


def _create(
    services: Services,
    translate: Callable[[str], str],
    claim: PartClaim,
    storage: Storage,
    plan: VolumePlan,
    before: Mapping[str, str] | None,
) -> None:
    """Create it. An earlier try (`before`) may still be at work on the host: this one asks for the size it asked for."""
    size = marked_size(plan) if before is None else before.get("size")
    note = volume_note(plan.pool, plan.name) | {"state": REQUESTED}
    if size is not None:
        note["size"] = str(size)
    _note(services, claim, note)
    try:
        storage.create_volume(plan.model_copy(update={"size_bytes": int(size or plan.size_bytes)}))
    except HypervisorRefused as error:
        found = storage.find_volume(plan.pool, plan.name)
        if found is None or not _is_own(note, found):
            _note(services, claim, None)  # it was refused, so what is there by this name is somebody else's
            if error.code == "volume_exists":
                raise _exists(translate) from None
            raise
    _grow(services, claim, storage, plan)


def _grow(services: Services, claim: PartClaim, storage: Storage, plan: VolumePlan) -> None:
    _note(services, claim, volume_note(plan.pool, plan.name) | {"state": CREATED})
    storage.resize_volume(plan.pool, plan.name, plan.size_bytes, shrink=False)


def _note(services: Services, claim: PartClaim, note: dict[str, str] | None) -> None:
    """Write the note, unless another request has taken over: then it is that one's."""
    with services.database.begin() as session:
        upload = claim.require(session)
        lifecycle.note_created(session, upload.id, [] if note is None else [note])


def _exists(translate: Callable[[str], str]) -> Conflict:
    return Conflict(
        N_("The pool has a volume of this name already."),
        hint=N_("Choose another name for the volume, or another pool."),
        code="volume_exists",
    )
