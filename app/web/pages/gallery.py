"""Every part that pages are made of, in every state: for a look, and for the screenshot tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import Request
from starlette.responses import Response

from app.core.hosts.states import HostStatus
from app.core.inventory.conditions import ConditionRecord
from app.core.kinds import ObjectKind, Severity
from app.core.messages import N_
from app.core.records import Problem, Ref, UsageRecord
from app.core.tasks.records import TaskError, TaskRecord
from app.core.tasks.states import TaskState
from app.core.vms.records import VerbRecord
from app.core.vms.states import VmState
from app.services.vms.power.verbs import Shutdown
from app.web.deps import Reader, SignedRouter
from app.web.pages.rendering.components import Few
from app.web.pages.rendering.forms import Shown
from app.web.pages.rendering.render import render
from app.web.pages.vms.xml_view import pieces

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
CONDITIONS = [
    ConditionRecord(
        code=code, severity=severity, title=title, text=PROBLEM.title, hint=str(PROBLEM.hint), since=AT
    )
    for code, severity, title in (
        ("disk_missing", Severity.ERROR, "Disk missing"),
        ("read_only", Severity.WARNING, "Read-only"),
    )
]
FAILED = TaskRecord(
    id="task_aaaaaaaaaaaaaaaa",
    kind=Shutdown.kind,
    title=Shutdown.title,
    state=TaskState.FAILED,
    progress=None,
    actor="alice",
    created_at=AT,
    cancellable=False,
    error=TaskError(code="busy", title=PROBLEM.title, why=PROBLEM.why, hint=PROBLEM.hint),
)
COLUMNS = [("name", N_("Name"), True), ("cpu", N_("CPU"), False)]


@dataclass(frozen=True, slots=True)
class SampleRow:
    """A row with every kind of cell."""

    name: str
    ref: Ref | None
    tags: tuple[str, ...]
    few: Few[str]
    usage: UsageRecord
    stale: bool
    memory_bytes: int = 1 << 30
    observed_at: datetime = AT


ROWS = [
    SampleRow(
        "web-01",
        Ref(kind=ObjectKind.VM, id="vm_aaaaaaaaaaaaaaaa", name="web-01"),
        ("web", "prod", "paris"),
        Few(("a",), 2),
        UsageRecord(cpu_percent=93, memory_used_bytes=600 << 20),
        stale=True,
    ),
    SampleRow("db-primary", None, (), Few((), 0), UsageRecord(), stale=False),
]


@router.get("/gallery")
def gallery(request: Request, ctx: Reader) -> Response:
    """The gallery of components."""
    return render(
        request,
        ctx,
        "gallery/show.html",
        vm_states=list(VmState),
        host_states=list(HostStatus),
        task_states=list(TaskState),
        at=AT,
        problem=PROBLEM,
        verbs=VERBS,
        menu_verbs=[verb for verb in VERBS if not verb.confirm],
        conditions=CONDITIONS,
        failed=FAILED,
        columns=COLUMNS,
        rows=ROWS,
        blank=Shown(),
        wrong={name: ctx.translate(N_("Choose one of the list.")) for name in ("g3", "g6", "g8")},
        xml=list(pieces("<disk type='file'><!-- vda --><target dev='vda'/></disk>")),
    )
