"""Deleting a VM, and bringing one back."""

from __future__ import annotations

from functools import partial

from app.core.errors import HypervisorRefused, VmGone
from app.core.messages import N_
from app.core.vms.delete import Removal, Return, VolumePlace
from app.core.vms.observations import VmObservation
from app.engine.operations import operation
from app.hypervisor.xml.domains import edit
from app.inventory.vms.deletions import departing
from app.services.storage import task_checks, task_use
from app.services.vms import cloud_init_drives, deletions, ownership
from app.services.vms.cloud_init_operations import delete_volume as delete_seed
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed
from app.tasks.operation import Outcome

SHARE_OF_DEFINITION = 40  # percent of the work


@operation("vm.delete")
def delete(context: TaskContext) -> Outcome:
    """Keep the definition, cut the power if that was asked for, undefine, then delete the chosen volumes.

    A run after an interruption goes on where the first one was: what is gone already is no error.
    """
    asked = context.asked(Removal)
    vm_id = context.job.target_id
    vm = _look(context, asked.uuid)
    if vm is None and not context.write(partial(departing, vm_ids=[vm_id])):
        raise TaskFailed(
            "vm_gone",
            N_("The VM is not on its host any more."),
            hint=N_("Look where it is now, and try again."),
        )
    if vm is not None:
        _take_down(context, asked, vm)
    context.report(gone_vms=(asked.uuid,))
    _delete_volumes(context, asked.volumes)
    seed = context.write(partial(cloud_init_drives.of_vm, vm_id=vm_id))
    if seed is not None and seed.host == context.job.host_id:  # else it goes in a task of that host
        delete_seed(context, seed)
    if asked.volumes:
        return Outcome(
            N_("The VM was deleted; volumes deleted with it: %(count)d."),
            {"count": len(asked.volumes)},
            {"uuid": asked.uuid},
        )
    return Outcome(N_("The VM was deleted; its volumes stay."), result={"uuid": asked.uuid})


def _look(context: TaskContext, uuid: str) -> VmObservation | None:
    try:
        return context.call(lambda host: host.read_vm(uuid))
    except VmGone:
        return None


def _take_down(context: TaskContext, asked: Removal, vm: VmObservation) -> None:
    if vm.state.is_active and not asked.force_off:
        raise TaskFailed("vm_active", N_("The VM runs by now."), hint=N_("Shut it down, then delete it."))
    xml = context.call(lambda host: host.machines.xml(asked.uuid, saved=vm.persistent))
    whole = context.call(lambda host: host.machines.xml(asked.uuid, saved=vm.persistent, secure=True))
    seed = context.write(partial(cloud_init_drives.of_vm, vm_id=context.job.target_id))
    if seed is not None:
        xml, whole = (edit.without_medium(text, seed.target, seed.name) for text in (xml, whole))
    keep = partial(
        deletions.keep_definition,
        task_id=context.job.task_id,
        xml=xml,
        sealed=context.seal({"xml": whole}),
        volumes=[each.path for each in asked.volumes],
    )
    context.write(keep)
    try:
        if vm.state.is_active:
            context.say(0, N_("Cutting its power."))
            context.call(lambda host: host.force_off(asked.uuid))
        context.say(SHARE_OF_DEFINITION // 2, N_("Removing its definition."))
        context.call(
            lambda host: host.machines.undefine(
                asked.uuid, keep_nvram=asked.keep_nvram, keep_tpm=asked.keep_tpm
            )
        )
    except VmGone:
        return  # a transient one goes with its power
    except HypervisorRefused:
        context.write(partial(deletions.stays, vm_id=context.job.target_id))
        raise


def _delete_volumes(context: TaskContext, volumes: tuple[VolumePlace, ...]) -> None:
    """Delete each; one that fails does not keep the others, and the first failure is told at the end."""
    stayed: list[tuple[str, HypervisorRefused | TaskFailed]] = []
    rest = 100 - SHARE_OF_DEFINITION
    for number, place in enumerate(volumes):
        context.say(
            SHARE_OF_DEFINITION + rest * number // len(volumes),
            N_("Deleting volume %(name)s."),
            name=place.name,
        )
        try:
            _delete_volume(context, place)
        except HypervisorRefused as error:
            stayed.append((place.name, error))
        except TaskFailed as error:
            if error.code != "volume_in_use":
                raise
            stayed.append((place.name, error))
    context.show_pools({place.pool for place in volumes})
    if stayed:
        raise TaskFailed(
            "volume_stayed",
            N_("The VM is deleted, but not all of its volumes."),
            why=N_("Volume %(name)s stayed: %(reason)s"),
            hint=N_("Delete it on the page of its pool."),
            params={"name": stayed[0][0], "reason": stayed[0][1].detail or stayed[0][1].title},
        )


def _delete_volume(context: TaskContext, place: VolumePlace) -> None:
    """Delete it if it is still the one that was chosen, and nothing uses it by now."""
    found = context.call(lambda host: host.storage.find_volume(place.pool, place.name))
    if found is not None and found.path == place.path:
        task_use.refuse_used(context, place.pool, place.name, place.path, but=context.asked(Removal).uuid)
        context.call(lambda host: host.storage.delete_volume(place.pool, place.name))


@operation("vm.bring_back")
def bring_back(context: TaskContext) -> Outcome:
    """Define it as it was. Disks that went with it are missing until somebody gives it others; the rest are checked.

    Where the passwords of its displays are not known, they listen on the host itself only.
    """
    asked = context.asked(Return)
    closed = False
    if _look(context, asked.uuid) is None:
        sealed = context.write(partial(deletions.kept_whole, vm_id=context.job.target_id))
        xml, closed = edit.with_displays_closed(asked.xml)
        if sealed is not None:
            xml, closed = context.open_sealed(sealed.decode())["xml"], False
        task_use.refuse_disks_in_use(context, asked.uuid, xml)
        task_checks.check_existing(context, xml)
        context.call(lambda host: host.machines.define(xml))
    if asked.autostart:
        context.call(lambda host: host.set_autostart(asked.uuid, True))
    vm = _look(context, asked.uuid)
    if vm is not None:
        context.show(vm)
    context.write(partial(ownership.settle, vm_id=context.job.target_id, tags=asked.tags, notes=asked.notes))
    context.write(partial(deletions.stays, vm_id=context.job.target_id))
    result = {"vm": context.job.target_id, "uuid": asked.uuid}
    if closed:
        said = N_(
            "The VM is back. Its displays listen on 127.0.0.1 only: Vigie does not know their passwords."
        )
        return Outcome(said, result=result)
    return Outcome(N_("The VM is back."), result=result)
