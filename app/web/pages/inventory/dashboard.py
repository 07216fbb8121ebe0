"""The view: the first page."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request
from starlette.responses import Response

from app.access.context import Ctx
from app.core.inventory.records import Dashboard
from app.services.inventory import dashboard
from app.web.deps import Reader, SignedRouter
from app.web.pages.rendering.render import render

router = SignedRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class DashboardPage:
    """How many hosts and VMs there are, in any state."""

    view: Dashboard

    @property
    def host_count(self) -> int:
        """Hosts in any state."""
        return sum(self.view.hosts.values())

    @property
    def vm_count(self) -> int:
        """VMs in any state."""
        return sum(self.view.vms.values())


@router.get("/")
def show_dashboard(request: Request, ctx: Reader) -> Response:
    """How much there is, how much is used, and what needs a look."""
    return _draw(request, ctx, "inventory/dashboard.html")


@router.get("/dashboard/body")
def overview_part(request: Request, ctx: Reader) -> Response:
    """The same without the page around it, for live updates."""
    return _draw(request, ctx, "inventory/_dashboard.html")


def _draw(request: Request, ctx: Ctx, template: str) -> Response:
    view = dashboard.show_dashboard(ctx)
    return render(request, ctx, template, view=view, page=DashboardPage(view))
