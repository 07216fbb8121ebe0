"""The API of sessions, users, tokens and the audit log."""

from __future__ import annotations

from fastapi import APIRouter

from app.web.api.access import audit, sessions, tokens, users

router = APIRouter()
for _module in (
    sessions,
    audit,
    users,
    tokens,
):
    router.include_router(_module.router)
