"""Traffic filters of hosts: shown as last read, made, changed and deleted by tasks. Those of libvirt are shown only."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import undefer

from app.access.context import Ctx
from app.access.paging import Order, mentions, page
from app.core.errors import Conflict, EditConflict, InvalidInput, NotFound
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.networks.nwfilters import (
    BUILT_IN,
    FilterDetail,
    FilterPatch,
    FilterPlan,
    FilterQuery,
    FilterRecord,
    FilterSpec,
)
from app.core.records import Page, Ref
from app.core.tasks.records import TaskRecord
from app.db.models import Filter, Host, Vm, VmDefinition
from app.hypervisor.xml.nwfilters import read_plan
from app.inventory.staleness import is_stale
from app.services.hosts.checks import require_workable
from app.services.networks.networks import in_use
from app.tasks import tasks

ORDER = Order({"name": Filter.name, "host": Host.name_key}, default="name", unique=Filter.id)


def list_filters(ctx: Ctx, asked: FilterQuery) -> Page[FilterRecord]:
    """The traffic filters of all hosts, or of one."""
    query = ctx.visible(sa.select(Filter, Host).join(Host, Host.id == Filter.host_id), "network.view")
    if asked.host:
        query = query.where(Filter.host_id == asked.host)
    if asked.name is not None:
        query = query.where(Filter.name == asked.name)
    if asked.built_in is not None:
        known = Filter.name.in_(sorted(BUILT_IN))
        query = query.where(known if asked.built_in else sa.not_(known))
    if asked.q:
        query = query.where(mentions((Filter.name,), asked.q))
    return page(ctx, query, asked, ORDER, lambda rows: [_record(ctx, *row) for row in rows])


def show_filter(ctx: Ctx, filter_id: str) -> FilterDetail:
    """One traffic filter with its rules and users. Raises NotFound."""
    found, host = _row(ctx, filter_id)
    plan, kept = read_plan(found.xml)
    return FilterDetail(
        **_record(ctx, found, host).model_dump(),
        plan=plan,
        kept_rules=kept,
        users=_users(ctx, found),
        referenced_by=_referrers(ctx, found),
        version=version_of(found),
    )


def xml_of(ctx: Ctx, filter_id: str) -> str:
    """The definition as last read. Raises NotFound."""
    return str(_row(ctx, filter_id)[0].xml)


def version_of(found: Filter) -> int:
    """A number that changes with the definition."""
    return int.from_bytes(hashlib.sha256(found.xml.encode(errors="surrogatepass")).digest()[:6])


def create_filter(ctx: Ctx, spec: FilterSpec) -> TaskRecord:
    """Ask for a new traffic filter. Raises InvalidInput naming the field, Conflict, Busy."""
    ctx.require("network.edit")
    host = ctx.session.scalar(ctx.visible(sa.select(Host).where(Host.id == spec.host_id), "host.view"))
    if host is None:
        raise InvalidInput("host_id", N_("names no host that you can see"))
    require_workable(ctx, host)
    plan = FilterPlan.model_validate(spec.model_dump(exclude={"host_id"}))
    taken = sa.select(Filter.id).where(Filter.host_id == host.id, Filter.name == plan.name)
    if ctx.session.scalar(taken):
        raise Conflict(
            N_("The name is taken."),
            why=N_("Host %(host)s has a traffic filter “%(name)s” already."),
            hint=N_("Choose another name."),
            code="name_taken",
            params={"host": host.name, "name": plan.name},
        )
    _check_references(ctx, host.id, plan)
    params = {"uuid": str(uuid4()), "plan": plan.model_dump(mode="json")}
    target = Ref(kind=ObjectKind.FILTER, id=new_id(ObjectKind.FILTER), name=plan.name)
    place = Ref(kind=ObjectKind.HOST, id=host.id, name=host.name)
    lock = "filter " + hashlib.sha256(f"{host.id} {plan.name}".encode()).hexdigest()
    task = tasks.enqueue(ctx, "filter.create", target=target, host=place, params=params, lock=lock)
    return tasks.record_of(ctx, task)


def change_filter(
    ctx: Ctx, filter_id: str, patch: FilterPatch, expected_version: int | None = None
) -> TaskRecord:
    """Ask for a change; interfaces that use the filter follow at once. Raises EditConflict, Conflict, InvalidInput."""
    found, host = _changeable(ctx, filter_id)
    if expected_version is not None and expected_version != version_of(found):
        raise EditConflict(
            N_("Somebody changed this in between."),
            why=N_("The version that you edited is not the current one."),
            hint=N_("Load it again and repeat your change."),
        )
    before, _ = read_plan(found.xml)
    if before is None:
        raise Conflict(
            N_("Vigie cannot edit this traffic filter."),
            why=N_("Its definition holds values that Vigie would not write."),
            hint=N_("Edit it on its host with virsh nwfilter-edit."),
            code="not_editable",
        )
    changes = patch.model_dump(exclude_none=True)
    for name in ("default_in", "default_out"):
        if changes.get(name) == "none":
            changes[name] = None
    plan = FilterPlan.model_validate(before.model_dump() | changes)
    _check_references(ctx, host.id, plan)
    digest = hashlib.sha256(found.xml.encode(errors="surrogatepass")).hexdigest()
    params = {"uuid": found.uuid, "plan": plan.model_dump(mode="json"), "digest": digest}
    return _ask(ctx, "filter.change", found, host, params)


def delete_filter(ctx: Ctx, filter_id: str) -> TaskRecord:
    """Ask for the end of a filter. Raises Conflict (filter_in_use) naming the VMs or filters that use it."""
    found, host = _changeable(ctx, filter_id)
    users, referrers = _users(ctx, found), _referrers(ctx, found)
    if users or referrers:
        why = (
            in_use(ctx, [each.name for each in users])
            if users
            else ctx.say(
                N_("Other filters count it in: %(names)s."),
                {"names": ", ".join(each.name for each in referrers[:5])},
            )
        )
        raise Conflict(
            N_("The traffic filter is in use."),
            why=why,
            hint=N_("Give them another filter, or none, first."),
            code="filter_in_use",
        )
    return _ask(ctx, "filter.delete", found, host, {"uuid": found.uuid})


def _check_references(ctx: Ctx, host_id: str, plan: FilterPlan) -> None:
    """Filters that are referred to exist on the host, and none leads back to this one."""
    rows = ctx.session.execute(sa.select(Filter.name, Filter.xml).where(Filter.host_id == host_id))
    texts: dict[str, str] = {row.name: row.xml for row in rows}
    for number, name in enumerate(plan.references):
        if name not in texts:
            raise InvalidInput(f"references.{number}", N_("names no traffic filter of this host"))
        if plan.name in _reached(name, texts):
            raise InvalidInput(f"references.{number}", N_("leads back to this filter"))


def _reached(name: str, texts: dict[str, str]) -> set[str]:
    """The filter and all that it refers to, also by way of others."""
    seen: set[str] = set()
    left = [name]
    while left:
        each = left.pop()
        if each not in seen and each in texts:
            seen.add(each)
            plan, _ = read_plan(texts[each])
            left += plan.references if plan else []
    return seen | {name}


def _users(ctx: Ctx, found: Filter) -> list[Ref]:
    """VMs of the host with an interface that names the filter, now or after their next power-off."""
    query = sa.select(Vm.id, Vm.name, VmDefinition.parsed, VmDefinition.saved_parsed)
    query = query.join(VmDefinition, VmDefinition.vm_id == Vm.id).where(Vm.host_id == found.host_id)
    users = []
    for id_, name, *parsed in ctx.session.execute(ctx.visible(query.order_by(Vm.name_key), "vm.view")):
        nics = [nic for each in parsed for nic in (each or {}).get("nics", ())]
        if any(nic.get("filter") == found.name for nic in nics):
            users.append(Ref(kind=ObjectKind.VM, id=id_, name=name))
    return users


def _referrers(ctx: Ctx, found: Filter) -> list[Ref]:
    query = sa.select(Filter.id, Filter.name, Filter.xml).where(
        Filter.host_id == found.host_id, Filter.id != found.id, Filter.xml.contains(found.name)
    )
    referrers = []
    for id_, name, xml in ctx.session.execute(ctx.visible(query.order_by(Filter.name), "network.view")):
        plan, _ = read_plan(xml)
        if plan is not None and found.name in plan.references:
            referrers.append(Ref(kind=ObjectKind.FILTER, id=id_, name=name))
    return referrers


def _record(ctx: Ctx, found: Filter, host: Host) -> FilterRecord:
    return FilterRecord(
        id=found.id,
        uuid=found.uuid,
        name=found.name,
        host_id=host.id,
        host_name=host.name,
        built_in=found.name in BUILT_IN,
        stale=is_stale(ctx, host.state, host.observed_at),
        observed_at=host.observed_at,
    )


def _row(ctx: Ctx, filter_id: str) -> tuple[Filter, Host]:
    query = sa.select(Filter, Host).join(Host, Host.id == Filter.host_id).options(undefer(Filter.xml))
    row = ctx.session.execute(ctx.visible(query.where(Filter.id == filter_id), "network.view")).one_or_none()
    if row is None:
        raise NotFound(N_("There is no such traffic filter."))
    return row[0], row[1]


def _changeable(ctx: Ctx, filter_id: str) -> tuple[Filter, Host]:
    ctx.require("network.edit")
    found, host = _row(ctx, filter_id)
    ctx.require("network.edit", found)
    require_workable(ctx, host)
    if found.name in BUILT_IN:
        raise Conflict(
            N_("This filter comes with libvirt."),
            why=N_("Other filters and hosts' own tools rely on it being as it is."),
            hint=N_("Make a filter of your own that refers to it."),
            code="built_in",
        )
    return found, host


def _ask(ctx: Ctx, kind: str, found: Filter, host: Host, params: dict[str, Any]) -> TaskRecord:
    target = Ref(kind=ObjectKind.FILTER, id=found.id, name=found.name)
    place = Ref(kind=ObjectKind.HOST, id=host.id, name=host.name)
    return tasks.record_of(ctx, tasks.enqueue(ctx, kind, target=target, host=place, params=params))
