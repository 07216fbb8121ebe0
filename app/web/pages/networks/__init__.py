"""Pages of networks and network filters.

Public to other nouns: `network_tables`, `networks`.
"""

from __future__ import annotations

from fastapi import APIRouter

from app.web.pages.networks import copy, logical_networks, mac_conflicts, networks, nwfilters

router = APIRouter(include_in_schema=False)
for _module in (
    copy,
    # before networks: /networks/logical and /networks/mac-conflicts are no networks
    logical_networks,
    mac_conflicts,
    networks,
    nwfilters,
):
    router.include_router(_module.router)
