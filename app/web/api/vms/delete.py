"""Deleting VMs and bringing them back."""

from __future__ import annotations

from typing import Annotated

from fastapi import Body
from starlette.responses import Response

from app.core.tasks.records import TaskRecord
from app.core.vms.delete import RemovalRecord, RemovalSpec, RemovedVmList
from app.services.vms.delete import delete
from app.services.vms.delete.undelete import undelete_vm
from app.web.api.shapes import ObjectPath, Once, accepted, api_router, problems
from app.web.deps import HostCaller, Reader, Writer

router = api_router("vms")


@router.get("/vms/{id}/removal", name="vm.removal", responses=problems(404))
def show_removal(id: ObjectPath, visitor: HostCaller) -> RemovalRecord:
    """What belongs to the VM: disks with who else uses them, UEFI variables, TPM, saved state, snapshots."""
    return delete.look_at(visitor.services, visitor.actor, visitor.translate, id)


@router.post(
    "/vms/{id}/delete",
    name="vm.delete",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def delete_vm(
    id: ObjectPath, ctx: Writer, repeat: Once, asked: Annotated[RemovalSpec | None, Body()] = None
) -> Response:
    """Delete the VM, with the volumes that are named. Its definition can be brought back for a while."""
    return repeat.once(ctx, lambda: accepted(delete.delete_vm(ctx, id, asked or RemovalSpec())))


@router.get("/removed-vms", name="vm.list_removed", responses=problems())
def list_removed(ctx: Reader) -> RemovedVmList:
    """Deleted VMs that can be brought back, the last deleted first."""
    return delete.list_removed(ctx)


@router.post(
    "/vms/{id}/bring-back",
    name="vm.undelete",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def bring_back(id: ObjectPath, ctx: Writer, repeat: Once) -> Response:
    """Define a deleted or missing VM again, as it was. Volumes that were deleted with it are not there."""
    return repeat.once(ctx, lambda: accepted(undelete_vm(ctx, id)))
