"""The page of the audit: who asked for what, and how it ended."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from app.access import audit
from app.core.access.specs import AuditQuery
from app.web.deps import Reader, SignedRouter
from app.web.pages.rendering import list_view
from app.web.pages.rendering.tables import AUDIT

router = SignedRouter(include_in_schema=False)


@router.get("/audit")
def audit_list(request: Request, ctx: Reader) -> Response:
    """The audit, newest first."""
    query = list_view.query_of(request, AuditQuery)
    view = list_view.view(request, AUDIT, audit.list_audit(ctx, query), query)
    return list_view.show(request, ctx, "access/audit_list.html", view)


@router.get("/audit.csv")
def audit_csv(request: Request, ctx: Reader) -> Response:
    """The audit for spreadsheets."""
    return list_view.as_csv(ctx, AUDIT, list_view.query_of(request, AuditQuery), audit.list_audit)
