"""The dashboard: capacity and what needs attention."""

from __future__ import annotations

from app.core.inventory.records import Dashboard
from app.services.inventory import dashboard
from app.web.api.shapes import api_router, problems
from app.web.deps import Reader

router = api_router("dashboard")


@router.get("/capacity", name="capacity.show", responses=problems())
def show_capacity(ctx: Reader) -> Dashboard:
    """Hosts and VMs by state, what is used and allocated of CPU, memory and storage, and what needs attention."""
    return dashboard.show_dashboard(ctx)
