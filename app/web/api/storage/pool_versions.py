"""Earlier definitions of storage pools."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from app.core.inventory.versions import DiffRecord, VersionList
from app.core.kinds import ObjectKind
from app.core.tasks.records import TaskRecord
from app.services.inventory import versions
from app.web.api.shapes import ObjectPath, Once, accepted, api_router, problems
from app.web.api.vms.definitions import XML, Number
from app.web.deps import Reader, Writer

router = api_router("storage")
To = Annotated[int, Query(ge=0, le=2**63 - 1, description="0: the present one.")]


@router.get("/pools/{id}/history", name="pool.history", responses=problems(404))
def list_versions(id: ObjectPath, ctx: Reader) -> VersionList:
    """Versions of the definition, the latest first, whoever made them."""
    return versions.list_versions(ctx, ObjectKind.POOL, id)


@router.get(
    "/pools/{id}/history/{number}",
    name="pool.version",
    response_class=Response,
    responses=problems(404) | XML,
)
def show_version(id: ObjectPath, number: Number, ctx: Reader) -> Response:
    """The XML of a version; 0 is the present one."""
    return Response(versions.show_version(ctx, ObjectKind.POOL, id, number), media_type="application/xml")


@router.get("/pools/{id}/history/{number}/diff", name="pool.diff", responses=problems(404, 409))
def diff(id: ObjectPath, number: Number, ctx: Reader, to: To = 0) -> DiffRecord:
    """Two versions compared, element by element."""
    return versions.diff_versions(ctx, ObjectKind.POOL, id, number, to)


@router.post(
    "/pools/{id}/history/{number}/actions/restore",
    name="pool.restore-version",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409, 413),
)
def restore(id: ObjectPath, number: Number, ctx: Writer, repeat: Once) -> Response:
    """Have a version count again; the pool must be off."""
    return repeat.once(ctx, lambda: accepted(versions.restore_version(ctx, ObjectKind.POOL, id, number)))
