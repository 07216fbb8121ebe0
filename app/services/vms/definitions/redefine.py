"""Put another definition in the place of a VM's saved one."""

from __future__ import annotations

from dataclasses import replace

from app.access.context import Ctx
from app.core.errors import HypervisorRefused
from app.core.messages import N_
from app.core.tasks.records import TaskRecord
from app.db.models import Host, Vm, VmDefinition
from app.hypervisor.xml.domains.disks import written_alone
from app.hypervisor.xml.domains.read import read_vm
from app.hypervisor.xml.domains.secrets import hidden
from app.services.storage.volumes.checks import task_checks, task_use
from app.services.storage.volumes.locks import path_locks
from app.services.vms.cloud_init.known_drives import refuse_cloud_init_drives_in
from app.services.vms.definitions.version import seen_digest, version_of
from app.services.vms.operation import RunningVm, VmOperation, vm_and_host
from app.services.vms.reconfigure.editable_vm import require_editable
from app.tasks import tasks
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed
from app.tasks.operation import Locks, Outcome, Parameters, Plan
from app.tasks.submit import submit


class RedefineParameters(Parameters):
    """The definition, sealed: people paste passwords into it. `digest` is that of the one which the submitter saw.

    `taken` are the sources that it writes to and did not before, `read` all that it names.
    """

    uuid: str
    digest: str | None = None
    xml: str = ""
    sealed: str | None = None
    taken: tuple[str, ...] = ()
    read: tuple[str, ...] = ()


@declare
class Redefine(VmOperation[RedefineParameters]):
    """Put another definition in the place of the saved one, if that is still the one that was seen."""

    kind = "vm.define"
    title = N_("Change the definition")
    parameters = RedefineParameters
    privilege = "vm.edit-xml"
    redefines = True
    explains = frozenset({"vm.changed"})

    def check(self, ctx: Ctx, parameters: RedefineParameters) -> Plan:
        """The definition can be changed, and what it writes to is free. Raises Conflict."""
        plan = super().check(ctx, parameters)
        vm, host = vm_and_host(ctx.session, parameters.target_id)
        require_editable(ctx, vm)
        holds = path_locks(ctx.session, host.id, parameters.taken)
        reads = path_locks(ctx.session, host.id, parameters.read)
        return replace(plan, locks=Locks(holds=holds, reads=reads))

    def run(self, context: TaskContext, parameters: RedefineParameters) -> Outcome:
        """Check the volumes that it names, and define it once."""
        uuid = parameters.uuid
        xml = context.open_sealed(parameters.sealed)["xml"] if parameters.sealed else parameters.xml
        task_checks.check_definition(context, uuid, xml)
        before = context.call(lambda host: host.domains.xml(uuid, saved=True))
        task_use.refuse_disks_in_use(context, uuid, xml, before)
        try:
            context.send_once(lambda host: host.domains.redefine(uuid, xml, parameters.digest))
        except HypervisorRefused as error:
            if error.code == "changed_meanwhile":
                raise
            raise TaskFailed(
                "definition_refused",
                N_("The host refuses this definition."),
                why=N_("It said: %(said)s"),
                hint=N_("Nothing was changed. Correct the XML, and try again."),
                params={"said": hidden(error.detail or error.title, xml)},
            ) from None
        vm = RunningVm(context, uuid)
        seen = vm.look()
        vm.show(seen)
        if seen.state.is_active:
            return Outcome(N_("It is defined; what is different counts after the next power-off."))
        return Outcome(N_("It is defined."))


@declare
class DiscardChanges(Redefine):
    """Drop what waits for the next power-off: the saved definition becomes what runs."""

    kind = "vm.discard-changes"
    title = N_("Discard the pending changes")
    privilege = "vm.edit"


def submit_definition(
    ctx: Ctx, vm: Vm, host: Host, definition: VmDefinition, xml: str, operation: type[Redefine] = Redefine
) -> TaskRecord:
    """Have a task define it. Raises Conflict (volume_is_cloud_init_drive), Busy, UnreadableXml."""
    refuse_cloud_init_drives_in(ctx.session, vm.id, host.id, xml, definition.saved_xml, definition.xml)
    known = set(written_alone(definition.saved_xml or definition.xml))
    parameters = RedefineParameters(
        target_id=vm.id,
        host_id=host.id,
        uuid=vm.uuid,
        sealed=ctx.services.vault.seal({"xml": xml}).decode(),
        digest=seen_digest(definition, version_of(definition)),
        taken=tuple(source for source in written_alone(xml) if source not in known),
        read=tuple(disk.source for disk in read_vm(xml).disks if disk.source),
    )
    return tasks.record_of(ctx, submit(ctx, operation, parameters))
