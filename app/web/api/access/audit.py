"""The audit: who asked for what, and how it ended."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from app.access import audit
from app.core.access.records import AuditRecord
from app.core.access.specs import AuditQuery
from app.core.records import Page
from app.web.api.shapes import Exported, api_router, listed, problems
from app.web.deps import Reader

router = api_router("audit")


class AuditList(AuditQuery, Exported):
    """Filters of the list."""


@router.get("/audit", name="audit.list", response_model=Page[AuditRecord], responses=problems())
def list_audit(request: Request, query: Annotated[AuditList, Query()], ctx: Reader) -> Response:
    """Audit entries, newest first."""
    return listed(request, ctx, query, audit.list_audit, AuditRecord)
