"""Whether a volume is still unused, asked again in the task that is about to change it."""

from __future__ import annotations

from functools import partial

from app.core.blueprint import DiskPlan
from app.core.errors import HostError
from app.core.messages import N_
from app.engine.run import Run, TaskFailed
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
        raise TaskFailed(
            "volume_in_use",
            N_("The volume is in use."),
            why=N_("%(volume)s is used by: %(names)s."),
            hint=N_("Take it from them first."),
            params={"volume": name, "names": ", ".join(names[:5])},
        )


def refuse_disk_in_use(run: Run, vm: str, disk: DiskPlan) -> None:
    """Raise TaskFailed (volume_in_use) when an existing volume that the VM is to write to has another user by now."""
    if disk.new is not None or disk.path is None or disk.device != "disk" or disk.readonly or disk.shareable:
        return
    place = run.write(partial(volume_users.volume_at, host_id=run.job.host_id, path=disk.path))
    if place is not None:
        refuse_used(run, *place, disk.path, but=vm)


def _vms_with(run: Run, host_id: str, path: str, but: str) -> list[str]:
    if host_id == run.job.host_id:
        return run.call(lambda host: host.disks.vms_with(path, but=but))
    try:
        return run.other(host_id).disks.vms_with(path, but=but)
    except (HostError, TaskFailed):
        return []  # what was last known of it has been looked at
