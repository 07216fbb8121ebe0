"""Whether a volume is still unused, asked again in the task that is about to change it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from app.core.blueprint import DiskPlan
from app.core.errors import HostError
from app.core.messages import N_
from app.engine.run import Run, TaskFailed
from app.hypervisor.xml.disks import written_alone, written_together
from app.services import volume_users

MOST_HOSTS = 16  # that are asked over the network; what the inventory knows of the others counts as it is


def refuse_used(run: Run, pool: str, name: str, path: str, *, but: str = "") -> None:
    """Raise TaskFailed (volume_in_use) when anything uses the volume by now; the VM of UUID `but` does not count.

    Looks at what the inventory knows of all hosts, then at the VMs that this host, and others that surely have the
    same storage, have this moment.
    """
    look = partial(volume_users.look_again, host_id=run.job.host_id, pool_uuid=pool, name=name, but_uuid=but)
    use = run.write(look)
    names = list(use.users) or _vms_with(run, run.job.host_id, path, but)
    for host_id, elsewhere in sorted(use.places)[:MOST_HOSTS]:
        if not names and host_id != run.job.host_id:
            names = _vms_with(run, host_id, elsewhere, but)
    if names:
        raise _in_use(name, names)


def refuse_disk_in_use(run: Run, vm: str, disk: DiskPlan) -> None:
    """Raise TaskFailed (volume_in_use) when an existing volume that the VM is to write to has another user by now.

    One that it is to share may have users that only read it or share it, too.
    """
    if disk.new is not None or disk.path is None or disk.device != "disk" or disk.readonly:
        return
    if disk.shareable:
        _refuse_disk_of_others(run, vm, disk.path, alone=True)
        return
    place = run.write(partial(volume_users.volume_at, host_id=run.job.host_id, path=disk.path))
    if place is not None:
        refuse_used(run, *place, disk.path, but=vm)


def refuse_disks_in_use(run: Run, vm: str, xml: str, before: str | None = None) -> None:
    """Raise TaskFailed (volume_in_use) when a definition has the VM write to what another VM has as a disk.

    `before` is the VM's definition so far; what it writes to by that one is its own already.
    """
    known = [] if before is None else written_alone(before)
    for source in written_alone(xml):
        if source not in known:
            _refuse_disk_of_others(run, vm, source, alone=False)
    known += [] if before is None else written_together(before)
    for source in written_together(xml):
        if source not in known:
            _refuse_disk_of_others(run, vm, source, alone=True)


def _refuse_disk_of_others(run: Run, vm: str, source: str, *, alone: bool) -> None:
    """`alone`: only VMs count that write to the disk and do not declare it to be shared."""
    look = partial(volume_users.vms_at, host_id=run.job.host_id, source=source, but_uuid=vm, alone=alone)
    use = run.write(look)
    names = list(use.users)
    for host_id, path in sorted(use.places)[:MOST_HOSTS]:
        names = names or _vms_with(run, host_id, path, vm, alone=alone)
    if names:
        raise _in_use(source.rpartition("/")[2], names)


def _in_use(volume: str, names: Sequence[str]) -> TaskFailed:
    return TaskFailed(
        "volume_in_use",
        N_("The volume is in use."),
        why=N_("%(volume)s is used by: %(names)s."),
        hint=N_("Take it from them first."),
        params={"volume": volume, "names": ", ".join(names[:5])},
    )


def _vms_with(run: Run, host_id: str, path: str, but: str, *, alone: bool = False) -> list[str]:
    if host_id == run.job.host_id:
        return run.call(lambda host: host.disks.vms_with(path, but=but, alone=alone))
    try:
        return run.other(host_id).disks.vms_with(path, but=but, alone=alone)
    except (HostError, TaskFailed):
        return []  # what was last known of it has been looked at
