"""Rename VMs."""

from __future__ import annotations

from starlette.responses import Response

from app.core.tasks.records import TaskRecord
from app.core.vms.devices import RenameSpec
from app.services.vms.reconfigure import rename
from app.web.api.shapes import IfMatch, ObjectPath, Once, accepted, api_router, problems
from app.web.deps import Writer

router = api_router("vms")


@router.post(
    "/vms/{id}/actions/rename",
    name="vm.rename",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 412, 413),
)
def rename_vm(id: ObjectPath, spec: RenameSpec, ctx: Writer, version: IfMatch, repeat: Once) -> Response:
    """Another name; the VM must be off."""
    return repeat.once(ctx, lambda: accepted(rename.rename_vm(ctx, id, spec, version)))
