"""What a host can give to VMs: machine types, CPU models, firmware, buses."""

from __future__ import annotations

from app.core.hosts.records import HostCapabilitiesRecord
from app.services.hosts import capabilities
from app.web.api.shapes import ObjectPath, api_router, problems
from app.web.deps import Reader

router = api_router("hosts")


@router.get("/hosts/{id}/capabilities", name="host.capabilities", responses=problems(404))
def show_capabilities(id: ObjectPath, ctx: Reader) -> HostCapabilitiesRecord:
    """What a host can give to VMs: machine types, CPU models, firmware, buses."""
    return capabilities.show_capabilities(ctx, id)
