"""Pages of networks and network filters.

Public to other nouns: `network_tables`, `networks`.
"""

from __future__ import annotations

from fastapi import APIRouter

from app.web.pages.networks import logical_networks, networks, nwfilters

router = APIRouter(include_in_schema=False)
for _module in (
    logical_networks,  # before networks: /networks/logical is no network
    networks,
    nwfilters,
):
    router.include_router(_module.router)
