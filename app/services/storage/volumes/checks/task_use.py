"""Whether a volume is still unused, asked again in the task that is about to change it."""

from __future__ import annotations

from functools import partial

from app.core.errors import HostError
from app.core.messages import N_
from app.core.vms.config import DiskPlan
from app.hypervisor.xml.domains.disks import written_alone, written_together
from app.services.storage.volumes import users
from app.services.storage.volumes.users import VolumeUse
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed

MAX_HOSTS_ASKED = (
    16  # that are asked over the network; what the inventory knows of the others counts as it is
)


def refuse_used_by_now(context: TaskContext, pool: str, name: str, path: str, *, but: str = "") -> None:
    """Raise TaskFailed (volume_in_use) when anything uses the volume by now; the VM of UUID `but` does not count.

    Looks at what the inventory knows of all hosts, then at the VMs that this host, and others that surely have the
    same storage, have this moment.
    """
    look = partial(users.check_again, host_id=context.job.host_id, pool_uuid=pool, name=name, but_uuid=but)
    _refuse(context, context.write(look), name, path, but)


def refuse_disk_in_use(context: TaskContext, vm: str, disk: DiskPlan) -> None:
    """Raise TaskFailed (volume_in_use) when an existing volume that the VM is to write to has another user by now.

    One that it is to share may have users that share it, too.
    """
    if disk.new is not None or disk.path is None or disk.device == "cdrom" or disk.readonly:
        return
    if disk.shareable:
        _refuse_disk_of_others(context, vm, disk.path, alone=True)
        return
    place = context.write(partial(users.volume_at, host_id=context.job.host_id, path=disk.path))
    if place is not None:
        refuse_used_by_now(context, *place, disk.path, but=vm)


def refuse_disks_in_use(context: TaskContext, vm: str, xml: str, before: str | None = None) -> None:
    """Raise TaskFailed (volume_in_use) when a definition has the VM write to what something else uses.

    `before` is the VM's definition so far; what it writes to by that one is its own already.
    """
    known = [] if before is None else written_alone(before)
    for source in written_alone(xml):
        if source not in known:
            _refuse_disk_of_others(context, vm, source, alone=False)
    known += [] if before is None else written_together(before)
    for source in written_together(xml):
        if source not in known:
            _refuse_disk_of_others(context, vm, source, alone=True)


def _refuse_disk_of_others(context: TaskContext, vm: str, source: str, *, alone: bool) -> None:
    """`alone`: VMs that declare the disk to be shared do not count."""
    look = partial(users.use_at, host_id=context.job.host_id, source=source, but_uuid=vm, alone=alone)
    _refuse(context, context.write(look), source.rpartition("/")[2], source, vm, alone=alone)


def _refuse(
    context: TaskContext, use: VolumeUse, name: str, source: str, but: str, *, alone: bool = False
) -> None:
    """Raise when the inventory knows a user, or a VM of this host, then of the others that have the volume, has it."""
    names = list(use.users) or _vms_with(context, context.job.host_id, source, but, alone=alone)
    for host_id, elsewhere in sorted(use.places)[:MAX_HOSTS_ASKED]:
        if not names and host_id != context.job.host_id:
            names = _vms_with(context, host_id, elsewhere, but, alone=alone)
    if names:
        raise TaskFailed(
            "volume_in_use",
            N_("The volume is in use."),
            why=N_("%(volume)s is used by: %(names)s."),
            hint=N_("Take it from them first."),
            params={"volume": name, "names": ", ".join(names[:5])},
        )


def _vms_with(context: TaskContext, host_id: str, source: str, but: str, *, alone: bool) -> list[str]:
    if host_id == context.job.host_id:
        return context.call(lambda host: host.disks.vms_with(source, but=but, alone=alone))
    try:
        return context.other(host_id).disks.vms_with(source, but=but, alone=alone)
    except (HostError, TaskFailed):
        return []  # what was last known of it has been looked at
