"""Changes of a VM's disks, drives, interfaces, host devices and shared filesystems."""

from __future__ import annotations

from typing import Literal

from app.core.errors import HostError
from app.core.messages import N_
from app.core.vms.compute import DiskPatch
from app.core.vms.config import DiskPlan, NicPlan
from app.core.vms.host_devices import DevicePlan, FilesystemAdd
from app.db.models import Network
from app.hypervisor.domains.effects import Effect
from app.services.library.image_copy import fetch
from app.services.storage.reread import reread_pools
from app.services.storage.volumes.checks import task_checks, task_use
from app.services.storage.volumes.steps.created_volumes import create_volume
from app.services.vms.device_touches import touched_by_nic
from app.services.vms.reconfigure.change_base import Change
from app.services.vms.reconfigure.guard import DefinitionGuard
from app.tasks.context import TaskContext
from app.tasks.errors import Cancelled, TaskFailed
from app.tasks.operation import Touch

DISKS, NICS = N_("Disks"), N_("Network interfaces")
HOST_DEVICES, FILESYSTEMS = N_("Devices of the host"), N_("Shared filesystems")


class AddDisk(Change):
    """One more disk or drive."""

    do: Literal["add_disk"] = "add_disk"
    disk: DiskPlan

    @property
    def part(self) -> str:
        """The disks."""
        return DISKS

    @property
    def disk_plan(self) -> DiskPlan | None:
        """The new disk."""
        return self.disk

    def apply(self, context: TaskContext, uuid: str, guard: DefinitionGuard) -> Effect:
        """Make its volume first, if it has one to make; that goes again when the disk cannot be added."""
        disk = self.disk
        if disk.fetch is not None:
            fetch(context, disk.fetch)
        task_checks.check_disk(context, disk)
        task_use.refuse_disk_in_use(context, uuid, disk)
        wanted = disk.new
        if wanted is None:
            guard.begin()
            return context.call(lambda host: host.hardware.add_disk(uuid, disk))
        context.say(0, N_("Making volume %(name)s."), name=wanted.name)
        try:
            volume = create_volume(context, wanted, purpose={"vm": uuid})
            plan = disk.with_volume(volume.kind, volume.path)
            guard.begin()
            effect = context.call(lambda host: host.hardware.add_disk(uuid, plan))
        except (HostError, TaskFailed, Cancelled):
            context.roll_back()
            raise
        reread_pools(context, {wanted.pool})
        return effect


class ChangeDisk(Change):
    """Cache, limits and the like of a disk."""

    do: Literal["disk"] = "disk"
    target: str
    drive: DiskPatch

    @property
    def part(self) -> str:
        """The disks."""
        return DISKS

    def apply(self, context: TaskContext, uuid: str, guard: DefinitionGuard) -> Effect:
        """Change it."""
        guard.begin()
        return context.call(lambda host: host.hardware.change_disk(uuid, self.target, self.drive))


class ChangeMedia(Change):
    """Another image in a CD or floppy drive, or none."""

    do: Literal["media"] = "media"
    target: str
    disk: DiskPlan | None = None

    @property
    def part(self) -> str:
        """The disks."""
        return DISKS

    @property
    def disk_plan(self) -> DiskPlan | None:
        """The drive with its image."""
        return self.disk

    def apply(self, context: TaskContext, uuid: str, guard: DefinitionGuard) -> Effect:
        """Fetch the image if the host lacks it, and put it in."""
        if self.disk is not None:
            if self.disk.fetch is not None:
                fetch(context, self.disk.fetch)
            task_checks.check_disk(context, self.disk)
        guard.begin()
        return context.call(lambda host: host.hardware.change_media(uuid, self.target, self.disk))


class AddNic(Change):
    """One more network interface."""

    do: Literal["add_nic"] = "add_nic"
    nic: NicPlan

    @property
    def part(self) -> str:
        """The interfaces."""
        return NICS

    def touches(self) -> tuple[Touch, ...]:
        """The network that it is connected to."""
        return touched_by_nic(self.nic)

    def apply(self, context: TaskContext, uuid: str, guard: DefinitionGuard) -> Effect:
        """Add it."""
        guard.begin()
        return context.call(lambda host: host.hardware.add_nic(uuid, self.nic))


class ChangeNic(Change):
    """Link, network, filter or rates of an interface; what is left out stays."""

    do: Literal["nic"] = "nic"
    mac: str
    link_up: bool | None = None
    network: str | None = None
    network_id: str | None = None
    filter: str | None = None
    in_kbps: int | None = None
    out_kbps: int | None = None

    @property
    def part(self) -> str:
        """The interfaces."""
        return NICS

    def touches(self) -> tuple[Touch, ...]:
        """The network that it is connected to from now on."""
        return () if self.network_id is None else (Touch(Network, self.network_id, "network.use"),)

    def apply(self, context: TaskContext, uuid: str, guard: DefinitionGuard) -> Effect:
        """Change it."""
        guard.begin()
        return context.call(
            lambda host: host.hardware.change_nic(
                uuid,
                self.mac,
                link_up=self.link_up,
                network=self.network,
                filter=self.filter,
                in_kbps=self.in_kbps,
                out_kbps=self.out_kbps,
            )
        )


class RemoveDevice(Change):
    """A disk (by target) or interface (by MAC address) less; its volume stays."""

    do: Literal["remove"] = "remove"
    target: str

    @property
    def part(self) -> str:
        """The interfaces, or the disks."""
        return NICS if ":" in self.target else DISKS

    def apply(self, context: TaskContext, uuid: str, guard: DefinitionGuard) -> Effect:
        """Remove it."""
        guard.begin()
        return context.call(lambda host: host.hardware.remove(uuid, self.target))


class AddHostDevice(Change):
    """A device of the host."""

    privilege = "vm.host-access"

    do: Literal["add_device"] = "add_device"
    device: DevicePlan

    @property
    def part(self) -> str:
        """The host's devices."""
        return HOST_DEVICES

    def apply(self, context: TaskContext, uuid: str, guard: DefinitionGuard) -> Effect:
        """Add it."""
        guard.begin()
        return context.call(lambda host: host.hardware.add_device(uuid, self.device))


class RemoveHostDevice(Change):
    """A device of the host less, by its address."""

    do: Literal["remove_device"] = "remove_device"
    target: str

    @property
    def part(self) -> str:
        """The host's devices."""
        return HOST_DEVICES

    def apply(self, context: TaskContext, uuid: str, guard: DefinitionGuard) -> Effect:
        """Remove it."""
        guard.begin()
        return context.call(lambda host: host.hardware.remove_device(uuid, self.target))


class AddFilesystem(Change):
    """One more shared filesystem: a directory of the host."""

    privilege = "vm.host-access"

    do: Literal["add_filesystem"] = "add_filesystem"
    filesystem: FilesystemAdd

    @property
    def part(self) -> str:
        """The shared filesystems."""
        return FILESYSTEMS

    def apply(self, context: TaskContext, uuid: str, guard: DefinitionGuard) -> Effect:
        """Add it."""
        guard.begin()
        return context.call(lambda host: host.hardware.add_filesystem(uuid, self.filesystem))


class RemoveFilesystem(Change):
    """One shared filesystem less, by its tag."""

    do: Literal["remove_filesystem"] = "remove_filesystem"
    target: str

    @property
    def part(self) -> str:
        """The shared filesystems."""
        return FILESYSTEMS

    def apply(self, context: TaskContext, uuid: str, guard: DefinitionGuard) -> Effect:
        """Remove it."""
        guard.begin()
        return context.call(lambda host: host.hardware.remove_filesystem(uuid, self.target))
