"""What tasks do with the media of first boots."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from app.core.errors import HypervisorRefused, VmGone
from app.core.messages import N_
from app.core.vms.create import SeedRemoval
from app.engine import volume_use
from app.engine.operations import operation
from app.engine.run import Outcome, Run, TaskFailed
from app.hypervisor import Host
from app.services.vms import cloud_init_drives

T = TypeVar("T")


@operation("vm.remove-seed")
def remove(run: Run) -> Outcome:
    """Take the seed out of the VM's drive, which stays, and delete its volume."""
    seed = run.asked(SeedRemoval)
    if seed.uuid is not None:
        _eject(run, seed.uuid, seed)
    delete_volume(run, seed)
    return Outcome(N_("The cloud-init seed was removed."))


def delete_volume(run: Run, seed: SeedRemoval) -> None:
    """Delete the seed's volume, and forget that there was one. What is gone already is no error.

    Raises TaskFailed (volume_in_use) when anything but its VM uses it by now.
    """
    try:
        found = run.call(lambda host: host.storage.find_volume(seed.pool, seed.name))
        if found is not None:
            volume_use.refuse_used(run, seed.pool, seed.name, found.path, but=seed.uuid or "")
            run.call(lambda host: host.storage.delete_volume(seed.pool, seed.name))
    except HypervisorRefused as error:
        if error.code != "no_such_pool":
            raise
    run.write(partial(cloud_init_drives.forget, vm_id=seed.vm_id))
    run.show_pools({seed.pool})


def _eject(run: Run, uuid: str, seed: SeedRemoval) -> None:
    """Empty the drive where it holds the seed, in what runs and in what is saved. Raises TaskFailed."""
    moved = seed.vm_host is not None and seed.vm_host != run.job.host_id

    def ask(verb: Callable[[Host], T]) -> T:
        return verb(run.other(str(seed.vm_host))) if moved else run.call(verb)

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
            run.show(run.call(lambda host: host.read_vm(uuid)))
    except VmGone:
        return
