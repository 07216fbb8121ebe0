"""The inventory tree: a node's children are asked for when it is opened, so that its size costs nothing."""

from __future__ import annotations

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import look_up, visible, visible_part
from app.core.errors import InvalidInput, NotFound
from app.core.hosts.states import status_of
from app.core.ids import kind_of
from app.core.inventory.records import TreeNode
from app.core.inventory.specs import TreeQuery
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.vms.states import VmState
from app.db.models import Datacenter, Host, Network, Pool, Vm
from app.inventory.staleness import is_stale

# Children of one node that are shown; the list pages show all.
MAX_CHILDREN = 2000
_URLS = {
    ObjectKind.DATACENTER: "/hosts?datacenter=",
    ObjectKind.HOST: "/hosts/",
    ObjectKind.VM: "/vms/",
    ObjectKind.POOL: "/storage/",
    ObjectKind.NETWORK: "/networks/",
}
_LEAF: dict[str, type[Vm] | type[Pool] | type[Network]] = {
    "hosts": Vm,
    "vms": Vm,
    "storage": Pool,
    "networks": Network,
}
_MODELS: dict[ObjectKind, type[Vm] | type[Pool] | type[Network]] = {
    ObjectKind.VM: Vm,
    ObjectKind.POOL: Pool,
    ObjectKind.NETWORK: Network,
}
_PRIVILEGE = {"hosts": "vm.view", "vms": "vm.view", "storage": "pool.view", "networks": "network.view"}


def children(ctx: Ctx, query: TreeQuery) -> list[TreeNode]:
    """The children of `parent` in one of the views, by name; of the root when there is no parent.

    The view of VMs has no level of hosts: VMs stand below their datacenter. Raises InvalidInput for a parent
    that has no children.
    """
    if query.parent is None:
        return _datacenters(ctx, query.view)
    kind = kind_of(query.parent)
    if kind is ObjectKind.DATACENTER:
        if query.view == "vms":
            return _vms(ctx, Host.datacenter_id == query.parent)
        return _hosts(ctx, query.view, query.parent)
    if kind is ObjectKind.HOST:
        return _leaves(ctx, query.view, query.parent)
    raise InvalidInput("parent", N_("must be a datacenter or a host"))


def path_to(ctx: Ctx, object_id: str) -> list[TreeNode]:
    """The nodes from the root to an object, itself last. Raises NotFound."""
    kind = kind_of(object_id)
    if kind is ObjectKind.DATACENTER:
        return [node for node in _datacenters(ctx, "hosts") if node.id == object_id] or _none(ctx)
    model: type[Vm] | type[Pool] | type[Network] | None = _MODELS.get(kind) if kind else None
    host_id: str | None = object_id if kind is ObjectKind.HOST else None
    if model is not None:
        leaf = look_up(ctx, model, object_id)
        host_id = None if leaf is None else leaf.host_id
    host = None if host_id is None else look_up(ctx, Host, host_id)
    if host_id is None or host is None:
        return _none(ctx)
    path = [node for node in _datacenters(ctx, "hosts") if node.id == host.datacenter_id]
    path += _hosts(ctx, "hosts", host.datacenter_id, only=host_id)
    if model is Vm:
        path += _vms(ctx, Vm.id == object_id)
    elif model is not None:
        view = "storage" if model is Pool else "networks"
        path += [node for node in _leaves(ctx, view, host_id) if node.id == object_id]
    return path


def _none(ctx: Ctx) -> list[TreeNode]:
    raise NotFound(N_("There is no such object in the tree."))


def _datacenters(ctx: Ctx, view: str) -> list[TreeNode]:
    if view in ("hosts", "vms"):
        count = sa.func.coalesce(sa.func.sum(visible_part(ctx, Host.vm_count, "vm.view")), 0)
        query = sa.select(Datacenter.id, Datacenter.name, count, sa.func.count(Host.id))
        query = query.outerjoin(Host, Host.datacenter_id == Datacenter.id)
    else:
        leaf = _LEAF[view]
        counted = sa.select(leaf.host_id, sa.func.count().label("leaves")).group_by(leaf.host_id)
        counts = visible(ctx, counted, leaf, _PRIVILEGE[view]).subquery()
        total = sa.func.coalesce(sa.func.sum(counts.c.leaves), 0)
        query = sa.select(Datacenter.id, Datacenter.name, total, sa.func.count(Host.id))
        query = query.outerjoin(Host, Host.datacenter_id == Datacenter.id)
        query = query.outerjoin(counts, counts.c.host_id == Host.id)
    query = query.group_by(Datacenter.id, Datacenter.name, Datacenter.name_key).order_by(Datacenter.name_key)
    return [
        _node(ObjectKind.DATACENTER, row[0], row[1], count=int(row[2]), children=row[3] > 0)
        for row in ctx.session.execute(visible(ctx, query, Datacenter, "datacenter.view"))
    ]


def _hosts(ctx: Ctx, view: str, datacenter_id: str, only: str | None = None) -> list[TreeNode]:
    count: sa.ColumnElement[int] | sa.ScalarSelect[int] = visible_part(ctx, Host.vm_count, "vm.view")
    if view in ("storage", "networks"):
        leaf = _LEAF[view]
        counted = sa.select(sa.func.count(leaf.id)).where(leaf.host_id == Host.id)
        count = visible(ctx, counted, leaf, _PRIVILEGE[view]).scalar_subquery()
    query = sa.select(Host.id, Host.name, Host.connection, Host.observed_at, count, Host.admin_state)
    query = (
        query.where(Host.datacenter_id == datacenter_id).order_by(Host.name_key, Host.id).limit(MAX_CHILDREN)
    )
    if only is not None:
        query = query.where(Host.id == only)
    return [
        _node(
            ObjectKind.HOST,
            row[0],
            row[1],
            state=status_of(row[2], row[5]),
            stale=is_stale(ctx, row[2], row[3]),
            count=row[4],
            children=row[4] > 0,
        )
        for row in ctx.session.execute(visible(ctx, query, Host, "host.view"))
    ]


def _leaves(ctx: Ctx, view: str, host_id: str) -> list[TreeNode]:
    if view in ("hosts", "vms"):
        return _vms(ctx, Vm.host_id == host_id)
    leaf: type[Vm] | type[Pool] | type[Network] = _LEAF[view]
    kind = ObjectKind.POOL if view == "storage" else ObjectKind.NETWORK
    state = Pool.state if view == "storage" else sa.case((Network.active, "running"), else_="inactive")
    query = sa.select(leaf.id, leaf.name, state, Host.connection, Host.observed_at)
    query = query.join(Host, Host.id == leaf.host_id).where(leaf.host_id == host_id)
    query = query.order_by(leaf.name, leaf.id).limit(MAX_CHILDREN)
    return [
        _node(kind, row[0], row[1], state=row[2], stale=is_stale(ctx, row[3], row[4]))
        for row in ctx.session.execute(visible(ctx, query, leaf, _PRIVILEGE[view]))
    ]


def _vms(ctx: Ctx, where: sa.ColumnElement[bool]) -> list[TreeNode]:
    query = sa.select(Vm.id, Vm.name, Vm.state, Host.connection, Host.observed_at)
    query = (
        query.join(Host, Host.id == Vm.host_id).where(where).order_by(Vm.name_key, Vm.id).limit(MAX_CHILDREN)
    )
    rows = ctx.session.execute(visible(ctx, query, Vm, "vm.view")).all()
    return [
        _node(
            ObjectKind.VM,
            row[0],
            row[1],
            state=row[2],
            stale=is_stale(ctx, row[3], row[4]) or row[2] == VmState.MISSING,
        )
        for row in rows
    ]


def _node(
    kind: ObjectKind,
    id_: str,
    name: str,
    *,
    state: str | None = None,
    stale: bool = False,
    count: int | None = None,
    children: bool = False,
) -> TreeNode:
    return TreeNode(
        id=id_,
        kind=kind,
        name=name,
        url=_URLS[kind] + id_,
        state=state,
        stale=stale,
        count=count,
        children=children,
    )
