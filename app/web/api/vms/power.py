"""Power of VMs: one verb for one VM, or for many."""

from __future__ import annotations

from typing import Annotated

from fastapi import Body
from starlette.responses import Response

from app.core.tasks.records import BulkRecord, TaskRecord
from app.core.vms.power import VmVerb
from app.core.vms.specs import ActionOptions, BulkAction
from app.services.vms import power
from app.web.api.shapes import ObjectPath, Once, accepted, accepted_batch, api_router, problems
from app.web.deps import Writer

router = api_router("vms")


@router.post(
    "/vms/actions",
    name="vm.act-many",
    status_code=202,
    response_model=BulkRecord,
    responses=problems(404, 409, 413),
)
def act_many(action: BulkAction, ctx: Writer, repeat: Once) -> Response:
    """Do one thing to many VMs: a task for each that allows it, a reason for each other."""
    return repeat.once(ctx, lambda: accepted_batch(power.act_many(ctx, action)))


@router.post(
    "/vms/{id}/actions/{verb}",
    name="vm.act",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def act(
    id: ObjectPath,
    verb: VmVerb,
    ctx: Writer,
    repeat: Once,
    options: Annotated[ActionOptions | None, Body()] = None,
) -> Response:
    """Start, shut down, reboot, reset, force off, pause, resume, save, restore, or set starting with the host."""
    return repeat.once(ctx, lambda: accepted(power.act(ctx, id, verb, options or ActionOptions())))
