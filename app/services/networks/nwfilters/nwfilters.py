"""Network filters of hosts, shown as last read, with their users."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import find, known, visible
from app.access.paging import Order, mentions, page
from app.core.kinds import ObjectKind
from app.core.networks.nwfilters import (
    BUILT_IN,
    NwfilterDetail,
    NwfilterQuery,
    NwfilterRecord,
)
from app.core.records import Page, Ref
from app.db.models import Host, Nwfilter, Vm, VmDefinition
from app.hypervisor.xml.nwfilters import read_plan
from app.inventory.staleness import is_stale

SORT_KEYS = Order({"name": Nwfilter.name, "host": Host.name_key}, default="name", unique=Nwfilter.id)


def list_nwfilters(ctx: Ctx, params: NwfilterQuery) -> Page[NwfilterRecord]:
    """The network filters of all hosts, or of one."""
    query = visible(
        ctx, sa.select(Nwfilter, Host).join(Host, Host.id == Nwfilter.host_id), Nwfilter, "network.view"
    )
    if params.host:
        query = query.where(Nwfilter.host_id == params.host)
    if params.name is not None:
        query = query.where(Nwfilter.name == params.name)
    if params.built_in is not None:
        known = Nwfilter.name.in_(sorted(BUILT_IN))
        query = query.where(known if params.built_in else sa.not_(known))
    if params.q:
        query = query.where(mentions((Nwfilter.name,), params.q))
    return page(ctx, query, params, SORT_KEYS, lambda rows: [_record(ctx, *row) for row in rows])


def show_nwfilter(ctx: Ctx, nwfilter_id: str) -> NwfilterDetail:
    """One network filter with its rules and users. Raises NotFound."""
    found = find(ctx, Nwfilter, nwfilter_id, "network.view")
    host = known(ctx, Host, found.host_id)
    plan, kept = read_plan(found.xml)
    return NwfilterDetail(
        **_record(ctx, found, host).model_dump(),
        plan=plan,
        kept_rules=kept,
        users=users_of(ctx, found),
        referenced_by=referrers_of(ctx, found),
        version=version_of(found),
    )


def xml_of(ctx: Ctx, nwfilter_id: str) -> str:
    """The definition as last read. Raises NotFound."""
    return str(find(ctx, Nwfilter, nwfilter_id, "network.view").xml)


def version_of(found: Nwfilter) -> int:
    """A number that changes with the definition."""
    return int.from_bytes(hashlib.sha256(found.xml.encode(errors="surrogatepass")).digest()[:6])


def users_of(ctx: Ctx, found: Nwfilter) -> list[Ref]:
    """VMs of the host with an interface that names the filter, now or after their next power-off."""
    query = sa.select(Vm.id, Vm.name, VmDefinition.parsed, VmDefinition.saved_parsed)
    query = query.join(VmDefinition, VmDefinition.vm_id == Vm.id).where(Vm.host_id == found.host_id)
    users = []
    for id_, name, *parsed in ctx.session.execute(visible(ctx, query.order_by(Vm.name_key), Vm, "vm.view")):
        nics = [nic for item in parsed for nic in (item or {}).get("nics", ())]
        if any(nic.get("filter") == found.name for nic in nics):
            users.append(Ref(kind=ObjectKind.VM, id=id_, name=name))
    return users


def referrers_of(ctx: Ctx, found: Nwfilter) -> list[Ref]:
    """Filters of the host that refer to this one."""
    query = sa.select(Nwfilter.id, Nwfilter.name, Nwfilter.xml).where(
        Nwfilter.host_id == found.host_id, Nwfilter.id != found.id, Nwfilter.xml.contains(found.name)
    )
    referrers = []
    for id_, name, xml in ctx.session.execute(
        visible(ctx, query.order_by(Nwfilter.name), Nwfilter, "network.view")
    ):
        plan, _ = read_plan(xml)
        if plan is not None and found.name in plan.references:
            referrers.append(Ref(kind=ObjectKind.NWFILTER, id=id_, name=name))
    return referrers


def _record(ctx: Ctx, found: Nwfilter, host: Host) -> NwfilterRecord:
    return NwfilterRecord(
        id=found.id,
        uuid=found.uuid,
        name=found.name,
        host_id=host.id,
        host_name=host.name,
        built_in=found.name in BUILT_IN,
        stale=is_stale(ctx, host.connection, host.observed_at),
        observed_at=host.observed_at,
    )
