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
from app.engine import leftovers
from app.engine.operations import operation
from app.services.storage import task_checks, task_use
from app.services.storage.created_volumes import create_volume
from app.services.storage.pool_refresh import refresh_if_idle, refresh_pool
from app.tasks.context import TaskContext
from app.tasks.errors import Cancelled, TaskFailed
from app.tasks.operation import Outcome


@operation("volume.create")
def create(context: TaskContext) -> Outcome:
    """Make a volume; what is half made when it fails is removed."""
    plan = context.asked(VolumeMaking).volume
    made = _make(context, plan)
    return Outcome(
        N_("Volume %(name)s was made."), {"name": plan.name}, {"path": made.path, "name": plan.name}
    )


@operation("volume.clone")
def clone(context: TaskContext) -> Outcome:
    """Copy a volume."""
    plan = context.asked(VolumeMaking).volume
    made = _make(context, plan)
    return Outcome(
        N_("Volume %(name)s was copied."), {"name": plan.name}, {"path": made.path, "name": plan.name}
    )


@operation("volume.resize")
def resize(context: TaskContext) -> Outcome:
    """Change its size: by its running VM where there is one, else on the host."""
    asked = context.asked(VolumeResizing)
    found = _still(context, asked)
    if found.capacity_bytes != asked.size_bytes:
        task_checks.check(context, asked.path)
        if asked.size_bytes < found.capacity_bytes:
            task_use.refuse_used(context, asked.pool, asked.name, asked.path)
        if asked.vm is not None:
            vm = asked.vm
            context.call(lambda host: host.disks.grow(vm, asked.path, asked.size_bytes))
            refresh_if_idle(context, asked.pool)
        else:
            shrink = asked.shrink and asked.size_bytes < found.capacity_bytes
            context.call(
                lambda host: host.storage.resize_volume(
                    asked.pool, asked.name, asked.size_bytes, shrink=shrink
                )
            )
    context.show_pools({asked.pool})
    return Outcome(N_("The size was changed."), result={"size_bytes": asked.size_bytes})


@operation("volume.wipe")
def wipe(context: TaskContext) -> Outcome:
    """Overwrite it with zeros."""
    asked = context.asked(VolumeWork)
    found = _still(context, asked)
    task_checks.check_link(context, asked.pool, asked.name, asked.path)
    task_use.refuse_used(context, asked.pool, asked.name, asked.path)
    context.call(lambda host: host.storage.wipe_volume(asked.pool, asked.name))
    task_checks.record_made(context, asked.pool, found, "raw")
    if not is_same_format(found.format, "raw"):
        refresh_pool(context, asked.pool)
    context.show_pools({asked.pool})
    return Outcome(N_("The volume was overwritten."))


@operation("volume.delete")
def delete(context: TaskContext) -> Outcome:
    """Delete it; that it is gone already is no error."""
    asked = context.asked(VolumeWork)
    _refuse_pool_off(context, asked)
    found = context.call(lambda host: host.storage.find_volume(asked.pool, asked.name))
    if found is not None:
        _still(context, asked)
        task_use.refuse_used(context, asked.pool, asked.name, asked.path)
        context.call(lambda host: host.storage.delete_volume(asked.pool, asked.name))
    context.show_pools({asked.pool})
    return Outcome(N_("The volume was deleted."))


@operation("volume.move")
def move(context: TaskContext) -> Outcome:
    """Copy it to the other pool, have its VM use the copy, then delete the old one.

    Until the VM uses the copy, whatever fails removes the copy; after that, the old one. A run after an interruption
    goes on with the copy that there is.
    """
    asked = context.asked(VolumeMoving)
    vm = asked.vms[0] if asked.vms else None
    if context.noted(leftovers.MOVED) is None and not _has_moved(context, asked, vm):
        try:
            _still(context, asked)
            task_checks.check(context, asked.path, asked.to.clone_format)
            task_use.refuse_used(context, asked.pool, asked.name, asked.path, but=vm or "")
            if vm and _runs(context, vm):
                _copy_live(context, asked, vm)
            else:
                _copy_off(context, asked, vm)
        except (HostError, TaskFailed, Cancelled):
            if not _has_moved(context, asked, vm):
                context.roll_back()
                context.show_pools({asked.to.pool})
                raise
    users = _take_the_place(context, asked, vm)
    if vm is not None:
        context.show(context.call(lambda host: host.read_vm(vm)))
    context.show_pools({asked.pool, asked.to.pool})
    result = {"name": asked.to.name}
    if users:
        kept = N_("The volume was moved. The old one was left, since it is used by now by: %(names)s.")
        return Outcome(kept, {"names": users}, result)
    return Outcome(N_("The volume was moved."), result=result)


def _take_the_place(context: TaskContext, asked: VolumeMoving, vm: str | None) -> str | None:
    """From here on the copy is the volume: whatever happens, only the old one may be deleted, and only once.

    Return the names of those that use the old one by now, and for which it is kept.
    """
    moved = {"kind": leftovers.MOVED, "pool": asked.to.pool, "name": asked.to.name}
    if context.noted(leftovers.MOVED) is None:
        # In one write: a run after a crash would take the copy, which is in use, for a leftover.
        context.note(moved, instead_of=volume_note(asked.to.pool, asked.to.name))
    copy = context.call(lambda host: host.storage.find_volume(asked.to.pool, asked.to.name))
    if vm is not None and copy is not None:
        context.call(lambda host: host.disks.repoint(vm, asked.path, copy.path, asked.to.format))
    if context.noted(leftovers.MOVED, old="deleted") is None:
        try:  # the copy may have taken hours
            task_use.refuse_used(context, asked.pool, asked.name, asked.path, but=vm or "")
        except TaskFailed as refused:
            if refused.code != "volume_in_use":
                raise
            return str(refused.params["names"])
        context.call(lambda host: host.storage.delete_volume(asked.pool, asked.name))
        context.note({**moved, "old": "deleted"})
    return None


def _make(context: TaskContext, plan: VolumePlan) -> VolumeObservation:
    """Make it, and show it; a half one is removed."""
    try:
        task_checks.check_sources(context, plan)
        made = create_volume(context, plan)
        context.stop_if_asked()
    except (HostError, TaskFailed, Cancelled):
        context.roll_back()
        raise
    context.show_pools({plan.pool})
    return made


def _still(context: TaskContext, asked: VolumeWork) -> VolumeObservation:
    """The volume, if it is the one that was seen. Raises TaskFailed (volume_gone)."""
    found = context.call(lambda host: host.storage.find_volume(asked.pool, asked.name))
    if found is None or found.path != asked.path:
        raise TaskFailed(
            "volume_gone",
            N_("The volume is not there any more."),
            hint=N_("Somebody moved or deleted it. Read the pool anew."),
        )
    return found


def _refuse_pool_off(context: TaskContext, asked: VolumeWork) -> None:
    """Raise TaskFailed (pool_off) that says how the file goes all the same."""
    if not context.call(lambda host: host.storage.is_pool_active(asked.pool)):
        raise TaskFailed(
            "pool_off",
            N_("The storage pool is off, so libvirt deletes nothing in it."),
            hint=N_("Start the pool first, or delete the file on its host: %(command)s"),
            params={"command": shlex.join(["rm", "--", asked.path])},
        )


def _runs(context: TaskContext, vm: str) -> bool:
    return context.call(lambda host: host.read_vm(vm)).state.is_active


def _has_moved(context: TaskContext, asked: VolumeMoving, vm: str | None) -> bool:
    """Whether an earlier run, which was interrupted, has come as far as the VM using the copy."""
    if not context.made or vm is None:
        return False
    copy = context.call(lambda host: host.storage.find_volume(asked.to.pool, asked.to.name))
    return copy is not None and context.call(lambda host: host.disks.is_at(vm, copy.path))


def _copy_off(context: TaskContext, asked: VolumeMoving, vm: str | None) -> None:
    """Copy a volume on which nothing runs, and have the VM's definition name the copy."""
    context.say(None, N_("Copying the volume."))
    made = create_volume(context, asked.to, purpose=_purpose(asked, vm))
    context.stop_if_asked()
    if vm is not None:
        if _runs(context, vm):
            raise TaskFailed(
                "vm_active", N_("The VM was started meanwhile."), hint=N_("Ask again: it is moved live then.")
            )
        context.call(lambda host: host.disks.repoint(vm, asked.path, made.path, asked.to.format))


def _copy_live(context: TaskContext, asked: VolumeMoving, vm: str) -> None:
    """Have QEMU copy the disk, and go on with the copy."""
    # QEMU copies only to what is exactly as large, and knows better than the pool how large that is.
    size = context.call(lambda host: host.disks.capacity(vm, asked.path))
    empty = asked.to.model_copy(update={"clone_of": None, "size_bytes": size})
    made = create_volume(context, empty, purpose=_purpose(asked, vm))
    on_progress = partial(_tell, run)
    context.host().disks.copy(vm, asked.path, made.path, asked.to.format, on_progress)
    context.call(lambda host: host.disks.repoint(vm, asked.path, made.path, asked.to.format))


def _purpose(asked: VolumeMoving, vm: str | None) -> dict[str, str]:
    return {} if vm is None else {"vm": vm, "moving": asked.path}


def _tell(context: TaskContext, percent: int) -> None:
    context.stop_if_asked()
    context.say(percent, N_("Copying the disk while the VM runs."))
