"""VMs: lists, one VM with all that is known, what people own of it, and the power verbs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from app.access import audit
from app.access.context import Ctx
from app.access.find import find, ref, visible
from app.access.paging import Order, holds, page
from app.access.row_versions import check_version
from app.core.errors import Conflict, NotFound
from app.core.messages import N_
from app.core.notices import SCREENSHOT_WANTED, TREE
from app.core.records import Page
from app.core.vms.records import VmDetail, VmRecord
from app.core.vms.specs import VmPatch, VmQuery
from app.core.vms.states import VmState
from app.db.models import Host, Tag, Vm, VmDefinition, VmScreenshot
from app.db.session import unindexed
from app.inventory import condition_rows
from app.inventory.staleness import stale_hosts
from app.inventory.vms.search_text import vm_search_text
from app.services.vms import power
from app.services.vms.records import COLUMNS, detail_of, records_of

SORT_KEYS = Order(
    {
        "name": Vm.name_key,
        "state": Vm.state,
        "host": Host.name_key,
        "cpu": Vm.cpu_percent,
        "memory": Vm.memory_bytes,
        "memory_used": Vm.memory_used_bytes,
        "vcpus": Vm.vcpus,
        "disk": Vm.disk_bytes,
        "state_since": Vm.state_since,
    },
    default="name",
    unique=Vm.id,
)


def list_vms(ctx: Ctx, params: VmQuery) -> Page[VmRecord]:
    """The VMs that pass the filters. Raises InvalidInput for an unknown sort or a bad cursor."""
    filters = _filters(ctx, params)
    query = visible(ctx, sa.select(*COLUMNS).join(Host, Host.id == Vm.host_id).where(*filters), Vm, "vm.view")
    counted = sa.select(Vm.id)
    if params.datacenter or params.stale is not None:
        counted = counted.join(Host, Host.id == Vm.host_id)
    return page(
        ctx,
        query,
        params,
        SORT_KEYS,
        lambda rows: records_of(ctx, rows),
        counted=visible(ctx, counted.where(*filters), Vm, "vm.view"),
    )


def _filters(ctx: Ctx, query: VmQuery) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if query.state:
        # Beside a text, of which every row is searched, the index of states would only read the rows one by one.
        column = unindexed(Vm.state) if query.q else Vm.state
        found.append(column.in_([state.value for state in query.state]))
    if query.host:
        found.append(Vm.host_id == query.host)
    if query.datacenter:
        found.append(Host.datacenter_id == query.datacenter)
    if query.tag:
        found.append(Vm.id.in_(sa.select(Tag.object_id).where(Tag.name == query.tag)))
    if query.stale is not None:
        found.append(stale_hosts(ctx) if query.stale else sa.not_(stale_hosts(ctx)))
    if query.uuid:
        found.append(Vm.uuid == query.uuid.lower())
    if query.name:
        found.append(Vm.name == query.name)
    if query.q:
        found.append(holds(Vm.search_text, query.q))
    return found


def vms_by_id(ctx: Ctx, ids: Collection[str]) -> list[VmRecord]:
    """These VMs, in no order, without those that are gone; for live updates of lists."""
    query = sa.select(*COLUMNS).join(Host, Host.id == Vm.host_id).where(Vm.id.in_(ids))
    return records_of(ctx, list(ctx.session.execute(visible(ctx, query, Vm, "vm.view"))))


def show_vm(ctx: Ctx, vm_id: str) -> VmDetail:
    """One VM with all that is known, and what can be done with it. Raises NotFound."""
    query = sa.select(
        Vm,
        Host,
        VmDefinition.parsed,
        VmDefinition.read_at,
        VmScreenshot.taken_at,
        VmDefinition.pending,
        VmDefinition.saved_parsed,
    )
    query = query.join(Host, Host.id == Vm.host_id)
    query = query.outerjoin(VmDefinition, VmDefinition.vm_id == Vm.id).outerjoin(
        VmScreenshot, VmScreenshot.vm_id == Vm.id
    )
    row = ctx.session.execute(visible(ctx, query.where(Vm.id == vm_id), Vm, "vm.view")).one_or_none()
    if row is None:
        raise NotFound(N_("There is no such VM."))
    vm, host, parsed, read_at, screenshot_at, pending, saved = row
    record = records_of(ctx, [tuple(_column(vm, host, column) for column in COLUMNS)])[0]
    actions = power.allowed_verbs(ctx, vm, host, record)
    return detail_of(
        ctx, vm, host, record, actions, parsed or {}, read_at, screenshot_at, pending or (), saved
    )


def _column(vm: Vm, host: Host, column: InstrumentedAttribute[Any]) -> object:
    return getattr(host if column.class_ is Host else vm, column.key)


def update_vm(ctx: Ctx, vm_id: str, patch: VmPatch, expected_version: int | None = None) -> VmDetail:
    """Change tags or notes. Raises EditConflict when somebody else did in between."""
    vm = find(ctx, Vm, vm_id, "vm.annotate", lock=True)
    check_version(vm, expected_version)
    if patch.notes is not None:
        vm.notes = patch.notes
    if patch.tags is not None:
        tags = list(dict.fromkeys(patch.tags))
        ctx.session.execute(sa.delete(Tag).where(Tag.object_id == vm.id))
        ctx.session.add_all(Tag(object_id=vm.id, name=name) for name in tags)
        vm.tags = tags
        vm.search_text = _search_text(ctx, vm)
    vm.version += 1
    audit.record(ctx, "vm.update", target=ref(vm), fields=", ".join(sorted(patch.model_fields_set)))
    ctx.notify(vm.id)
    ctx.session.flush()
    return show_vm(ctx, vm.id)


def _search_text(ctx: Ctx, vm: Vm) -> str:
    parsed = ctx.session.scalar(sa.select(VmDefinition.parsed).where(VmDefinition.vm_id == vm.id))
    macs = [nic["mac"] for nic in (parsed or {}).get("nics", ())]
    return vm_search_text(vm.name, vm.uuid, vm.title, macs, vm.addresses, vm.guest_hostname, vm.tags)


def remove_from_inventory(ctx: Ctx, vm_id: str) -> None:
    """Remove a missing VM from the inventory. Raises Conflict while its host still has it."""
    vm = find(ctx, Vm, vm_id, "vm.configure", lock=True)
    if vm.state != VmState.MISSING:
        raise Conflict(
            N_("The VM is still on its host."),
            hint=N_("Only a VM that its host does not list any more can be removed from the inventory."),
            code="vm_present",
        )
    ctx.session.execute(sa.delete(Tag).where(Tag.object_id == vm.id))
    condition_rows.forget(ctx.session, vm.id)
    ctx.session.delete(vm)
    audit.record(ctx, "vm.remove-from-inventory", target=ref(vm))
    ctx.notify(TREE, vm.id, vm.host_id)


def xml_of(ctx: Ctx, vm_id: str) -> str:
    """The VM's XML as last read. Raises NotFound, NotAllowed."""
    vm = find(ctx, Vm, vm_id, "vm.view-xml")
    xml: str | None = ctx.session.scalar(sa.select(VmDefinition.xml).where(VmDefinition.vm_id == vm.id))
    if xml is None:
        raise NotFound(N_("The definition of the VM was not read yet."))
    return xml


def screenshot_of(ctx: Ctx, vm_id: str) -> VmScreenshot | None:
    """The last screenshot, if there is one. Asking for it makes the engine take a new one. Raises NotFound, NotAllowed."""
    vm = find(ctx, Vm, vm_id, "vm.console")
    ctx.services.hub.publish([SCREENSHOT_WANTED + vm.id])
    return ctx.session.get(VmScreenshot, vm.id)
