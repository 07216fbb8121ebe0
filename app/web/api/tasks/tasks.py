"""Tasks: work that was asked for. They can be followed, waited for and cancelled."""

from __future__ import annotations

import time
from typing import Annotated

import anyio.to_thread
from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from app.access.context import Ctx
from app.core.records import Page
from app.core.tasks.records import TaskRecord
from app.core.tasks.specs import TaskQuery
from app.tasks import tasks
from app.web.api.shapes import Exported, ObjectPath, Once, accepted, api_router, listed, problems
from app.web.auth import Visitor
from app.web.deps import Reader, Signed, Writer
from app.web.live import Inbox

router = api_router("tasks")

MAX_WAIT_S = 60


class TaskList(TaskQuery, Exported):
    """Filters of the list."""


@router.get("/tasks", name="task.list", response_model=Page[TaskRecord], responses=problems())
def list_tasks(request: Request, query: Annotated[TaskList, Query()], ctx: Reader) -> Response:
    """Tasks, newest first."""
    return listed(request, ctx, query, tasks.list_tasks, TaskRecord)


@router.get("/tasks/{id}", name="task.show", response_model=TaskRecord, responses=problems(404))
async def show_task(
    id: ObjectPath,
    visitor: Signed,
    wait: Annotated[
        int,
        Query(ge=0, le=MAX_WAIT_S, description="Seconds to wait for the end of the task before answering."),
    ] = 0,
) -> Response:
    """One task; with `wait` the answer comes when the task ends, or after so many seconds."""
    ends_at = time.monotonic() + wait
    inbox = Inbox(visitor.services.hub)  # waiting holds no thread: thousands may wait
    try:
        task = await anyio.to_thread.run_sync(_read, visitor, id)
        while not task.state.is_final and (left := ends_at - time.monotonic()) > 0:
            topics = await inbox.take(left)
            if topics is None or id in topics:
                task = await anyio.to_thread.run_sync(_read, visitor, id)
    finally:
        inbox.close()
    return Response(task.model_dump_json(), media_type="application/json")


def _read(visitor: Visitor, id: str) -> TaskRecord:
    with visitor.services.database.read() as session:
        return tasks.show_task(Ctx(visitor.services, session, visitor.actor, visitor.translate), id)


@router.post(
    "/tasks/{id}/actions/cancel",
    name="task.cancel",
    status_code=202,
    response_model=TaskRecord,
    responses=problems(404, 409),
)
def cancel_task(id: ObjectPath, ctx: Writer, repeat: Once) -> Response:
    """Ask a task to stop; what it has done so far is undone where that is possible."""
    return repeat.once(ctx, lambda: accepted(tasks.cancel_task(ctx, id)))
