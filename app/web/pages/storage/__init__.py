"""Pages of storage pools and volumes."""

from __future__ import annotations

from fastapi import APIRouter

from app.web.pages.storage import pools, volumes

router = APIRouter(include_in_schema=False)
for _module in (
    volumes,  # before pools: /storage/volumes/… is no pool
    pools,
):
    router.include_router(_module.router)
