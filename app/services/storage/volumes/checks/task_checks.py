"""Checks of volumes in tasks: in the step that uses one, immediately before."""

from __future__ import annotations

import posixpath
from collections.abc import Collection
from functools import partial

from app.core.errors import HypervisorRefused
from app.core.messages import N_
from app.core.storage.observations import VolumeObservation
from app.core.storage.states import RAW
from app.core.vms.config import DiskPlan, VmConfig, VolumePlan
from app.hypervisor.xml.domains.boot_files import boot_files
from app.hypervisor.xml.domains.disks import layers
from app.services.storage.volumes import records
from app.services.storage.volumes.checks.content_checks import (
    VolumeAccess,
    VolumeRefused,
    check_volume,
    is_volume,
    refuse_link,
)
from app.services.storage.volumes.records import RecordedVolume
from app.services.vms.cloud_init import known_drives
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed


def check(context: TaskContext, path: str, format: str | None = None) -> str:
    """Check a volume of the task's host and all that it is built on; return its recorded format.

    Raises TaskFailed (volume_refused), also when `format` is another.
    """
    try:
        return check_volume(_access(context), path, format=format)
    except VolumeRefused as refused:
        raise _failed(refused) from None


def check_sources(context: TaskContext, plan: VolumePlan) -> None:
    """Check what a new volume is copied from or built on. Raises TaskFailed (volume_refused)."""
    if plan.clone_of is not None:
        check(context, plan.clone_of, plan.clone_format)
    if plan.backing_path is not None:
        check(context, plan.backing_path, plan.backing_format)


def check_disk(context: TaskContext, disk: DiskPlan) -> None:
    """Check the volume that a disk or drive gets, or what its new volume is made from. Raises TaskFailed."""
    if disk.new is not None:
        check_sources(context, disk.new)
    elif disk.path is not None:
        check(context, disk.path, disk.format)


def check_boot_files(context: TaskContext, plan: VmConfig) -> None:
    """Check the volumes that QEMU loads as kernel and initrd. Raises TaskFailed (volume_refused)."""
    for path in (plan.kernel_path, plan.initrd_path):
        if path is not None:
            check(context, path, RAW)


def check_definition(context: TaskContext, uuid: str, xml: str) -> None:
    """Check the volumes of disks, kernel and initrd that a new definition adds, or reads in another format than before.

    What lies in no pool is not for here: whether it may be named is a question of host access. Raises TaskFailed.
    """
    before = context.call(lambda host: host.read_vm(uuid))
    texts = [item.xml for item in (before.saved, before.definition) if item is not None]
    _refuse_cloud_init_drives(context, xml, texts)
    known = {layer for text in texts for layer in _layers(text)}
    for source, format in _unknown(xml, known):
        path = _path_of(context, source) or source
        if is_volume(_access(context), path):
            check(context, path, format)


def check_existing(context: TaskContext, xml: str, before: str | None = None) -> None:
    """Check the volumes of a definition of earlier: they may have been made anew since, and hold what a guest wrote.

    What `before`, the VM's definition by now, names in the same format is its own. A disk that is missing holds
    nothing that could harm. Raises TaskFailed.
    """
    _refuse_cloud_init_drives(context, xml, [] if before is None else [before])
    for source, format in _unknown(xml, [] if before is None else _layers(before)):
        path = _path_of(context, source)
        if path is not None:
            check(context, path, format)


def _refuse_cloud_init_drives(context: TaskContext, xml: str, before: Collection[str]) -> None:
    """Refuse a definition that names the cloud-init drive of another VM. Raises TaskFailed (volume_is_cloud_init_drive)."""
    find = partial(
        known_drives.find_cloud_init_drive_in,
        vm_id=context.job.target_id,
        host_id=context.job.host_id,
        xml=xml,
        before=before,
    )
    name = context.write(find)
    if name is not None:
        raise TaskFailed(
            "volume_is_cloud_init_drive",
            N_("The definition names the cloud-init drive of another VM."),
            why=known_drives.HELD_BACK,
            hint=known_drives.GOES,
            params={"name": name},
        )


def _unknown(xml: str, known: Collection[tuple[str, str | None]]) -> list[tuple[str, str]]:
    """Sources in a definition that are not known in the format that it gives, with that. Raises UnreadableXml."""
    new = [layer for layer in _layers(xml) if layer not in known]
    return [(source, format or RAW) for source, format in new]


def _layers(xml: str) -> list[tuple[str, str | None]]:
    """Sources of disks and what they are built on, kernel and initrd, with their formats. Raises UnreadableXml."""
    return [*layers(xml), *((path, RAW) for path in boot_files(xml))]


def _path_of(context: TaskContext, source: str) -> str | None:
    """Where the host has the volume that a definition names, by path or as `pool/volume`; None when it has none.

    Raises TaskFailed (volume_refused) while its pool is off, so that nobody can look at it.
    """
    pool, _, name = source.partition("/")
    if not pool:
        path = posixpath.normpath(source)
        try:
            return context.call(lambda host: host.storage.locate(path))[1].path
        except HypervisorRefused as error:
            if error.code not in ("no_such_volume", "no_such_pool"):
                raise
        recorded = context.write(partial(records.find_recorded, host_id=context.job.host_id, path=path))
        if recorded is None:
            return None
        pool, name = recorded.pool, recorded.name
    try:
        found = context.call(lambda host: host.storage.find_volume(pool, name))
    except HypervisorRefused as error:
        if error.code == "no_such_pool":
            return None
        if error.code != "wrong_state":
            raise
        raise TaskFailed(
            "volume_refused",
            N_("The volume cannot be used."),
            why=N_("%(path)s lies in a storage pool that is off, so nobody can look at it."),
            hint=N_("Start the pool, and try again."),
            params={"path": source},
        ) from None
    return None if found is None else found.path


def check_link(context: TaskContext, pool: str, name: str, path: str) -> None:
    """Refuse to write to a volume that is a symbolic link. Raises TaskFailed (volume_refused)."""
    find = partial(records.find_recorded, host_id=context.job.host_id, path=path)
    recorded = context.write(find) or RecordedVolume(None, pool, name, path, RAW)
    try:
        refuse_link(_access(context), recorded)
    except VolumeRefused as refused:
        raise _failed(refused) from None


def record_created(context: TaskContext, pool: str, created: VolumeObservation, format: str) -> None:
    """Record the format that the task made a volume with."""
    record = partial(
        records.record_created, host_id=context.job.host_id, pool=pool, created=created, format=format
    )
    context.write(record)


def _access(context: TaskContext) -> VolumeAccess:
    return VolumeAccess(context.job.host_id, context.call, context.write)


def _failed(refused: VolumeRefused) -> TaskFailed:
    return TaskFailed(refused.code, refused.title, why=refused.why, hint=refused.hint, params=refused.params)
