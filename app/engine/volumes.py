"""What tasks do with volumes. Each looks whether the volume is still what the asker saw, and again at the end."""

from __future__ import annotations

import shlex
from functools import partial

from app.core.errors import HostError
from app.core.messages import N_
from app.core.storage.created_volumes import volume_note
from app.core.storage.observations import VolumeObservation
from app.core.storage.volumes import VolumeMaking, VolumeMoving, VolumeResizing, VolumeWork, is_same_format
from app.core.vms.config import VolumePlan
from app.engine import leftovers, volume_checks, volume_use
from app.engine.created_volumes import create_volume
from app.engine.operations import operation
from app.engine.pool_refresh import refresh_if_idle, refresh_pool
from app.engine.run import Cancelled, Outcome, Run, TaskFailed


@operation("volume.create")
def create(run: Run) -> Outcome:
    """Make a volume; what is half made when it fails is removed."""
    plan = run.asked(VolumeMaking).volume
    made = _make(run, plan)
    return Outcome(
        N_("Volume %(name)s was made."), {"name": plan.name}, {"path": made.path, "name": plan.name}
    )


@operation("volume.clone")
def clone(run: Run) -> Outcome:
    """Copy a volume."""
    plan = run.asked(VolumeMaking).volume
    made = _make(run, plan)
    return Outcome(
        N_("Volume %(name)s was copied."), {"name": plan.name}, {"path": made.path, "name": plan.name}
    )


@operation("volume.resize")
def resize(run: Run) -> Outcome:
    """Change its size: by its running VM where there is one, else on the host."""
    asked = run.asked(VolumeResizing)
    found = _still(run, asked)
    if found.capacity_bytes != asked.size_bytes:
        volume_checks.check(run, asked.path)
        if asked.size_bytes < found.capacity_bytes:
            volume_use.refuse_used(run, asked.pool, asked.name, asked.path)
        if asked.vm is not None:
            vm = asked.vm
            run.call(lambda host: host.disks.grow(vm, asked.path, asked.size_bytes))
            refresh_if_idle(run, asked.pool)
        else:
            shrink = asked.shrink and asked.size_bytes < found.capacity_bytes
            run.call(
                lambda host: host.storage.resize_volume(
                    asked.pool, asked.name, asked.size_bytes, shrink=shrink
                )
            )
    run.show_pools({asked.pool})
    return Outcome(N_("The size was changed."), result={"size_bytes": asked.size_bytes})


@operation("volume.wipe")
def wipe(run: Run) -> Outcome:
    """Overwrite it with zeros."""
    asked = run.asked(VolumeWork)
    found = _still(run, asked)
    volume_checks.check_link(run, asked.pool, asked.name, asked.path)
    volume_use.refuse_used(run, asked.pool, asked.name, asked.path)
    run.call(lambda host: host.storage.wipe_volume(asked.pool, asked.name))
    volume_checks.record_made(run, asked.pool, found, "raw")
    if not is_same_format(found.format, "raw"):
        refresh_pool(run, asked.pool)
    run.show_pools({asked.pool})
    return Outcome(N_("The volume was overwritten."))


@operation("volume.delete")
def delete(run: Run) -> Outcome:
    """Delete it; that it is gone already is no error."""
    asked = run.asked(VolumeWork)
    _refuse_pool_off(run, asked)
    found = run.call(lambda host: host.storage.find_volume(asked.pool, asked.name))
    if found is not None:
        _still(run, asked)
        volume_use.refuse_used(run, asked.pool, asked.name, asked.path)
        run.call(lambda host: host.storage.delete_volume(asked.pool, asked.name))
    run.show_pools({asked.pool})
    return Outcome(N_("The volume was deleted."))


@operation("volume.move")
def move(run: Run) -> Outcome:
    """Copy it to the other pool, have its VM use the copy, then delete the old one.

    Until the VM uses the copy, whatever fails removes the copy; after that, the old one. A run after an interruption
    goes on with the copy that there is.
    """
    asked = run.asked(VolumeMoving)
    vm = asked.vms[0] if asked.vms else None
    if run.noted(leftovers.MOVED) is None and not _has_moved(run, asked, vm):
        try:
            _still(run, asked)
            volume_checks.check(run, asked.path, asked.to.clone_format)
            volume_use.refuse_used(run, asked.pool, asked.name, asked.path, but=vm or "")
            if vm and _runs(run, vm):
                _copy_live(run, asked, vm)
            else:
                _copy_off(run, asked, vm)
        except (HostError, TaskFailed, Cancelled):
            if not _has_moved(run, asked, vm):
                run.take_back()
                run.show_pools({asked.to.pool})
                raise
    users = _take_the_place(run, asked, vm)
    if vm is not None:
        run.show(run.call(lambda host: host.read_vm(vm)))
    run.show_pools({asked.pool, asked.to.pool})
    result = {"name": asked.to.name}
    if users:
        kept = N_("The volume was moved. The old one was left, since it is used by now by: %(names)s.")
        return Outcome(kept, {"names": users}, result)
    return Outcome(N_("The volume was moved."), result=result)


def _take_the_place(run: Run, asked: VolumeMoving, vm: str | None) -> str | None:
    """From here on the copy is the volume: whatever happens, only the old one may be deleted, and only once.

    Return the names of those that use the old one by now, and for which it is kept.
    """
    moved = {"kind": leftovers.MOVED, "pool": asked.to.pool, "name": asked.to.name}
    if run.noted(leftovers.MOVED) is None:
        # In one write: a run after a crash would take the copy, which is in use, for a leftover.
        run.note(moved, instead_of=volume_note(asked.to.pool, asked.to.name))
    copy = run.call(lambda host: host.storage.find_volume(asked.to.pool, asked.to.name))
    if vm is not None and copy is not None:
        run.call(lambda host: host.disks.repoint(vm, asked.path, copy.path, asked.to.format))
    if run.noted(leftovers.MOVED, old="deleted") is None:
        try:  # the copy may have taken hours
            volume_use.refuse_used(run, asked.pool, asked.name, asked.path, but=vm or "")
        except TaskFailed as refused:
            if refused.code != "volume_in_use":
                raise
            return str(refused.params["names"])
        run.call(lambda host: host.storage.delete_volume(asked.pool, asked.name))
        run.note({**moved, "old": "deleted"})
    return None


def _make(run: Run, plan: VolumePlan) -> VolumeObservation:
    """Make it, and show it; a half one is removed."""
    try:
        volume_checks.check_sources(run, plan)
        made = create_volume(run, plan)
        run.stop_if_asked()
    except (HostError, TaskFailed, Cancelled):
        run.take_back()
        raise
    run.show_pools({plan.pool})
    return made


def _still(run: Run, asked: VolumeWork) -> VolumeObservation:
    """The volume, if it is the one that was seen. Raises TaskFailed (volume_gone)."""
    found = run.call(lambda host: host.storage.find_volume(asked.pool, asked.name))
    if found is None or found.path != asked.path:
        raise TaskFailed(
            "volume_gone",
            N_("The volume is not there any more."),
            hint=N_("Somebody moved or deleted it. Read the pool anew."),
        )
    return found


def _refuse_pool_off(run: Run, asked: VolumeWork) -> None:
    """Raise TaskFailed (pool_off) that says how the file goes all the same."""
    if not run.call(lambda host: host.storage.is_pool_active(asked.pool)):
        raise TaskFailed(
            "pool_off",
            N_("The storage pool is off, so libvirt deletes nothing in it."),
            hint=N_("Start the pool first, or delete the file on its host: %(command)s"),
            params={"command": shlex.join(["rm", "--", asked.path])},
        )


def _runs(run: Run, vm: str) -> bool:
    return run.call(lambda host: host.read_vm(vm)).state.is_active


def _has_moved(run: Run, asked: VolumeMoving, vm: str | None) -> bool:
    """Whether an earlier run, which was interrupted, has come as far as the VM using the copy."""
    if not run.made or vm is None:
        return False
    copy = run.call(lambda host: host.storage.find_volume(asked.to.pool, asked.to.name))
    return copy is not None and run.call(lambda host: host.disks.is_at(vm, copy.path))


def _copy_off(run: Run, asked: VolumeMoving, vm: str | None) -> None:
    """Copy a volume on which nothing runs, and have the VM's definition name the copy."""
    run.say(None, N_("Copying the volume."))
    made = create_volume(run, asked.to, purpose=_purpose(asked, vm))
    run.stop_if_asked()
    if vm is not None:
        if _runs(run, vm):
            raise TaskFailed(
                "vm_active", N_("The VM was started meanwhile."), hint=N_("Ask again: it is moved live then.")
            )
        run.call(lambda host: host.disks.repoint(vm, asked.path, made.path, asked.to.format))


def _copy_live(run: Run, asked: VolumeMoving, vm: str) -> None:
    """Have QEMU copy the disk, and go on with the copy."""
    # QEMU copies only to what is exactly as large, and knows better than the pool how large that is.
    size = run.call(lambda host: host.disks.capacity(vm, asked.path))
    empty = asked.to.model_copy(update={"clone_of": None, "size_bytes": size})
    made = create_volume(run, empty, purpose=_purpose(asked, vm))
    on_progress = partial(_tell, run)
    run.host().disks.copy(vm, asked.path, made.path, asked.to.format, on_progress)
    run.call(lambda host: host.disks.repoint(vm, asked.path, made.path, asked.to.format))


def _purpose(asked: VolumeMoving, vm: str | None) -> dict[str, str]:
    return {} if vm is None else {"vm": vm, "moving": asked.path}


def _tell(run: Run, percent: int) -> None:
    run.stop_if_asked()
    run.say(percent, N_("Copying the disk while the VM runs."))
