"""Pages of hosts and of the credentials that open them."""

from __future__ import annotations

from fastapi import APIRouter

from app.web.pages.hosts import add, credentials, hosts

router = APIRouter(include_in_schema=False)
for _module in (
    add,  # before hosts: /hosts/new is no host
    hosts,
    credentials,
):
    router.include_router(_module.router)
