"""Pages of networks and network filters."""

from __future__ import annotations

from fastapi import APIRouter

from app.web.pages.networks import logical_networks, networks, nwfilters

router = APIRouter(include_in_schema=False)
for _module in (
    logical_networks,  # before networks: /networks/names is no network
    networks,
    nwfilters,
):
    router.include_router(_module.router)
