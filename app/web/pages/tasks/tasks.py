"""Pages of tasks: the list, one task, and its cancelling."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request
from starlette.responses import Response

from app.core.messages import N_
from app.core.tasks.records import TaskRecord
from app.core.tasks.specs import TaskQuery
from app.tasks import tasks
from app.web.deps import PageId, Reader, SignedRouter, Writer
from app.web.pages.rendering import list_view
from app.web.pages.rendering.render import done, go, is_htmx, render, with_toast
from app.web.pages.rendering.tables import TASKS

router = SignedRouter(include_in_schema=False)
# Of a task's result: what libvirt answered, shown apart from the rest.
_SAID = "host_said"


@dataclass(frozen=True, slots=True)
class TaskPage:
    """What one task has come to."""

    task: TaskRecord

    @property
    def results(self) -> list[tuple[str, object]]:
        """Title and value of each part of the result."""
        found = (self.task.result or {}).items()
        return [(key.replace("_", " ").capitalize(), value) for key, value in found if key != _SAID]

    @property
    def host_output(self) -> object:
        """What the host answered."""
        if self.task.error is not None:
            return self.task.error.detail
        return (self.task.result or {}).get(_SAID)


@router.get("/tasks")
def task_list(request: Request, ctx: Reader) -> Response:
    """The list of tasks, newest first."""
    query = list_view.query_of(request, TaskQuery)
    view = list_view.view(request, TASKS, tasks.list_tasks(ctx, query), query)
    return list_view.show(request, ctx, "tasks/list.html", view)


@router.get("/tasks.csv")
def task_csv(request: Request, ctx: Reader) -> Response:
    """The list of tasks for spreadsheets."""
    return list_view.as_csv(ctx, TASKS, list_view.query_of(request, TaskQuery), tasks.list_tasks)


@router.get("/tasks/{id}")
def task(request: Request, id: PageId, ctx: Reader) -> Response:
    """One task: how far it is, how it ended, why it failed and what to do then."""
    alone = is_htmx(request) and request.headers.get("hx-target", "").endswith("#task")
    template = "tasks/_task.html" if alone else "tasks/show.html"
    found = tasks.show_task(ctx, id)
    return render(request, ctx, template, task=found, page=TaskPage(found))


@router.post("/tasks/{id}/cancel", name="task.cancel")
def cancel(request: Request, id: PageId, ctx: Writer) -> Response:
    """Ask a task to stop."""
    cancelled = tasks.cancel_task(ctx, id)
    message = ctx.say(N_("%(task)s: the task is asked to stop."), {"task": cancelled.title})
    if is_htmx(request):
        return with_toast(done(), "ok", message)
    return go(request, f"/tasks/{id}", toast=("ok", message))
