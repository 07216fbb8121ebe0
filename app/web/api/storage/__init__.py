"""The API of storage pools, volumes and uploads."""

from __future__ import annotations

from fastapi import APIRouter

from app.web.api.storage import pool_versions, pools, uploads, volumes

router = APIRouter()
for _module in (
    uploads,
    pools,
    pool_versions,
    volumes,
):
    router.include_router(_module.router)
