"""Delete a VM: its definition is kept, so that it can be undeleted; the volumes that were chosen go."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from sqlalchemy.orm import Session

from app.access.context import Ctx
from app.core.errors import Conflict, HypervisorRefused, VmGone
from app.core.messages import N_
from app.core.vms.delete import VolumePlace
from app.core.vms.observations import VmObservation
from app.core.vms.states import VmState
from app.db.models import Volume
from app.hypervisor.xml.domains import device_edit
from app.inventory.collectors.vms import VMS
from app.inventory.vms.deleted_by_vigie import deleted_by_vigie
from app.inventory.vms.readings import VmReadings
from app.services.hosts.manageable import require_manageable
from app.services.storage.reread import reread_pools
from app.services.storage.volumes.checks import task_use
from app.services.storage.volumes.locks import path_locks
from app.services.vms.cloud_init import known_drives
from app.services.vms.cloud_init.deletion import delete_drive
from app.services.vms.delete import deleted_definitions
from app.services.vms.operation import VmOperation, vm_and_host, vm_missing, vm_on_host
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed
from app.tasks.operation import Location, Locks, Operation, Outcome, Parameters, Plan, Touch

SHARE_OF_DEFINITION = 40  # percent of the work


class DeleteVmParameters(Parameters):
    """What goes with the VM."""

    uuid: str
    volumes: tuple[VolumePlace, ...] = ()
    keep_nvram: bool = False
    keep_tpm: bool = False
    force_off: bool = False


@declare
class DeleteVm(VmOperation[DeleteVmParameters]):
    """Keep the definition, cut the power if that was asked for, undefine, then delete the chosen volumes.

    A run after an interruption goes on where the first one was: what is gone already is no error.
    """

    kind = "vm.delete"
    title = N_("Delete the VM")
    parameters = DeleteVmParameters
    privilege = "vm.delete"
    explains = frozenset({"vm.deleted", "vm.undefined", "vm.ended", "vm.stopped"})

    def touches(self, parameters: DeleteVmParameters) -> tuple[Touch, ...]:
        """The VM, and each volume that goes with it."""
        volumes = [volume.volume_id for volume in parameters.volumes if volume.volume_id is not None]
        return (*super().touches(parameters), *(Touch(Volume, volume, "volume.delete") for volume in volumes))

    def check(self, ctx: Ctx, parameters: DeleteVmParameters) -> Plan:
        """Raises Conflict (vm_active, vm_missing, host_not_connected…)."""
        plan = super().check(ctx, parameters)
        vm, host = vm_and_host(ctx.session, parameters.target_id)
        require_manageable(ctx, host)
        if vm.state == VmState.MISSING:
            raise vm_missing()
        if VmState(vm.state).is_active and not parameters.force_off and not ctx.begins:
            raise Conflict(
                N_("The VM runs."),
                hint=N_("Shut it down first, or have its power cut."),
                code="vm_active",
            )
        paths = [volume.path for volume in parameters.volumes]
        return replace(plan, locks=Locks(holds=path_locks(ctx.session, host.id, paths)))

    def locate(self, session: Session, parameters: DeleteVmParameters) -> Location:
        """The host where it was asked for: an earlier run may have deleted the VM itself."""
        return Operation.locate(self, session, parameters)

    def run(self, context: TaskContext, parameters: DeleteVmParameters) -> Outcome:
        """Delete it."""
        vm_id = parameters.target_id
        vm = vm_on_host(context, parameters.uuid)
        if vm is None and not context.write(partial(deleted_by_vigie, vm_ids=[vm_id])):
            raise TaskFailed(
                "vm_gone",
                N_("The VM is not on its host any more."),
                hint=N_("Look where it is now, and try again."),
            )
        if vm is not None:
            _take_down(context, parameters, vm)
        context.report_gone(VMS.part(VmReadings.single(gone=(parameters.uuid,))))
        _delete_volumes(context, parameters)
        drive = context.write(partial(known_drives.of_vm, vm_id=vm_id))
        if drive is not None and drive.host == context.job.host_id:  # else it goes in a task of that host
            delete_drive(context, drive)
        if parameters.volumes:
            return Outcome(
                N_("The VM was deleted; volumes deleted with it: %(count)d."),
                {"count": len(parameters.volumes)},
                {"uuid": parameters.uuid},
            )
        return Outcome(N_("The VM was deleted; its volumes stay."), result={"uuid": parameters.uuid})


def _take_down(context: TaskContext, parameters: DeleteVmParameters, vm: VmObservation) -> None:
    if vm.state.is_active and not parameters.force_off:
        raise TaskFailed("vm_active", N_("The VM runs by now."), hint=N_("Shut it down, then delete it."))
    xml = context.call(lambda host: host.domains.xml(parameters.uuid, saved=vm.persistent))
    whole = context.call(lambda host: host.domains.xml(parameters.uuid, saved=vm.persistent, secure=True))
    drive = context.write(partial(known_drives.of_vm, vm_id=parameters.target_id))
    if drive is not None:
        xml, whole = (device_edit.without_media(text, drive.target, drive.name) for text in (xml, whole))
    keep = partial(
        deleted_definitions.keep_definition,
        task_id=context.job.task_id,
        xml=xml,
        sealed=context.seal({"xml": whole}),
        volumes=[volume.path for volume in parameters.volumes],
    )
    context.write(keep)
    try:
        if vm.state.is_active:
            context.say(0, N_("Cutting its power."))
            context.call(lambda host: host.force_off(parameters.uuid))
        context.say(SHARE_OF_DEFINITION // 2, N_("Removing its definition."))
        context.call(
            lambda host: host.domains.undefine(
                parameters.uuid, keep_nvram=parameters.keep_nvram, keep_tpm=parameters.keep_tpm
            )
        )
    except VmGone:
        return  # a transient one goes with its power
    except HypervisorRefused:
        context.write(partial(deleted_definitions.stays, vm_id=parameters.target_id))
        raise


def _delete_volumes(context: TaskContext, parameters: DeleteVmParameters) -> None:
    """Delete each; one that fails does not keep the others, and the first failure is told at the end."""
    volumes = parameters.volumes
    stayed: list[tuple[str, HypervisorRefused | TaskFailed]] = []
    rest = 100 - SHARE_OF_DEFINITION
    for number, place in enumerate(volumes):
        context.say(
            SHARE_OF_DEFINITION + rest * number // len(volumes),
            N_("Deleting volume %(name)s."),
            name=place.name,
        )
        try:
            _delete_volume(context, place, parameters.uuid)
        except HypervisorRefused as error:
            stayed.append((place.name, error))
        except TaskFailed as error:
            if error.code != "volume_in_use":
                raise
            stayed.append((place.name, error))
    reread_pools(context, {place.pool for place in volumes})
    if stayed:
        raise TaskFailed(
            "volume_stayed",
            N_("The VM is deleted, but not all of its volumes."),
            why=N_("Volume %(name)s stayed: %(reason)s"),
            hint=N_("Delete it on the page of its pool."),
            params={"name": stayed[0][0], "reason": stayed[0][1].detail or stayed[0][1].title},
        )


def _delete_volume(context: TaskContext, place: VolumePlace, vm: str) -> None:
    """Delete it if it is still the one that was chosen, and nothing uses it by now."""
    found = context.call(lambda host: host.storage.find_volume(place.pool, place.name))
    if found is not None and found.path == place.path:
        task_use.refuse_used_by_now(context, place.pool, place.name, place.path, but=vm)
        context.call(lambda host: host.storage.delete_volume(place.pool, place.name))
