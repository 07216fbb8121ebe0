"""MAC addresses that more than one VM of the fleet has: their traffic goes astray once they share a network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import visible
from app.access.paging import Order, holds, page
from app.core.kinds import ObjectKind
from app.core.networks.records import MacConflict, MacUser
from app.core.records import Page, Ref
from app.core.specs import ListQuery
from app.db.models import Host, Vm, VmDefinition
from app.db.session import folded
from app.services.networks.definition_nics import each_nic


def list_mac_conflicts(ctx: Ctx, params: ListQuery) -> Page[MacConflict]:
    """The addresses, each with its VMs. Looks through all definitions: not for pages that are looked at often."""
    cards = _cards(ctx)
    query = (
        sa.select(cards.c.mac, sa.func.count(cards.c.vm_id.distinct()).label("users"))
        .group_by(cards.c.mac)
        .having(sa.func.count(cards.c.vm_id.distinct()) > 1)
    )
    if params.q:
        query = query.where(holds(folded(cards.c.mac), params.q))
    found = query.subquery()
    order = Order({"mac": found.c.mac, "users": found.c.users}, default="mac", unique=found.c.mac)
    without_q = params.model_copy(update={"q": None})
    return page(ctx, sa.select(found.c.mac), without_q, order, lambda rows: _records(ctx, cards, rows))


def _cards(ctx: Ctx) -> sa.CTE:
    """MAC addresses and VMs, a row for each interface."""
    rows, part = each_nic(ctx, VmDefinition.parsed)
    mac = part("mac")
    lower = sa.func.lower(mac, type_=sa.Text)
    query = sa.select(lower.label("mac"), VmDefinition.vm_id).select_from(VmDefinition).join(rows, sa.true())
    query = query.join(Vm, Vm.id == VmDefinition.vm_id).where(mac != "")
    return visible(ctx, query, Vm, "vm.view").cte("cards")


def _records(ctx: Ctx, cards: sa.CTE, rows: Sequence[tuple[str, *tuple[object, ...]]]) -> list[MacConflict]:
    macs = [row[0] for row in rows]
    users: dict[str, dict[str, MacUser]] = defaultdict(dict)
    query = sa.select(cards.c.mac, Vm.id, Vm.name, Host.id, Host.name).join(Vm, Vm.id == cards.c.vm_id)
    query = query.join(Host, Host.id == Vm.host_id).where(cards.c.mac.in_(macs)).order_by(Vm.name_key, Vm.id)
    for mac, vm_id, vm, host_id, host in ctx.session.execute(visible(ctx, query, Vm, "vm.view")):
        users[mac][vm_id] = MacUser(
            vm=Ref(kind=ObjectKind.VM, id=vm_id, name=vm),
            host=Ref(kind=ObjectKind.HOST, id=host_id, name=host),
        )
    return [MacConflict(mac=mac, users=list(users[mac].values())) for mac in macs]
