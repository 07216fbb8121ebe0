"""Rename VMs."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from app.access.context import Ctx
from app.core.tasks.records import TaskRecord
from app.core.vms.devices import RenameSpec
from app.services.vms.reconfigure.rename import rename_vm
from app.web.deps import PageId, Signed, SignedRouter
from app.web.pages.rendering.forms import Posted
from app.web.pages.vms.devices import spec_of, submitted_on_edit_page

router = SignedRouter(include_in_schema=False)


@router.post("/vms/{id}/rename", name="vm.rename")
def rename(request: Request, id: PageId, form: Posted, visitor: Signed) -> Response:
    """Ask for another name."""

    def work(ctx: Ctx) -> TaskRecord:
        return rename_vm(ctx, id, spec_of(RenameSpec, {"name": form["name"]}), form.version)

    return submitted_on_edit_page(request, visitor, form, id, "name", "vm.rename", work)
