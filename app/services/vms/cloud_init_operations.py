"""What tasks do with the media of first boots."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from app.core.errors import HypervisorRefused, VmGone
from app.core.messages import N_
from app.core.vms.create import SeedRemoval
from app.engine.operations import operation
from app.hypervisor import Host
from app.services.storage import task_use
from app.services.vms import cloud_init_drives
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed
from app.tasks.operation import Outcome

T = TypeVar("T")


@operation("vm.remove-seed")
def remove(context: TaskContext) -> Outcome:
    """Take the seed out of the VM's drive, which stays, and delete its volume."""
    seed = context.asked(SeedRemoval)
    if seed.uuid is not None:
        _eject(context, seed.uuid, seed)
    delete_volume(context, seed)
    return Outcome(N_("The cloud-init seed was removed."))


def delete_volume(context: TaskContext, seed: SeedRemoval) -> None:
    """Delete the seed's volume, and forget that there was one. What is gone already is no error.

    Raises TaskFailed (volume_in_use) when anything but its VM uses it by now.
    """
    try:
        found = context.call(lambda host: host.storage.find_volume(seed.pool, seed.name))
        if found is not None:
            task_use.refuse_used(context, seed.pool, seed.name, found.path, but=seed.uuid or "")
            context.call(lambda host: host.storage.delete_volume(seed.pool, seed.name))
    except HypervisorRefused as error:
        if error.code != "no_such_pool":
            raise
    context.write(partial(cloud_init_drives.forget, vm_id=seed.vm_id))
    context.show_pools({seed.pool})


def _eject(context: TaskContext, uuid: str, seed: SeedRemoval) -> None:
    """Empty the drive where it holds the seed, in what runs and in what is saved. Raises TaskFailed."""
    moved = seed.vm_host is not None and seed.vm_host != context.job.host_id

    def ask(verb: Callable[[Host], T]) -> T:
        return verb(context.other(str(seed.vm_host))) if moved else context.call(verb)

    try:
        held = ask(lambda host: host.hardware.holds(uuid, seed.target, seed.name))
        if held and not ask(lambda host: host.hardware.change_medium(uuid, seed.target, None)).now:
            raise TaskFailed(
                "seed_in_use",
                N_("The guest holds the CD with its cloud-init seed."),
                why=N_("Drive %(target)s cannot be emptied now."),
                hint=N_("Vigie tries again; shut the VM down to have it removed at once."),
                params={"target": seed.target},
            )
        if not moved:
            context.show(context.call(lambda host: host.read_vm(uuid)))
    except VmGone:
        return
