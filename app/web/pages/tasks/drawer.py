"""The drawer below every page: recent tasks and events, live."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request
from starlette.responses import Response

from app.core.inventory.specs import EventQuery
from app.core.kinds import ObjectKind
from app.core.tasks.records import TaskRecord
from app.core.tasks.specs import TaskQuery
from app.core.tasks.states import ACTIVE_TASK_STATES
from app.services.inventory import events
from app.tasks import tasks
from app.web.deps import Reader, SignedRouter
from app.web.pages.rendering.components import url_of
from app.web.pages.rendering.render import render

router = SignedRouter(include_in_schema=False)
SHOWN = 30


@dataclass(frozen=True, slots=True)
class DrawerTask:
    """A task as a row of the drawer."""

    task: TaskRecord

    @property
    def target_url(self) -> str | None:
        """The page of the VM or host that it is about."""
        target = self.task.target
        is_linked = target is not None and target.kind in (ObjectKind.VM, ObjectKind.HOST)
        return url_of(target) if target is not None and is_linked else None

    @property
    def error_text(self) -> str:
        """Why it failed and what to do."""
        error = self.task.error
        return " ".join(part for part in (error.why, error.hint) if part) if error is not None else ""


@router.get("/drawer/tasks")
def recent_tasks(request: Request, ctx: Reader) -> Response:
    """The newest tasks of everybody."""
    found = tasks.list_tasks(ctx, TaskQuery(limit=SHOWN)).items
    return render(request, ctx, "tasks/_drawer_tasks.html", tasks=[DrawerTask(task) for task in found])


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
