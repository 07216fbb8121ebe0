"""What hosts can give to VMs."""

from __future__ import annotations

from dataclasses import asdict

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import visible
from app.core.errors import NotFound
from app.core.messages import N_
from app.core.vms.create import OffersRecord
from app.db.models import Host, Offers
from app.services.vms.create.config_builder import OFFERS


def show_offers(ctx: Ctx, host_id: str) -> OffersRecord:
    """What a host can give to VMs. Raises NotFound for no such host, and before it was read."""
    query = sa.select(Offers).join(Host, Host.id == Offers.host_id).where(Host.id == host_id)
    row: Offers | None = ctx.session.scalar(visible(ctx, query, Host, "host.view"))
    if row is None:
        raise NotFound(N_("What this host can give to VMs is not known yet."))
    offers = asdict(OFFERS.validate_python(row.offers))
    offers.pop("machine")
    return OffersRecord(host_id=host_id, read_at=row.read_at, **offers)
