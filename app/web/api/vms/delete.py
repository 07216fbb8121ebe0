"""Deleting VMs and bringing them back."""

from __future__ import annotations

from typing import Annotated

from fastapi import Body
from starlette.responses import Response

from app.core.tasks.records import TaskRecord
from app.core.vms.delete import DeletedVmList, DeletePreview, DeleteSpec
from app.services.vms.delete import delete
from app.services.vms.delete.undelete import undelete_vm
from app.web.api.shapes import ObjectPath, Once, accepted, api_router, problems
from app.web.deps import HostCaller, Reader, Writer

router = api_router("vms")


@router.post("/vms/{id}/actions/delete/preview", name="vm.delete-preview", responses=problems(404, 409, 413))
def preview_delete(
    id: ObjectPath, visitor: HostCaller, spec: Annotated[DeleteSpec | None, Body()] = None
) -> DeletePreview:
    """What belongs to the VM: disks with who else uses them, UEFI variables, TPM, saved state, snapshots.

    Volumes that are named and cannot go are refused as by the deletion itself. Nothing is done.
    """
    return delete.preview_with_snapshots(
        visitor.services, visitor.actor, visitor.translate, id, spec or DeleteSpec()
    )


@router.post(
    "/vms/{id}/actions/delete",
    name="vm.delete",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def delete_vm(
    id: ObjectPath, ctx: Writer, repeat: Once, spec: Annotated[DeleteSpec | None, Body()] = None
) -> Response:
    """Delete the VM, with the volumes that are named. It can be undeleted for a while, without its deleted disks."""
    return repeat.once(ctx, lambda: accepted(delete.delete_vm(ctx, id, spec or DeleteSpec())))


@router.get("/deleted-vms", name="vm.list-deleted", responses=problems())
def list_deleted(ctx: Reader) -> DeletedVmList:
    """Deleted VMs that can be undeleted, the last deleted first."""
    return delete.list_deleted(ctx)


@router.post(
    "/vms/{id}/actions/undelete",
    name="vm.undelete",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def undelete(id: ObjectPath, ctx: Writer, repeat: Once) -> Response:
    """Define a deleted or missing VM again, as it was. Volumes that were deleted with it are not there."""
    return repeat.once(ctx, lambda: accepted(undelete_vm(ctx, id)))
