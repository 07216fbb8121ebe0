"""Volumes that tasks create: told from those of others by more than their name, also after a crash.

Before a volume is created, the task notes that it is requested. Only the host's answer, that the volume was created,
makes it the task's own, and only what is its own is ever deleted again. See `core.storage.created_volumes`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial

from app.core.errors import HypervisorRefused
from app.core.messages import N_
from app.core.storage.created_volumes import CREATED, FOUND, REQUESTED, VOLUME, marked_size, volume_note
from app.core.storage.observations import VolumeObservation
from app.core.vms.config import VolumePlan
from app.hypervisor import Host
from app.services.storage.pools.refresh import refresh_if_idle
from app.services.storage.pools.same_storage import is_shared
from app.services.storage.volumes.checks import task_checks
from app.tasks.context import CALM_S, LOOK_EVERY_S, OUTCOME_WAIT_S, Lost, TaskContext
from app.tasks.errors import TaskFailed, outcome_unknown

WAIT_S = 0.5
BOOT_TOLERANCE_S = 120
LEAST_SHARE = 0.9  # of what the original takes on disk; a copy that takes less may be half of one


def create_volume(
    context: TaskContext,
    plan: VolumePlan,
    *,
    purpose: Mapping[str, str] | None = None,
    has_content: bool = True,
) -> VolumeObservation:
    """Create the volume, or go on with what an earlier run of the task created.

    `purpose` goes into the note: the VM (`vm`) that gets it, which keeps it from being deleted once it has it. Its
    format is recorded, unless its content is still to come (`has_content`). Raises HostError, TaskFailed
    (volume_exists, volume_in_doubt).
    """
    note = context.noted(VOLUME, pool=plan.pool, name=plan.name)
    found = find(context, plan)
    if found is None:
        created = _create(context, plan, purpose or {})
    elif note is None:
        raise volume_exists(plan.name)
    else:
        created = _resume(context, plan, note, found)
    if has_content:
        task_checks.record_created(context, plan.pool, created, plan.format)
    return created


def find(context: TaskContext, plan: VolumePlan) -> VolumeObservation | None:
    """The volume of that name, as the host's storage has it now: what another host made on shared storage counts."""
    shared = partial(is_shared, host_id=context.job.host_id, pool_uuid=plan.pool)
    if context.write(shared):
        refresh_if_idle(context, plan.pool)
    return context.call(lambda host: host.storage.find_volume(plan.pool, plan.name))


def volume_exists(name: str) -> TaskFailed:
    """Somebody else has made a volume of this name."""
    return TaskFailed(
        "volume_exists",
        N_("The pool has a volume of this name by now."),
        why=N_("Volume “%(name)s” was not made by this task."),
        hint=N_("Choose another name for the volume, or another pool."),
        params={"name": name},
    )


def _create(context: TaskContext, plan: VolumePlan, purpose: Mapping[str, str]) -> VolumeObservation:
    size = marked_size(plan)
    note = volume_note(plan.pool, plan.name) | {
        "state": REQUESTED,
        "boot": _boot(context),
        **purpose,
    }
    if size is not None:
        note["size"] = str(size)
    context.note(note)
    try:
        created = _send(context, plan, note)
    except Lost as error:
        return _after_loss(context, plan, note, error.code)
    except HypervisorRefused as error:
        context.drop_note(note)  # it was refused, so what is there by this name is somebody else's
        if error.code == "volume_exists":
            raise volume_exists(plan.name) from None
        raise
    return _created(context, plan, note, created)


def _send(context: TaskContext, plan: VolumePlan, note: Mapping[str, str]) -> VolumeObservation:
    size = int(note.get("size", plan.size_bytes))
    return context.host().storage.create_volume(plan.model_copy(update={"size_bytes": size}))


def _after_loss(
    context: TaskContext, plan: VolumePlan, note: Mapping[str, str], code: str
) -> VolumeObservation:
    """The connection was lost before the host had answered; `code` says how.

    It is asked for again only when the first request cannot be at work any more, as with the power verbs of VMs.
    Neither a name nor the time that passed tells whose a volume is: `_resume` judges what is there.
    """
    found = _shown(context, plan, note)
    if found is None and code == "connection_ended":
        try:
            return _created(context, plan, note, _send(context, plan, note))
        except Lost:
            found = _shown(context, plan, note)
        except HypervisorRefused as error:
            if error.code != "volume_exists":
                context.drop_note(note)
                raise
            found = context.call(lambda host: host.storage.find_volume(plan.pool, plan.name))
    if found is None:
        raise _unknown(context, note)
    return _resume(context, plan, note, found)


def _unknown(context: TaskContext, note: Mapping[str, str]) -> TaskFailed:
    context.leave(note)  # the volume may come yet
    return outcome_unknown()


def _shown(context: TaskContext, plan: VolumePlan, note: Mapping[str, str]) -> VolumeObservation | None:
    """The volume as the host, back again, shows it; None once the host has answered for a while without it.

    Raises TaskFailed: outcome_unknown, or host_lost while the host does not come back.
    """
    deadline = time.monotonic() + OUTCOME_WAIT_S
    calm_since: float | None = None
    while calm_since is None or time.monotonic() - calm_since < CALM_S:
        try:
            found = context.host().storage.find_volume(plan.pool, plan.name)
        except Lost:
            calm_since = None
        else:
            if found is not None:
                return found
            calm_since = calm_since or time.monotonic()
        if time.monotonic() > deadline:
            raise _unknown(context, note)
        context.pause(LOOK_EVERY_S)
    return None


def _resume(
    context: TaskContext, plan: VolumePlan, note: Mapping[str, str], found: VolumeObservation
) -> VolumeObservation:
    if note["state"] == CREATED or note.get("size") == str(found.capacity_bytes):
        return _created(context, plan, note, found)
    if note["state"] == FOUND:
        return _grown(context, plan, found)
    whole = _finished(context, plan, note)
    if whole is None:
        context.leave(note)
        raise TaskFailed(
            "volume_in_doubt",
            N_("The pool has a volume of this name, and it is not certain that this task made it."),
            why=N_("Vigie or the connection was interrupted while volume “%(name)s” was being created."),
            hint=N_("It was left as it is. Delete it if nobody needs it, then try again."),
            params={"name": plan.name},
        )
    # It counts as the result, but it is never deleted again: that this task made it is likely, not certain.
    context.note({**note, "state": FOUND})
    return _grown(context, plan, whole)


def _created(
    context: TaskContext, plan: VolumePlan, note: Mapping[str, str], created: VolumeObservation
) -> VolumeObservation:
    context.note({**note, "state": CREATED})
    return _grown(context, plan, created)


def _grown(context: TaskContext, plan: VolumePlan, created: VolumeObservation) -> VolumeObservation:
    if created.capacity_bytes >= plan.size_bytes:
        return created
    context.call(lambda host: host.storage.resize_volume(plan.pool, plan.name, plan.size_bytes, shrink=False))
    return context.call(lambda host: host.storage.find_volume(plan.pool, plan.name)) or created


def _finished(context: TaskContext, plan: VolumePlan, note: Mapping[str, str]) -> VolumeObservation | None:
    """A volume that is exactly what this task asked for, once it is whole; None when there is any doubt of that."""
    if "size" in note or _is_other_boot(note.get("boot", ""), _boot(context)):
        return None  # after a power cut, half a copy looks like a whole one
    while context.call(lambda host: host.storage.is_being_created(plan.pool, plan.name)):
        context.stop_if_cancelled()
        context.say(None, N_("Waiting for the host to finish the copy."))
        context.pause(WAIT_S)
    found = context.call(lambda host: host.storage.find_volume(plan.pool, plan.name))
    sizes, least = {plan.size_bytes}, LEAST_SHARE * plan.size_bytes if plan.preallocate else 0
    if plan.clone_of:
        source = plan.clone_of
        origin = context.call(lambda host: host.storage.find_path(source))
        if origin is None:
            return None
        sizes, least = sizes | {origin.capacity_bytes}, LEAST_SHARE * origin.allocation_bytes
    formats = {plan.format} if plan.format == "qcow2" else {"raw", "iso", "none", None}
    if found is None or found.format not in formats or found.capacity_bytes not in sizes:
        return None
    return found if found.backing_path == plan.backing_path and found.allocation_bytes >= least else None


def _boot(context: TaskContext) -> str:
    return str(context.call(_booted_at) or "")


def _booted_at(host: Host) -> int | None:
    return host.booted_at()


def _is_other_boot(before: str, now: str) -> bool:
    if not before or not now:
        return before != now
    return abs(int(before) - int(now)) > BOOT_TOLERANCE_S
