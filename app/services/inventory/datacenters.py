"""Datacenters: the top of the inventory tree."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from app.access import audit
from app.access.context import Ctx
from app.access.find import find, ref, unrestricted, visible, visible_part
from app.access.names.unique_names import save_named
from app.access.paging import Order, contains, page
from app.access.row_versions import check_version
from app.core.errors import Conflict
from app.core.ids import new_id
from app.core.inventory.records import DatacenterRecord
from app.core.inventory.specs import DatacenterSpec
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.notices import TREE
from app.core.records import Page
from app.core.specs import ListQuery
from app.db.models import Datacenter, Host

SORT_KEYS = Order(
    {"name": Datacenter.name_key, "created_at": Datacenter.created_at}, default="name", unique=Datacenter.id
)


def list_datacenters(ctx: Ctx, params: ListQuery) -> Page[DatacenterRecord]:
    """The datacenters."""
    query = visible(ctx, sa.select(Datacenter), Datacenter, "datacenter.view")
    if params.q:
        query = query.where(contains(Datacenter.name_key, params.q))
    return page(ctx, query, params, SORT_KEYS, lambda rows: _records(ctx, [row for (row,) in rows]))


def show_datacenter(ctx: Ctx, datacenter_id: str) -> DatacenterRecord:
    """One datacenter."""
    return _records(ctx, [find(ctx, Datacenter, datacenter_id, "datacenter.view")])[0]


def create_datacenter(ctx: Ctx, spec: DatacenterSpec) -> DatacenterRecord:
    """Make an empty datacenter."""
    ctx.require("datacenter.edit")
    row = Datacenter(id=new_id(ObjectKind.DATACENTER), created_at=ctx.now, version=1)
    save_named(ctx, row, spec.name)
    return _changed(ctx, row, "datacenter.create")


def update_datacenter(
    ctx: Ctx, datacenter_id: str, spec: DatacenterSpec, expected_version: int | None = None
) -> DatacenterRecord:
    """Rename a datacenter."""
    row = find(ctx, Datacenter, datacenter_id, "datacenter.edit", lock=True)
    check_version(row, expected_version)
    row.version += 1
    save_named(ctx, row, spec.name)
    return _changed(ctx, row, "datacenter.update")


def delete_datacenter(ctx: Ctx, datacenter_id: str) -> None:
    """Remove a datacenter that has no hosts."""
    row = find(ctx, Datacenter, datacenter_id, "datacenter.edit", lock=True)
    counted = sa.select(sa.func.count()).where(Host.datacenter_id == row.id)
    hosts = ctx.session.scalar(unrestricted(counted)) or 0
    if hosts:
        raise Conflict(
            N_("The datacenter is not empty."),
            why=N_("Hosts in it: %(count)s."),
            hint=N_("Move its hosts to another datacenter first."),
            code="not_empty",
            params={"count": hosts},
        )
    ctx.session.delete(row)
    audit.record(ctx, "datacenter.delete", target=ref(row))
    ctx.notify(TREE, row.id)


def _changed(ctx: Ctx, row: Datacenter, action: str) -> DatacenterRecord:
    audit.record(ctx, action, target=ref(row))
    ctx.notify(TREE, row.id)
    return _records(ctx, [row])[0]


def _records(ctx: Ctx, rows: Sequence[Datacenter]) -> list[DatacenterRecord]:
    wanted = [row.id for row in rows]
    hosts = sa.select(
        Host.datacenter_id, sa.func.count(), sa.func.sum(visible_part(ctx, Host.vm_count, "vm.view"))
    )
    hosts = hosts.where(Host.datacenter_id.in_(wanted)).group_by(Host.datacenter_id)
    query = visible(ctx, hosts, Host, "host.view")
    counts = {item: (number, vms) for item, number, vms in ctx.session.execute(query)}
    return [
        DatacenterRecord(
            id=row.id,
            name=row.name,
            host_count=counts.get(row.id, (0, 0))[0],
            vm_count=int(counts.get(row.id, (0, 0))[1]),
            version=row.version,
        )
        for row in rows
    ]
