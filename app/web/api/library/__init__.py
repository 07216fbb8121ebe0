"""The API of the library."""

from __future__ import annotations

from fastapi import APIRouter

from app.web.api.library import images

router = APIRouter()
for _module in (images,):
    router.include_router(_module.router)
