"""Definitions of VMs: XML to read and to edit, comparisons, earlier versions."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from starlette.responses import Response

from app.core.inventory.versions import DiffRecord, VersionList
from app.core.tasks.records import TaskRecord
from app.core.vms.devices import DefinitionRecord, DefinitionSpec
from app.services.vms.definitions import definitions
from app.web.api.shapes import IfMatch, ObjectPath, Once, accepted, api_router, problems, tagged
from app.web.deps import Reader, Writer

router = api_router("vms")
Number = Annotated[int, Path(ge=0, le=2**63 - 1)]
XML: dict[int | str, dict[str, object]] = {
    200: {"description": "The definition.", "content": {"application/xml": {"schema": {"type": "string"}}}}
}


@router.get(
    "/vms/{id}/definition", name="vm.definition", response_model=DefinitionRecord, responses=problems(404)
)
def show_definition(id: ObjectPath, ctx: Reader) -> Response:
    """The saved definition, and the one that runs where that differs. The ETag is for changes."""
    found = definitions.show_definition(ctx, id)
    return tagged(found, found.version)


@router.put(
    "/vms/{id}/definition",
    name="vm.define",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 412, 413),
)
def replace(id: ObjectPath, spec: DefinitionSpec, ctx: Writer, version: IfMatch) -> Response:
    """Another saved definition. The host validates it; of a VM that runs it counts after the next power-off."""
    return accepted(definitions.replace(ctx, id, spec.xml, version))


@router.post("/vms/{id}/definition/preview", name="vm.preview-definition", responses=problems(404, 409, 413))
def preview(id: ObjectPath, spec: DefinitionSpec, ctx: Reader) -> DiffRecord:
    """What would be different. Nothing is done."""
    return definitions.preview(ctx, id, spec.xml)


@router.post(
    "/vms/{id}/actions/discard-changes",
    name="vm.discard-changes",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def discard_changes(id: ObjectPath, ctx: Writer, repeat: Once) -> Response:
    """Drop what waits for the next power-off: the saved definition becomes what runs."""
    return repeat.once(ctx, lambda: accepted(definitions.discard_changes(ctx, id)))


@router.get("/vms/{id}/history", name="vm.history", responses=problems(404))
def list_versions(id: ObjectPath, ctx: Reader) -> VersionList:
    """Versions of the saved definition, the latest first, whoever made them."""
    return definitions.list_versions(ctx, id)


@router.get(
    "/vms/{id}/history/{number}", name="vm.version", response_class=Response, responses=problems(404) | XML
)
def show_version(id: ObjectPath, number: Number, ctx: Reader) -> Response:
    """The XML of a version; 0 is the present one."""
    return Response(definitions.show_version(ctx, id, number), media_type="application/xml")


@router.get("/vms/{id}/history/{number}/diff", name="vm.diff", responses=problems(404, 409))
def diff(
    id: ObjectPath,
    number: Number,
    ctx: Reader,
    to: Annotated[int, Query(ge=0, le=2**63 - 1, description="0: the present one.")] = 0,
) -> DiffRecord:
    """Two versions compared, element by element."""
    return definitions.diff_versions(ctx, id, number, to)


@router.post(
    "/vms/{id}/history/{number}/actions/restore",
    name="vm.restore-version",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def restore(id: ObjectPath, number: Number, ctx: Writer, repeat: Once) -> Response:
    """Have a version count again."""
    return repeat.once(ctx, lambda: accepted(definitions.restore_version(ctx, id, number)))
