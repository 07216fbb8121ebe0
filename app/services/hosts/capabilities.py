"""What hosts can give to VMs."""

from __future__ import annotations

from dataclasses import asdict

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import visible
from app.core.errors import NotFound
from app.core.hosts.records import HostCapabilitiesRecord
from app.core.messages import N_
from app.db.models import Host, HostCapabilities
from app.services.vms.create.config_builder import HOST_CAPABILITIES


def show_capabilities(ctx: Ctx, host_id: str) -> HostCapabilitiesRecord:
    """What a host can give to VMs. Raises NotFound for no such host, and before it was read."""
    query = (
        sa.select(HostCapabilities).join(Host, Host.id == HostCapabilities.host_id).where(Host.id == host_id)
    )
    row: HostCapabilities | None = ctx.session.scalar(visible(ctx, query, Host, "host.view"))
    if row is None:
        raise NotFound(N_("What this host can give to VMs is not known yet."))
    capabilities = asdict(HOST_CAPABILITIES.validate_python(row.capabilities))
    capabilities.pop("machine")
    return HostCapabilitiesRecord(host_id=host_id, read_at=row.read_at, **capabilities)
