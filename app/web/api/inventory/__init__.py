"""The API over all nouns: dashboard, datacenters, events."""

from __future__ import annotations

from fastapi import APIRouter

from app.web.api.inventory import dashboard, datacenters, events

router = APIRouter()
for _module in (
    dashboard,
    datacenters,
    events,
):
    router.include_router(_module.router)
