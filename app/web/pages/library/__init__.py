"""Pages of the library."""

from __future__ import annotations

from fastapi import APIRouter

from app.web.pages.library import images

router = APIRouter(include_in_schema=False)
for _module in (images,):
    router.include_router(_module.router)
