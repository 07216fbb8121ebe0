"""The API over all nouns: dashboard, search, tree, datacenters, events."""

from __future__ import annotations

from fastapi import APIRouter

from app.web.api.inventory import dashboard, datacenters, events, search, tree

router = APIRouter()
for _module in (
    dashboard,
    search,
    tree,
    datacenters,
    events,
):
    router.include_router(_module.router)
