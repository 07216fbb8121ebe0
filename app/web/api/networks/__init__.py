"""The API of networks and network filters."""

from __future__ import annotations

from fastapi import APIRouter

from app.web.api.networks import network_versions, networks, nwfilters

router = APIRouter()
for _module in (
    networks,
    network_versions,
    nwfilters,
):
    router.include_router(_module.router)
