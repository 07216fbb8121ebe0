"""Every part that pages are made of, in every state: for a look, and for the screenshot tests."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import Request
from starlette.responses import Response

from app.core.hosts.states import HostState
from app.core.records import Problem
from app.core.tasks.states import TaskState
from app.core.vms.records import VerbRecord
from app.core.vms.states import VmState
from app.web.deps import Reader, SignedRouter
from app.web.pages.rendering.render import render

router = SignedRouter(include_in_schema=False)

# Fixed, so that two pictures of the gallery are alike.
AT = datetime(2026, 1, 31, 14, 3, 21, tzinfo=UTC)
PROBLEM = Problem(
    type="urn:vigie:problem:busy",
    title="Another task holds the VM.",
    status=409,
    code="busy",
    why="“Shut down” is running.",
    hint="Wait for its end, or cancel it.",
)
VERBS = [
    VerbRecord(verb="start", title="Start", allowed=True, confirm=False),
    VerbRecord(verb="reset", title="Reset", allowed=True, confirm=True),
    VerbRecord(
        verb="pause",
        title="Pause",
        allowed=False,
        confirm=False,
        code="wrong_state",
        why="The VM is shutoff; this needs: running.",
    ),
]


@router.get("/gallery")
def gallery(request: Request, ctx: Reader) -> Response:
    """The gallery of components."""
    return render(
        request,
        ctx,
        "gallery/show.html",
        vm_states=list(VmState),
        host_states=list(HostState),
        task_states=list(TaskState),
        at=AT,
        problem=PROBLEM,
        verbs=VERBS,
    )
