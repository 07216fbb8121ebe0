"""Pages over all nouns: dashboard, tree, search, datacenters, events, versions of definitions."""

from __future__ import annotations

from fastapi import APIRouter

from app.web.pages.inventory import dashboard, datacenters, events, search, tree, versions

router = APIRouter(include_in_schema=False)
for _module in (
    dashboard,
    tree,
    search,
    versions,
    events,
    datacenters,
):
    router.include_router(_module.router)
