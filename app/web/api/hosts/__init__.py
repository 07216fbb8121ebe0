"""The API of hosts and of the credentials that open them."""

from __future__ import annotations

from fastapi import APIRouter

from app.web.api.hosts import capabilities, credentials, devices, hosts

router = APIRouter()
for _module in (
    hosts,
    capabilities,
    devices,
    credentials,
):
    router.include_router(_module.router)
