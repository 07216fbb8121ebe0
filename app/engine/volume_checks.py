"""Checks of volumes in tasks: in the step that uses one, immediately before."""

from __future__ import annotations

from functools import partial

from app.core.blueprint import DiskPlan, VolumePlan
from app.core.views import VolumeObservation
from app.engine.run import Run, TaskFailed
from app.hypervisor.xml.read import read_vm
from app.services import volume_records
from app.services.volume_checks import (
    VolumeAccess,
    VolumeRefused,
    check_volume,
    is_volume,
    refuse_link,
)
from app.services.volume_records import RecordedVolume


def check(run: Run, path: str, format: str | None = None) -> str:
    """Check a volume of the task's host and all that it is built on; return its recorded format.

    Raises TaskFailed (volume_refused), also when `format` is another.
    """
    try:
        return check_volume(_access(run), path, format=format)
    except VolumeRefused as refused:
        raise _failed(refused) from None


def check_sources(run: Run, plan: VolumePlan) -> None:
    """Check what a new volume is copied from or built on. Raises TaskFailed (volume_refused)."""
    if plan.clone_of is not None:
        check(run, plan.clone_of, plan.clone_format)
    if plan.backing_path is not None:
        check(run, plan.backing_path, plan.backing_format)


def check_disk(run: Run, disk: DiskPlan) -> None:
    """Check the volume that a disk or drive gets, or what its new volume is made from. Raises TaskFailed."""
    if disk.new is not None:
        check_sources(run, disk.new)
    elif disk.path is not None:
        check(run, disk.path, disk.format)


def check_definition(run: Run, uuid: str, xml: str) -> None:
    """Check the volumes of disks that a new definition adds, or reads in another format than before.

    What lies in no pool is not for here: whether it may be named is a question of host access. Raises TaskFailed.
    """
    before = run.call(lambda host: host.read_vm(uuid))
    known = {
        (disk.source, disk.format)
        for each in (before.saved, before.definition)
        if each is not None
        for disk in each.disks
    }
    for disk in read_vm(xml).disks:
        is_new = disk.source is not None and (disk.source, disk.format) not in known
        if is_new and disk.source and is_volume(_access(run), disk.source):
            check(run, disk.source, disk.format or volume_records.RAW)


def check_link(run: Run, pool: str, name: str, path: str) -> None:
    """Refuse to write to a volume that is a symbolic link. Raises TaskFailed (volume_refused)."""
    find = partial(volume_records.find_recorded, host_id=run.job.host_id, path=path)
    recorded = run.write(find) or RecordedVolume(None, pool, name, path, volume_records.RAW)
    try:
        refuse_link(_access(run), recorded)
    except VolumeRefused as refused:
        raise _failed(refused) from None


def record_made(run: Run, pool: str, made: VolumeObservation, format: str) -> None:
    """Record the format that the task made a volume with."""
    record = partial(volume_records.record_made, host_id=run.job.host_id, pool=pool, made=made, format=format)
    run.write(record)


def _access(run: Run) -> VolumeAccess:
    return VolumeAccess(run.job.host_id, run.call, run.write)


def _failed(refused: VolumeRefused) -> TaskFailed:
    return TaskFailed(refused.code, refused.title, why=refused.why, hint=refused.hint, params=refused.params)
