"""The catalogue of what tasks do: title and privilege of each kind, declared once."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.messages import N_
from app.core.vms.actions import VM_ACTIONS


@dataclass(frozen=True, slots=True)
class Work:
    """A kind of task: message id of its title, the privilege to ask for it, and how it behaves.

    `by_asker`: the program that asked drives it (an upload), so the engine leaves it alone.
    """

    kind: str
    title: str
    privilege: str
    cancellable: bool = False
    by_asker: bool = False


WORK: dict[str, Work] = {
    each.kind: each
    for each in (
        *(
            Work(f"vm.{action.verb.value}", action.title, action.privilege, action.cancellable)
            for action in VM_ACTIONS.values()
        ),
        Work("vm.create", N_("Create the VM"), "vm.create", cancellable=True),
        Work("vm.change", N_("Change the hardware"), "vm.edit"),
        Work("vm.define", N_("Change the definition"), "vm.edit_xml"),
        Work("vm.rename", N_("Rename the VM"), "vm.edit"),
        Work("vm.delete", N_("Delete the VM"), "vm.delete"),
        Work("vm.remove-seed", N_("Remove the cloud-init seed"), "vm.edit"),
        Work("vm.bring_back", N_("Bring the VM back"), "vm.delete"),
        Work("pool.create", N_("Create the storage pool"), "pool.edit"),
        Work("pool.change", N_("Change the storage pool"), "pool.edit"),
        Work("pool.define", N_("Restore the definition of the pool"), "pool.edit"),
        Work("pool.start", N_("Start the storage pool"), "pool.operate"),
        Work("pool.stop", N_("Stop the storage pool"), "pool.operate"),
        Work("pool.refresh", N_("Read the storage pool anew"), "pool.operate"),
        Work("pool.prove", N_("Find out who shares the storage pool"), "pool.operate"),
        Work("pool.delete", N_("Delete the storage pool"), "pool.edit"),
        Work("volume.create", N_("Create the volume"), "volume.edit", cancellable=True),
        Work("volume.resize", N_("Resize the volume"), "volume.edit"),
        Work("volume.clone", N_("Clone the volume"), "volume.edit", cancellable=True),
        Work("volume.move", N_("Move the volume"), "volume.edit", cancellable=True),
        Work("volume.wipe", N_("Wipe the volume"), "volume.delete", cancellable=True),
        Work("volume.delete", N_("Delete the volume"), "volume.delete"),
        Work("volume.upload", N_("Upload"), "volume.edit", cancellable=True, by_asker=True),
        Work("network.create", N_("Create the network"), "network.edit"),
        Work("network.change", N_("Change the network"), "network.edit"),
        Work("network.define", N_("Restore the definition of the network"), "network.edit"),
        Work("network.start", N_("Start the network"), "network.edit"),
        Work("network.stop", N_("Stop the network"), "network.edit"),
        Work("network.delete", N_("Delete the network"), "network.edit"),
        Work("filter.create", N_("Create the traffic filter"), "network.edit"),
        Work("filter.change", N_("Change the traffic filter"), "network.edit"),
        Work("filter.delete", N_("Delete the traffic filter"), "network.edit"),
        Work("image.import", N_("Import the image"), "image.edit", cancellable=True),
        Work("image.download", N_("Fetch the image"), "image.edit", cancellable=True),
        Work("image.copy", N_("Copy the image"), "image.edit", cancellable=True),
    )
}
BY_ASKER = tuple(kind for kind, each in WORK.items() if each.by_asker)
