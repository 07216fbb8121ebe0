"""The API of tasks."""

from __future__ import annotations

from fastapi import APIRouter

from app.web.api.tasks import tasks

router = APIRouter()
for _module in (tasks,):
    router.include_router(_module.router)
