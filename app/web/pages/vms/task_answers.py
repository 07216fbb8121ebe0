"""Forms of a VM's pages that ask for a task."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request
from starlette.responses import Response

from app.access.context import Ctx
from app.core.messages import N_
from app.core.tasks.records import TaskRecord
from app.web.auth import Visitor
from app.web.pages.rendering.forms import Form, Shown, attempt, reading
from app.web.pages.rendering.render import go

QUEUED = N_("%(task)s: the task is queued.")
Work = Callable[[Ctx], TaskRecord]
Draw = Callable[[Request, Ctx, str, Shown], Response]


def submitted(
    request: Request, visitor: Visitor, form: Form, vm_id: str, action: str, work: Work, draw: Draw
) -> Response:
    """Ask for the task and go to the VM's hardware; what is refused is drawn with the form as it was filled in."""
    answer = attempt(visitor, form, action, work, target=vm_id)
    if isinstance(answer, Shown):
        with reading(visitor) as ctx:
            return draw(request, ctx, vm_id, answer)
    message = visitor.translate(QUEUED) % {"task": answer.title}
    return go(request, f"/vms/{vm_id}/hardware", toast=("ok", message))
