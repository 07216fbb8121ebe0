"""Creating VMs: plans, presets, OS variants."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from app.core.library.os_variants import OsVariantList
from app.core.tasks.records import BulkRecord, TaskRecord
from app.core.vms.create.creation_plan import CreationPlan
from app.core.vms.create.presets import VmPresetList, VmPresetRecord, VmPresetSpec
from app.core.vms.create.spec import VmBatch, VmSpec
from app.services.library import os_variants
from app.services.vms.create import create, presets
from app.web.api.shapes import (
    IfMatch,
    ObjectPath,
    Once,
    accepted,
    accepted_batch,
    api_router,
    created,
    problems,
    tagged,
)
from app.web.deps import Reader, Writer

router = api_router("vms")


@router.post(
    "/vms",
    name="vm.create",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def create_vm(spec: VmSpec, ctx: Writer, repeat: Once) -> Response:
    """Create a VM: its volumes, its definition, and its start. The task's target is the VM to be."""
    return repeat.once(ctx, lambda: accepted(create.create_vm(ctx, spec)))


@router.post("/vms/preview", name="vm.preview", responses=problems(404, 409, 413))
def preview_vm(spec: VmSpec, ctx: Reader) -> CreationPlan:
    """See what would be made, where, why there, and what that leaves free. Nothing is done."""
    return create.preview_vm(ctx, spec)


@router.post(
    "/vms/batch",
    name="vm.create-many",
    status_code=202,
    response_model=BulkRecord,
    responses=problems(404, 409, 413),
)
def create_many(batch: VmBatch, ctx: Writer, repeat: Once) -> Response:
    """Create several VMs from one specification: a task for each that can be, a reason for each other."""
    return repeat.once(ctx, lambda: accepted_batch(create.create_many(ctx, batch)))


@router.get("/os-variants", name="os-variant.list", responses=problems())
def list_os_variants(
    ctx: Reader, q: Annotated[str, Query(max_length=100, description="Part of a name or an id.")] = ""
) -> OsVariantList:
    """Operating systems of guests that osinfo-db knows, newest first."""
    return os_variants.list_os_variants(ctx, q)


@router.get("/vm-presets", name="preset.list", responses=problems())
def list_presets(ctx: Reader) -> VmPresetList:
    """Specifications that are kept, by name."""
    return presets.list_presets(ctx)


@router.post(
    "/vm-presets",
    name="preset.save",
    status_code=201,
    response_model=VmPresetRecord,
    responses=problems(409, 413),
)
def save_preset(spec: VmPresetSpec, ctx: Writer, repeat: Once) -> Response:
    """Keep a specification under a name. A password in it is not kept."""

    def act() -> Response:
        created_object = presets.save_preset(ctx, spec)
        return created(created_object, f"/vm-presets/{created_object.id}", created_object.version)

    return repeat.once(ctx, act)


@router.get("/vm-presets/{id}", name="preset.show", response_model=VmPresetRecord, responses=problems(404))
def show_preset(id: ObjectPath, ctx: Reader) -> Response:
    """Get a VM preset."""
    found = presets.show_preset(ctx, id)
    return tagged(found, found.version)


@router.put(
    "/vm-presets/{id}",
    name="preset.update",
    response_model=VmPresetRecord,
    responses=problems(404, 409, 412, 413),
)
def replace_preset(id: ObjectPath, spec: VmPresetSpec, ctx: Writer, version: IfMatch) -> Response:
    """Replace a VM preset."""
    changed = presets.replace_preset(ctx, id, spec, version)
    return tagged(changed, changed.version)


@router.delete("/vm-presets/{id}", name="preset.delete", status_code=204, responses=problems(404))
def delete_preset(id: ObjectPath, ctx: Writer) -> Response:
    """Keep a specification no longer."""
    presets.delete_preset(ctx, id)
    return Response(status_code=204)
