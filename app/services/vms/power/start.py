"""Start a VM that is off."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.access.context import Ctx
from app.core.messages import N_
from app.core.vms.power import VmVerb
from app.db.models import Vm, VmDefinition
from app.hypervisor.xml.domains.disks import layers, written_alone, written_together
from app.hypervisor.xml.domains.read import UnreadableXml
from app.services.storage.volumes.locks import path_locks, start_locks
from app.services.storage.volumes.users import dependents
from app.services.vms.operation import RunningVm
from app.services.vms.power.power_operation import OFF, PowerOperation, PowerParameters, power
from app.services.vms.power.steps import bring
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed
from app.tasks.operation import Locks, Outcome, Plan, Reservation


@power
class Start(PowerOperation):
    """Start a VM that is off, unless it would write to what others depend on."""

    verb = VmVerb.START
    title = N_("Start")
    states = OFF
    explains = frozenset({"vm.started"})

    def check(self, ctx: Ctx, parameters: PowerParameters) -> Plan:
        """The VM holds its disks, so that none is copied or changed meanwhile, and its memory counts from now on."""
        return plan_start(ctx.session, super().check(ctx, parameters))

    def run(self, context: TaskContext, parameters: PowerParameters) -> Outcome:
        """Start it."""
        vm = RunningVm(context, context.job.uuid)
        if vm.look().state in self.states:
            refuse_depended_on(context, context.call(lambda host: host.domains.xml(vm.uuid, saved=True)))
        return bring(
            context,
            vm,
            type(self),
            lambda seen: seen.state.is_active,
            lambda host: host.start(vm.uuid),
            already=N_("The VM was running already."),
            now=N_("The VM is running."),
        )


def plan_start(session: Session, plan: Plan) -> Plan:
    """The plan of what starts a VM, with the disks that it holds and the memory that it takes."""
    memory_bytes = session.get_one(Vm, plan.target.id).memory_bytes
    return replace(
        plan,
        locks=_disk_locks(session, plan.target.id, plan.host.id),
        reservations=(Reservation(plan.host.id, memory_bytes),),
    )


def _disk_locks(session: Session, vm_id: str, host_id: str) -> Locks:
    columns = sa.select(VmDefinition.xml, VmDefinition.saved_xml).where(VmDefinition.vm_id == vm_id)
    row = session.execute(columns).one_or_none()
    if row is None:
        return Locks()
    xml = row.saved_xml or row.xml
    try:
        locks = start_locks(session, host_id, written_alone(xml), written_together(xml))
        locks.reads |= path_locks(session, host_id, [source for source, _ in layers(xml)])
    except UnreadableXml:
        return Locks()
    return locks


def refuse_depended_on(context: TaskContext, xml: str) -> None:
    """Raise TaskFailed (volume_in_use) when a VM with this definition writes to a base of volumes, or to an image.

    A definition that cannot be read names no disk of which anybody knows.
    """
    try:
        sources = [*written_alone(xml), *written_together(xml)]
    except UnreadableXml:
        return
    found = context.write(partial(dependents, host_id=context.job.host_id, sources=sources))
    for volume, names in found.items():
        raise TaskFailed(
            "volume_in_use",
            N_("The volume is in use."),
            why=N_("The VM would write to %(volume)s, on which these depend: %(names)s."),
            hint=N_("Give the VM another disk, such as a clone, or delete what depends on this one."),
            params={"volume": volume, "names": ", ".join(names[:5])},
        )
