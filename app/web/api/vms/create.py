"""Creating VMs: plans, specifications that are kept, what hosts offer."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from app.core.tasks.records import BulkRecord, TaskRecord
from app.core.vms.create import (
    CreationPlan,
    OffersRecord,
    SavedSpecList,
    SavedSpecRecord,
    SavedSpecSpec,
    SystemList,
)
from app.core.vms.create_spec import VmBatch, VmSpec
from app.services.hosts import capabilities
from app.services.library import os_variants
from app.services.vms.create import create, presets
from app.web.api.shapes import IfMatch, ObjectPath, Once, accepted, api_router, created, problems, tagged
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
    name="vm.create_many",
    status_code=202,
    response_model=BulkRecord,
    responses=problems(404, 409, 413),
)
def create_many(batch: VmBatch, ctx: Writer, repeat: Once) -> Response:
    """Create several VMs from one specification: a task for each that can be, a reason for each other."""

    def act() -> Response:
        done = create.create_many(ctx, batch)
        location = f"/api/v1/tasks?batch={done.batch_id}"
        return Response(done.model_dump_json(), 202, {"Location": location}, media_type="application/json")

    return repeat.once(ctx, act)


@router.get("/systems", name="system.list", responses=problems())
def list_systems(
    ctx: Reader, q: Annotated[str, Query(max_length=100, description="Part of a name or an id.")] = ""
) -> SystemList:
    """Operating systems of guests that osinfo-db knows, newest first."""
    return os_variants.list_systems(ctx, q)


@router.get("/hosts/{id}/offers", name="host.offers", responses=problems(404))
def show_offers(id: ObjectPath, ctx: Reader) -> OffersRecord:
    """What a host can give to VMs: machine types, CPU models, firmware, buses."""
    return capabilities.show_offers(ctx, id)


@router.get("/specs", name="spec.list", responses=problems())
def list_specs(ctx: Reader) -> SavedSpecList:
    """Specifications that are kept, by name."""
    return presets.list_specs(ctx)


@router.post(
    "/specs",
    name="spec.save",
    status_code=201,
    response_model=SavedSpecRecord,
    responses=problems(409, 413),
)
def save_spec(spec: SavedSpecSpec, ctx: Writer, repeat: Once) -> Response:
    """Keep a specification under a name. A password in it is not kept."""

    def act() -> Response:
        made = presets.save_spec(ctx, spec)
        return created(made, f"/specs/{made.id}", made.version)

    return repeat.once(ctx, act)


@router.get("/specs/{id}", name="spec.show", response_model=SavedSpecRecord, responses=problems(404))
def show_spec(id: ObjectPath, ctx: Reader) -> Response:
    """One kept specification."""
    found = presets.show_spec(ctx, id)
    return tagged(found, found.version)


@router.put(
    "/specs/{id}", name="spec.update", response_model=SavedSpecRecord, responses=problems(404, 409, 412, 413)
)
def replace_spec(id: ObjectPath, spec: SavedSpecSpec, ctx: Writer, version: IfMatch) -> Response:
    """Change a kept specification."""
    changed = presets.replace_spec(ctx, id, spec, version)
    return tagged(changed, changed.version)


@router.delete("/specs/{id}", name="spec.delete", status_code=204, responses=problems(404))
def delete_spec(id: ObjectPath, ctx: Writer) -> Response:
    """Keep a specification no longer."""
    presets.delete_spec(ctx, id)
    return Response(status_code=204)
