"""The drawer below every page: recent tasks and events, live."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from app.core.inventory.specs import EventQuery
from app.core.tasks.specs import TaskQuery
from app.core.tasks.states import ACTIVE_TASK_STATES
from app.inventory import events
from app.tasks import tasks
from app.web.deps import Reader, SignedRouter
from app.web.pages.rendering.render import render

router = SignedRouter(include_in_schema=False)
SHOWN = 30


@router.get("/drawer/tasks")
def recent_tasks(request: Request, ctx: Reader) -> Response:
    """The newest tasks of everybody."""
    found = tasks.list_tasks(ctx, TaskQuery(limit=SHOWN)).items
    return render(request, ctx, "tasks/_drawer_tasks.html", tasks=found)


@router.get("/drawer/events")
def recent_events(request: Request, ctx: Reader) -> Response:
    """The newest events."""
    found = events.list_events(ctx, EventQuery(limit=SHOWN)).items
    return render(request, ctx, "tasks/_drawer_events.html", events=found)


@router.get("/drawer/running")
def running(request: Request, ctx: Reader) -> Response:
    """How many tasks are under way."""
    active = tasks.list_tasks(ctx, TaskQuery(limit=1, state=list(ACTIVE_TASK_STATES)))
    return render(request, ctx, "_shell/running.html", running=active.total)
