"""Deleting a VM: the page that shows what goes, and the list of those that can come back."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request
from starlette.responses import Response

from app.access import audit
from app.core.errors import InvalidInput, VigieError
from app.core.messages import N_
from app.core.records import Ref
from app.core.vms.delete import DeletePreview, DeleteSpec
from app.services.vms.delete import delete
from app.services.vms.delete.undelete import undelete_vm
from app.web.auth import Visitor
from app.web.deps import HostCaller, PageId, Reader, SignedRouter, Writer
from app.web.pages.rendering.forms import Form, Posted, Shown, reading, refused, transaction
from app.web.pages.rendering.render import go, render

router = SignedRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class ChosenVolumes:
    """The volumes that are to go with the VM."""

    ids: frozenset[str]

    def has(self, volume: Ref) -> bool:
        """Whether a volume is among them."""
        return volume.id in self.ids


@router.get("/vms/deleted")
def list_deleted(request: Request, ctx: Reader) -> Response:
    """VMs that can be undeleted."""
    return render(request, ctx, "vms/deleted.html", deleted=delete.list_deleted(ctx).items)


@router.get("/vms/{id}/delete")
def ask(request: Request, id: PageId, visitor: HostCaller) -> Response:
    """What belongs to the VM, to choose from."""
    found = _look(visitor, id)
    own = ",".join(disk.volume.id for disk in found.disks if disk.own and disk.volume)
    return _draw(request, visitor, found, Shown({"volumes": own}))


@router.post("/vms/{id}/delete", name="vm.delete")
def delete_vm(request: Request, id: PageId, form: Posted, visitor: HostCaller) -> Response:
    """Have it deleted, once its name was typed."""
    found = _look(visitor, id)
    try:
        if form["name"] != found.vm.name:
            raise InvalidInput("name", N_("must be the name of the VM, letter by letter"))
        removal_spec = DeleteSpec(
            volumes=form.lists.get("volume", []),
            keep_nvram=form["keep_nvram"] == "true",
            keep_tpm=form["keep_tpm"] == "true",
            force_off=form["force_off"] == "true",
        )
        with transaction(visitor) as ctx:
            task = delete.delete_vm(ctx, id, removal_spec)
    except VigieError as error:
        audit.record_refusal(visitor.services, visitor.actor, "vm.delete", error, id)
        return _draw(request, visitor, found, _again(form, error, visitor))
    message = visitor.translate(N_("%(name)s is being deleted.")) % {"name": found.vm.name}
    return go(request, f"/tasks/{task.id}", toast=("ok", message))


@router.post("/vms/{id}/undelete", name="vm.undelete")
def undelete(request: Request, id: PageId, ctx: Writer) -> Response:
    """Have it defined again as it was."""
    task = undelete_vm(ctx, id)
    return go(request, f"/tasks/{task.id}", toast=("ok", ctx.translate(N_("The VM is being undeleted."))))


def _look(visitor: Visitor, vm_id: str) -> DeletePreview:
    return delete.preview_with_snapshots(visitor.services, visitor.actor, visitor.translate, vm_id)


def _again(form: Form, error: VigieError, visitor: Visitor) -> Shown:
    shown = refused(form, error, visitor)
    values = {**form.values, "volumes": ",".join(form.lists.get("volume", []))}
    return Shown(values, shown.errors, shown.problem)


def _draw(request: Request, visitor: Visitor, found: DeletePreview, form: Shown) -> Response:
    with reading(visitor) as ctx:
        return render(
            request,
            ctx,
            "vms/delete.html",
            status=form.status,
            deletion=found,
            form=form,
            chosen=ChosenVolumes(frozenset(form.value("volumes").split(","))),
        )
