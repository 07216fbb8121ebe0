"""Pages of tasks, and the drawer that shows them everywhere."""

from __future__ import annotations

from fastapi import APIRouter

from app.web.pages.tasks import drawer, tasks

router = APIRouter(include_in_schema=False)
for _module in (
    drawer,
    tasks,
):
    router.include_router(_module.router)
