"""The page of the audit: who asked for what, and how it ended."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from app.access import audit
from app.core.access.specs import AuditQuery
from app.web.deps import Reader, SignedRouter
from app.web.pages.rendering import lists
from app.web.pages.rendering.tables import AUDIT

router = SignedRouter(include_in_schema=False)


@router.get("/audit")
def audit_list(request: Request, ctx: Reader) -> Response:
    """The audit, newest first."""
    query = lists.query_of(request, AuditQuery)
    view = lists.view(request, AUDIT, audit.list_audit(ctx, query), query)
    return lists.show(request, ctx, "access/audit_list.html", view)


@router.get("/audit.csv")
def audit_csv(request: Request, ctx: Reader) -> Response:
    """The audit for spreadsheets."""
    return lists.as_csv(ctx, AUDIT, lists.query_of(request, AuditQuery), audit.list_audit)
