"""What there is to make VMs from: systems that osinfo-db knows, and what hosts offer."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date

import sqlalchemy as sa

from app.core.casefold import fold
from app.core.errors import NotFound
from app.core.library.os_variants import System
from app.core.messages import N_
from app.core.vms.create import OffersRecord, SystemList, SystemRecord
from app.db.models import Host, Offers
from app.hypervisor.osinfo import systems
from app.services.context import Ctx
from app.services.planning import OFFERS

MOST = 1000


def list_systems(ctx: Ctx, text: str = "") -> SystemList:
    """Systems whose name or id holds the text, newest first."""
    ctx.require("vm.create")
    wanted = fold(text.strip())
    known = {each.short_id: each for each in systems().values()}.values()
    found = [each for each in known if wanted in fold(f"{each.name}\n{each.short_id}")]
    found.sort(key=lambda each: (each.released or date.min, each.name), reverse=True)
    return SystemList(items=tuple(_system(each) for each in found[:MOST]))


def show_offers(ctx: Ctx, host_id: str) -> OffersRecord:
    """What a host can give to VMs. Raises NotFound for no such host, and before it was read."""
    query = sa.select(Offers).join(Host, Host.id == Offers.host_id).where(Host.id == host_id)
    row: Offers | None = ctx.session.scalar(ctx.visible(query, "host.view"))
    if row is None:
        raise NotFound(N_("What this host can give to VMs is not known yet."))
    offers = asdict(OFFERS.validate_python(row.offers))
    offers.pop("machine")
    return OffersRecord(host_id=host_id, read_at=row.read_at, **offers)


def _system(system: System) -> SystemRecord:
    return SystemRecord(
        id=system.short_id,
        name=system.name,
        family=system.family,
        released=system.released,
        memory_bytes=system.memory_bytes,
        disk_bytes=system.disk_bytes,
    )
