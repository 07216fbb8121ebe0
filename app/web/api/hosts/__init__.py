"""The API of hosts and of the credentials that open them."""

from __future__ import annotations

from fastapi import APIRouter

from app.web.api.hosts import credentials, hosts

router = APIRouter()
for _module in (
    hosts,
    credentials,
):
    router.include_router(_module.router)
