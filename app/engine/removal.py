"""Deleting a VM, and bringing one back."""

from __future__ import annotations

from functools import partial

from app.core.errors import HypervisorRefused, VmGone
from app.core.messages import N_
from app.core.vms.delete import Removal, Return, VolumePlace
from app.core.vms.observations import VmObservation
from app.db.deletions import departing
from app.engine import volume_checks, volume_use
from app.engine.cloud_init_seeds import delete_volume as delete_seed
from app.engine.operations import operation
from app.engine.run import Outcome, Run, TaskFailed
from app.hypervisor.xml.domains import edit
from app.services.vms import cloud_init_drives, deletions, ownership

SHARE_OF_DEFINITION = 40  # percent of the work


@operation("vm.delete")
def delete(run: Run) -> Outcome:
    """Keep the definition, cut the power if that was asked for, undefine, then delete the chosen volumes.

    A run after an interruption goes on where the first one was: what is gone already is no error.
    """
    asked = run.asked(Removal)
    vm_id = run.job.target_id
    vm = _look(run, asked.uuid)
    if vm is None and not run.write(partial(departing, vm_ids=[vm_id])):
        raise TaskFailed(
            "vm_gone",
            N_("The VM is not on its host any more."),
            hint=N_("Look where it is now, and try again."),
        )
    if vm is not None:
        _take_down(run, asked, vm)
    run.report(gone_vms=(asked.uuid,))
    _delete_volumes(run, asked.volumes)
    seed = run.write(partial(cloud_init_drives.of_vm, vm_id=vm_id))
    if seed is not None and seed.host == run.job.host_id:  # else it goes in a task of that host
        delete_seed(run, seed)
    if asked.volumes:
        return Outcome(
            N_("The VM was deleted; volumes deleted with it: %(count)d."),
            {"count": len(asked.volumes)},
            {"uuid": asked.uuid},
        )
    return Outcome(N_("The VM was deleted; its volumes stay."), result={"uuid": asked.uuid})


def _look(run: Run, uuid: str) -> VmObservation | None:
    try:
        return run.call(lambda host: host.read_vm(uuid))
    except VmGone:
        return None


def _take_down(run: Run, asked: Removal, vm: VmObservation) -> None:
    if vm.state.is_active and not asked.force_off:
        raise TaskFailed("vm_active", N_("The VM runs by now."), hint=N_("Shut it down, then delete it."))
    xml = run.call(lambda host: host.machines.xml(asked.uuid, saved=vm.persistent))
    whole = run.call(lambda host: host.machines.xml(asked.uuid, saved=vm.persistent, secure=True))
    seed = run.write(partial(cloud_init_drives.of_vm, vm_id=run.job.target_id))
    if seed is not None:
        xml, whole = (edit.without_medium(text, seed.target, seed.name) for text in (xml, whole))
    keep = partial(
        deletions.keep_definition,
        task_id=run.job.task_id,
        xml=xml,
        sealed=run.seal({"xml": whole}),
        volumes=[each.path for each in asked.volumes],
    )
    run.write(keep)
    try:
        if vm.state.is_active:
            run.say(0, N_("Cutting its power."))
            run.call(lambda host: host.force_off(asked.uuid))
        run.say(SHARE_OF_DEFINITION // 2, N_("Removing its definition."))
        run.call(
            lambda host: host.machines.undefine(
                asked.uuid, keep_nvram=asked.keep_nvram, keep_tpm=asked.keep_tpm
            )
        )
    except VmGone:
        return  # a transient one goes with its power
    except HypervisorRefused:
        run.write(partial(deletions.stays, vm_id=run.job.target_id))
        raise


def _delete_volumes(run: Run, volumes: tuple[VolumePlace, ...]) -> None:
    """Delete each; one that fails does not keep the others, and the first failure is told at the end."""
    stayed: list[tuple[str, HypervisorRefused | TaskFailed]] = []
    rest = 100 - SHARE_OF_DEFINITION
    for number, place in enumerate(volumes):
        run.say(
            SHARE_OF_DEFINITION + rest * number // len(volumes),
            N_("Deleting volume %(name)s."),
            name=place.name,
        )
        try:
            _delete_volume(run, place)
        except HypervisorRefused as error:
            stayed.append((place.name, error))
        except TaskFailed as error:
            if error.code != "volume_in_use":
                raise
            stayed.append((place.name, error))
    run.show_pools({place.pool for place in volumes})
    if stayed:
        raise TaskFailed(
            "volume_stayed",
            N_("The VM is deleted, but not all of its volumes."),
            why=N_("Volume %(name)s stayed: %(reason)s"),
            hint=N_("Delete it on the page of its pool."),
            params={"name": stayed[0][0], "reason": stayed[0][1].detail or stayed[0][1].title},
        )


def _delete_volume(run: Run, place: VolumePlace) -> None:
    """Delete it if it is still the one that was chosen, and nothing uses it by now."""
    found = run.call(lambda host: host.storage.find_volume(place.pool, place.name))
    if found is not None and found.path == place.path:
        volume_use.refuse_used(run, place.pool, place.name, place.path, but=run.asked(Removal).uuid)
        run.call(lambda host: host.storage.delete_volume(place.pool, place.name))


@operation("vm.bring_back")
def bring_back(run: Run) -> Outcome:
    """Define it as it was. Disks that went with it are missing until somebody gives it others; the rest are checked.

    Where the passwords of its displays are not known, they listen on the host itself only.
    """
    asked = run.asked(Return)
    closed = False
    if _look(run, asked.uuid) is None:
        sealed = run.write(partial(deletions.kept_whole, vm_id=run.job.target_id))
        xml, closed = edit.with_displays_closed(asked.xml)
        if sealed is not None:
            xml, closed = run.open_sealed(sealed.decode())["xml"], False
        volume_use.refuse_disks_in_use(run, asked.uuid, xml)
        volume_checks.check_existing(run, xml)
        run.call(lambda host: host.machines.define(xml))
    if asked.autostart:
        run.call(lambda host: host.set_autostart(asked.uuid, True))
    vm = _look(run, asked.uuid)
    if vm is not None:
        run.show(vm)
    run.write(partial(ownership.settle, vm_id=run.job.target_id, tags=asked.tags, notes=asked.notes))
    run.write(partial(deletions.stays, vm_id=run.job.target_id))
    result = {"vm": run.job.target_id, "uuid": asked.uuid}
    if closed:
        said = N_(
            "The VM is back. Its displays listen on 127.0.0.1 only: Vigie does not know their passwords."
        )
        return Outcome(said, result=result)
    return Outcome(N_("The VM is back."), result=result)
