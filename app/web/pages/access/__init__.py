"""Pages of signing in, users, tokens, the audit log and one's own account."""

from __future__ import annotations

from fastapi import APIRouter

from app.web.pages.access import account, audit, sign_in, tokens, users

router = APIRouter(include_in_schema=False)
for _module in (
    sign_in,
    audit,
    users,
    tokens,
    account,
):
    router.include_router(_module.router)
