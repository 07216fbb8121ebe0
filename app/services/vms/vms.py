"""VMs: lists, one VM with all that is known, what people own of it, and the power verbs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from app.access import audit
from app.access.context import Ctx
from app.access.paging import Order, holds, page
from app.access.unique_names import check_version
from app.core.errors import Conflict, NotFound, VigieError
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.notices import SCREEN, TREE
from app.core.problems import problem_of
from app.core.records import Page, Ref
from app.core.tasks.records import BulkRecord, BulkRefusal, TaskBrief, TaskRecord
from app.core.vms.actions import VM_ACTIONS, Refusal, VmVerb
from app.core.vms.records import VerbRecord, VmDetail, VmRecord
from app.core.vms.specs import ActionOptions, BulkAction, VmPatch, VmQuery
from app.core.vms.states import VmState
from app.db.models import Host, Tag, Task, Vm, VmDefinition, VmScreen
from app.db.session import unindexed
from app.hypervisor.xml.domains.disks import layers, written_alone, written_together
from app.hypervisor.xml.domains.read import UnreadableXml
from app.inventory import conditions
from app.inventory.staleness import stale_hosts
from app.inventory.vms.definitions import vm_search_text
from app.services.storage.volume_locations import Locks, path_locks, start_locks
from app.services.vms.host_access import HOST_ACCESS
from app.services.vms.records import COLUMNS, detail_of, records_of, refusal
from app.tasks import tasks

STARTS = frozenset({VmVerb.START, VmVerb.RESTORE})
ORDER = Order(
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


def list_vms(ctx: Ctx, asked: VmQuery) -> Page[VmRecord]:
    """The VMs that pass the filters. Raises InvalidInput for an unknown sort or a bad cursor."""
    conditions = _conditions(ctx, asked)
    query = ctx.visible(sa.select(*COLUMNS).join(Host, Host.id == Vm.host_id).where(*conditions), "vm.view")
    counted = sa.select(Vm.id)
    if asked.datacenter or asked.stale is not None:
        counted = counted.join(Host, Host.id == Vm.host_id)
    return page(
        ctx,
        query,
        asked,
        ORDER,
        lambda rows: records_of(ctx, rows),
        counted=ctx.visible(counted.where(*conditions), "vm.view"),
    )


def _conditions(ctx: Ctx, asked: VmQuery) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if asked.state:
        # Beside a text, of which every row is searched, the index of states would only read the rows one by one.
        column = unindexed(Vm.state) if asked.q else Vm.state
        found.append(column.in_([state.value for state in asked.state]))
    if asked.host:
        found.append(Vm.host_id == asked.host)
    if asked.datacenter:
        found.append(Host.datacenter_id == asked.datacenter)
    if asked.tag:
        found.append(Vm.id.in_(sa.select(Tag.object_id).where(Tag.name == asked.tag)))
    if asked.stale is not None:
        found.append(stale_hosts(ctx) if asked.stale else sa.not_(stale_hosts(ctx)))
    if asked.uuid:
        found.append(Vm.uuid == asked.uuid.lower())
    if asked.name:
        found.append(Vm.name == asked.name)
    if asked.q:
        found.append(holds(Vm.search_text, asked.q))
    return found


def vms_by_id(ctx: Ctx, ids: Collection[str]) -> list[VmRecord]:
    """These VMs, in no order, without those that are gone; for live updates of lists."""
    query = sa.select(*COLUMNS).join(Host, Host.id == Vm.host_id).where(Vm.id.in_(ids))
    return records_of(ctx, list(ctx.session.execute(ctx.visible(query, "vm.view"))))


def show_vm(ctx: Ctx, vm_id: str) -> VmDetail:
    """One VM with all that is known, and what can be done with it. Raises NotFound."""
    query = sa.select(
        Vm,
        Host,
        VmDefinition.parsed,
        VmDefinition.read_at,
        VmScreen.taken_at,
        VmDefinition.pending,
        VmDefinition.saved_parsed,
    )
    query = query.join(Host, Host.id == Vm.host_id)
    query = query.outerjoin(VmDefinition, VmDefinition.vm_id == Vm.id).outerjoin(
        VmScreen, VmScreen.vm_id == Vm.id
    )
    row = ctx.session.execute(ctx.visible(query.where(Vm.id == vm_id), "vm.view")).one_or_none()
    if row is None:
        raise NotFound(N_("There is no such VM."))
    vm, host, parsed, read_at, screen_at, pending, saved = row
    record = records_of(ctx, [tuple(_column(vm, host, column) for column in COLUMNS)])[0]
    actions = _actions(ctx, vm, host, record)
    return detail_of(ctx, vm, host, record, actions, parsed or {}, read_at, screen_at, pending or (), saved)


def _column(vm: Vm, host: Host, column: Any) -> Any:
    return getattr(host if column.class_ is Host else vm, column.key)


def _actions(ctx: Ctx, vm: Vm, host: Host, record: VmRecord) -> list[VerbRecord]:
    return [
        _verb(ctx, verb, vm, host, record) for verb in VM_ACTIONS if ctx.can(VM_ACTIONS[verb].privilege, vm)
    ]


def _verb(ctx: Ctx, verb: VmVerb, vm: Vm, host: Host, record: VmRecord) -> VerbRecord:
    action = VM_ACTIONS[verb]
    refused = refusal(verb, vm, host.state, host.mode)
    code = why = hint = None
    if refused is not None:
        code, why, hint = refused.code, ctx.say(refused.reason, refused.params), ctx.translate(refused.hint)
    elif record.task is not None and not tasks.gives_way(record.task, verb):
        error = tasks.busy(ctx, record.task)
        code = error.code
        _, why, hint = error.texts(ctx.translate)
    return VerbRecord(
        verb=verb.value,
        title=ctx.translate(action.title),
        allowed=code is None,
        confirm=action.confirm,
        code=code,
        why=why,
        hint=hint,
    )


def update_vm(ctx: Ctx, vm_id: str, patch: VmPatch, expected_version: int | None = None) -> VmDetail:
    """Change tags or notes. Raises EditConflict when somebody else did in between."""
    vm = find_vm(ctx, vm_id, "vm.annotate", lock=True)
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
    audit.record(ctx, "vm.update", target=_ref(vm), fields=", ".join(sorted(patch.model_fields_set)))
    ctx.notify(vm.id)
    ctx.session.flush()
    return show_vm(ctx, vm.id)


def _search_text(ctx: Ctx, vm: Vm) -> str:
    parsed = ctx.session.scalar(sa.select(VmDefinition.parsed).where(VmDefinition.vm_id == vm.id))
    macs = [nic["mac"] for nic in (parsed or {}).get("nics", ())]
    return vm_search_text(vm.name, vm.uuid, vm.title, macs, vm.addresses, vm.guest_hostname, vm.tags)


def forget_vm(ctx: Ctx, vm_id: str) -> None:
    """Remove a missing VM from the inventory. Raises Conflict while its host still has it."""
    vm = find_vm(ctx, vm_id, "vm.configure", lock=True)
    if vm.state != VmState.MISSING:
        raise Conflict(
            N_("The VM is still on its host."),
            hint=N_("Only a VM that its host does not list any more can be forgotten."),
            code="vm_present",
        )
    ctx.session.execute(sa.delete(Tag).where(Tag.object_id == vm.id))
    conditions.forget(ctx.session, vm.id)
    ctx.session.delete(vm)
    audit.record(ctx, "vm.forget", target=_ref(vm))
    ctx.notify(TREE, vm.id, vm.host_id)


def act(ctx: Ctx, vm_id: str, verb: VmVerb, options: ActionOptions) -> TaskRecord:
    """Ask for a power verb; the answer is the task. Raises Conflict with the reason, Busy with the other task."""
    vm = find_vm(ctx, vm_id, VM_ACTIONS[verb].privilege)
    host = ctx.session.get_one(Host, vm.host_id)
    refused = refusal(verb, vm, host.state, host.mode)
    holder = tasks.holders(ctx, [vm.id]).get(vm.id)
    _free(ctx, verb, holder, refused)
    task = _enqueue(ctx, verb, _ref(vm), _host_ref(host), options)
    return tasks.record_of(ctx, task)


def act_many(ctx: Ctx, asked: BulkAction) -> BulkRecord:
    """Ask for one verb on many VMs: a task for each that allows it, a reason for each other."""
    ctx.require(VM_ACTIONS[asked.verb].privilege)
    batch_id = new_id(ObjectKind.TASK)
    options = ActionOptions.model_validate(asked.model_dump(include=set(ActionOptions.model_fields)))
    rows = _rows(ctx, asked.ids)
    held = tasks.holders(ctx, list(rows))
    started: list[TaskRecord] = []
    refused: list[BulkRefusal] = []
    for vm_id in sorted(set(asked.ids)):  # in one order, so that two requests never wait for each other
        try:
            task = _act_one(ctx, asked.verb, rows.get(vm_id), held.get(vm_id), options, batch_id)
            started.append(tasks.record_of(ctx, task))
        except VigieError as error:
            name = rows[vm_id].name if vm_id in rows else vm_id
            vm = Ref(kind=ObjectKind.VM, id=vm_id, name=name)
            audit.record(ctx, f"vm.{asked.verb.value}", target=vm, outcome="refused", code=error.code)
            refused.append(BulkRefusal(vm=vm, problem=problem_of(error, ctx.translate)))
    return BulkRecord(batch_id=batch_id, tasks=started, refused=refused)


def _act_one(ctx: Ctx, verb: VmVerb, row: Any, holder: Any, options: ActionOptions, batch_id: str) -> Any:
    if row is None:
        raise NotFound(N_("There is no such VM."))
    _free(ctx, verb, holder, refusal(verb, row, row.host_state, row.host_mode))
    vm = Ref(kind=ObjectKind.VM, id=row.id, name=row.name)
    host = Ref(kind=ObjectKind.HOST, id=row.host_id, name=row.host_name)
    return _enqueue(ctx, verb, vm, host, options, batch_id)


def _enqueue(
    ctx: Ctx, verb: VmVerb, vm: Ref, host: Ref, options: ActionOptions, batch_id: str | None = None
) -> Task:
    params = options.model_dump()
    if verb is VmVerb.RESTORE:
        params["host_access"] = ctx.can(HOST_ACCESS)
    locks = _disk_locks(ctx, vm, host) if verb in STARTS else Locks()
    return tasks.enqueue(
        ctx,
        f"vm.{verb.value}",
        target=vm,
        host=host,
        params=params,
        holds=locks.holds,
        reads=locks.reads,
        apart=locks.apart,
        batch_id=batch_id,
    )


def _disk_locks(ctx: Ctx, vm: Ref, host: Ref) -> Locks:
    """What a start holds of the VM's disks, so that none is copied or changed meanwhile; what it reads is shared."""
    columns = sa.select(VmDefinition.xml, VmDefinition.saved_xml).where(VmDefinition.vm_id == vm.id)
    row = ctx.session.execute(columns).one_or_none()
    if row is None:
        return Locks()
    xml = row.saved_xml or row.xml
    try:
        locks = start_locks(ctx.session, host.id, written_alone(xml), written_together(xml))
        locks.reads |= path_locks(ctx.session, host.id, [source for source, _ in layers(xml)])
    except UnreadableXml:
        return Locks()
    return locks


def _free(ctx: Ctx, verb: VmVerb, holder: TaskBrief | None, refused: Refusal | None) -> None:
    """Have the VM free for the verb. Raises Busy when a task holds it that does not end for that, Conflict."""
    if holder is not None and not tasks.gives_way(holder, verb):
        raise tasks.busy(ctx, holder)
    if refused is not None:
        raise _refused(ctx, refused)
    if holder is not None:
        tasks.give_way(ctx, holder)


def _rows(ctx: Ctx, ids: Sequence[str]) -> dict[str, Any]:
    query = sa.select(
        Vm.id,
        Vm.name,
        Vm.state,
        Vm.persistent,
        Vm.autostart,
        Vm.host_id,
        Host.name.label("host_name"),
        Host.state.label("host_state"),
        Host.mode.label("host_mode"),
    ).join(Host, Host.id == Vm.host_id)
    found: dict[str, Any] = {}
    for start in range(0, len(ids), 500):
        some = ctx.visible(query.where(Vm.id.in_(ids[start : start + 500])), "vm.view")
        found |= {row.id: row for row in ctx.session.execute(some)}
    return found


def _refused(ctx: Ctx, refused: Refusal) -> Conflict:
    return Conflict(
        N_("This cannot be done now."),
        why=refused.reason,
        hint=refused.hint,
        code=refused.code,
        params=refused.params,
    )


def xml_of(ctx: Ctx, vm_id: str) -> str:
    """The VM's XML as last read. Raises NotFound, NotAllowed."""
    vm = find_vm(ctx, vm_id, "vm.view-xml")
    xml: str | None = ctx.session.scalar(sa.select(VmDefinition.xml).where(VmDefinition.vm_id == vm.id))
    if xml is None:
        raise NotFound(N_("The definition of the VM was not read yet."))
    return xml


def screen_of(ctx: Ctx, vm_id: str) -> VmScreen | None:
    """The last screenshot, if there is one. Asking for it makes the engine take a new one. Raises NotFound, NotAllowed."""
    vm = find_vm(ctx, vm_id, "vm.console")
    ctx.services.hub.publish([SCREEN + vm.id])
    return ctx.session.get(VmScreen, vm.id)


def find_vm(ctx: Ctx, vm_id: str, privilege: str, *, lock: bool = False) -> Vm:
    """The VM, if the asker may see it and holds the privilege on it. Raises NotFound, NotAllowed."""
    ctx.require(privilege)
    query = ctx.visible(sa.select(Vm).where(Vm.id == vm_id), "vm.view")
    vm: Vm | None = ctx.session.scalar(query.with_for_update() if lock else query)
    if vm is None:
        raise NotFound(N_("There is no such VM."))
    ctx.require(privilege, vm)
    return vm


def _ref(vm: Vm) -> Ref:
    return Ref(kind=ObjectKind.VM, id=vm.id, name=vm.name)


def _host_ref(host: Host) -> Ref:
    return Ref(kind=ObjectKind.HOST, id=host.id, name=host.name)
