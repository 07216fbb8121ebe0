"""Bring a VM back that was deleted, or that is missing on its host."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import sqlalchemy as sa

from app.access.context import Ctx
from app.access.find import find, known, look_up, ref, unrestricted
from app.core.errors import Conflict
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.records import Ref
from app.core.tasks.records import TaskRecord
from app.core.vms.states import VmState
from app.db.models import DeletedVm, Host, Vm, VmDefinition
from app.hypervisor.xml.domains import display_listeners
from app.hypervisor.xml.domains.disks import written_alone
from app.hypervisor.xml.domains.read import UnreadableXml, read_vm
from app.services.hosts.manageable import require_manageable
from app.services.storage.volumes.checks import task_checks, task_use
from app.services.storage.volumes.locks import path_locks
from app.services.vms.cloud_init.known_drives import refuse_cloud_init_drives_in
from app.services.vms.create import annotate
from app.services.vms.delete import deleted_definitions
from app.services.vms.host_access import HOST_ACCESS, require_for_definition
from app.services.vms.names import vm_name_lock
from app.services.vms.operation import RunningVm, vm_on_host
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.operation import IdentityClaim, Locks, Operation, Outcome, Parameters, Plan, Touch
from app.tasks.submit import submit


class UndeleteVmParameters(Parameters):
    """The VM as it was. `xml` has no secrets; the whole definition is kept sealed elsewhere."""

    uuid: str
    xml: str
    name: str = ""
    tags: tuple[str, ...] = ()
    notes: str = ""
    autostart: bool = False


@declare
class UndeleteVm(Operation[UndeleteVmParameters]):
    """Define a VM as it was. Disks that went with it are missing until somebody gives it others; the rest are checked.

    Where the passwords of its displays are not known, they listen on the host itself only.
    """

    kind = "vm.undelete"
    title = N_("Bring the VM back")
    parameters = UndeleteVmParameters
    creates = True
    redefines = True
    explains = frozenset({"vm.defined", "vm.restored", "vm.autostart"})

    def touches(self, parameters: UndeleteVmParameters) -> tuple[Touch, ...]:
        """The host; the VM itself is gone."""
        return (Touch(Host, parameters.host_id, "vm.delete"),)

    def check(self, ctx: Ctx, parameters: UndeleteVmParameters) -> Plan:
        """Raises NotAllowed for host access that the actor may not give, Conflict (name_taken, volume_is_cloud_init_drive…)."""
        vm_id, xml = parameters.target_id, parameters.xml
        host = known(ctx, Host, parameters.host_id)
        require_manageable(ctx, host)
        _require_access(ctx, host, xml)
        with suppress(UnreadableXml):
            refuse_cloud_init_drives_in(ctx.session, vm_id, host.id, xml)
        name = parameters.name
        _refuse_taken(ctx, host, name, parameters.uuid)
        locks = Locks(
            holds={vm_name_lock(host.id, name)} | path_locks(ctx.session, host.id, _written_in(xml)),
            reads=path_locks(ctx.session, host.id, _sources_in(xml)),
        )
        return Plan(
            Ref(kind=ObjectKind.VM, id=vm_id, name=name),
            ref(host),
            locks,
            claims=(IdentityClaim(host.id, parameters.uuid, vm_id),),
        )

    def run(self, context: TaskContext, parameters: UndeleteVmParameters) -> Outcome:
        """Define it, unless an earlier run has."""
        closed = False
        if vm_on_host(context, parameters.uuid) is None:
            sealed = context.write(partial(deleted_definitions.sealed_definition, vm_id=parameters.target_id))
            xml, closed = display_listeners.with_displays_closed(parameters.xml)
            if sealed is not None:
                xml, closed = context.open_sealed(sealed.decode())["xml"], False
            task_use.refuse_disks_in_use(context, parameters.uuid, xml)
            task_checks.check_existing(context, xml)
            context.call(lambda host: host.domains.define(xml))
        if parameters.autostart:
            context.call(lambda host: host.set_autostart(parameters.uuid, True))
        vm = vm_on_host(context, parameters.uuid)
        if vm is not None:
            RunningVm(context, vm.uuid).show(vm)
        context.write(
            partial(
                annotate.set_tags_and_notes,
                vm_id=parameters.target_id,
                tags=parameters.tags,
                notes=parameters.notes,
            )
        )
        context.write(partial(deleted_definitions.stays, vm_id=parameters.target_id))
        result = {"vm": parameters.target_id, "uuid": parameters.uuid}
        if closed:
            message = N_(
                "The VM is back. Its displays listen on 127.0.0.1 only: Vigie does not know their passwords."
            )
            return Outcome(message, result=result)
        return Outcome(N_("The VM is back."), result=result)


def undelete_vm(ctx: Ctx, vm_id: str) -> TaskRecord:
    """Have a VM defined again that was deleted, or that is missing on its host. Its disks are as they are now.

    Raises NotFound, Conflict (name_taken, vm_present…), what the operation's check raises, Busy.
    """
    ctx.require("vm.delete")
    deleted = look_up(ctx, DeletedVm, vm_id)
    parameters = _of_missing(ctx, vm_id) if deleted is None else _of_deleted(deleted)
    return tasks.record_of(ctx, submit(ctx, UndeleteVm, parameters))


def _of_deleted(deleted: DeletedVm) -> UndeleteVmParameters:
    return UndeleteVmParameters(
        target_id=deleted.id,
        host_id=deleted.host_id,
        uuid=deleted.uuid,
        name=deleted.name,
        xml=deleted.xml,
        tags=tuple(deleted.tags),
        notes=deleted.notes,
        autostart=deleted.autostart,
    )


def _of_missing(ctx: Ctx, vm_id: str) -> UndeleteVmParameters:
    vm = find(ctx, Vm, vm_id, "vm.delete")
    definition = ctx.session.get(VmDefinition, vm.id)
    if vm.state != VmState.MISSING or definition is None:
        raise Conflict(N_("The VM is still on its host."), code="vm_present")
    return UndeleteVmParameters(
        target_id=vm.id,
        host_id=vm.host_id,
        uuid=vm.uuid,
        name=vm.name,
        xml=definition.saved_xml or definition.xml,
        tags=tuple(vm.tags),
        notes=vm.notes,
        autostart=vm.autostart,
    )


def _require_access(ctx: Ctx, host: Host, xml: str) -> None:
    """Raise NotAllowed when the definition reaches its host and the actor may not have that: all of it is new."""
    try:
        require_for_definition(ctx, host, xml)
    except UnreadableXml:
        ctx.require(HOST_ACCESS)  # nobody can tell what it reaches


def _refuse_taken(ctx: Ctx, host: Host, name: str, uuid: str) -> None:
    taken = sa.select(Vm.name).where(
        Vm.host_id == host.id, Vm.state != VmState.MISSING, sa.or_(Vm.uuid == uuid, Vm.name == name)
    )
    if (found := ctx.session.scalar(unrestricted(taken.limit(1)))) is not None:
        raise Conflict(
            N_("The name is taken."),
            why=N_("Host %(host)s has a VM “%(name)s” by now."),
            hint=N_("Rename or delete that one first."),
            code="name_taken",
            params={"host": host.name, "name": found},
        )


def _sources_in(xml: str) -> list[str]:
    try:
        return [disk.source for disk in read_vm(xml).disks if disk.source]
    except UnreadableXml:
        return []


def _written_in(xml: str) -> list[str]:
    try:
        return written_alone(xml)
    except UnreadableXml:
        return []
