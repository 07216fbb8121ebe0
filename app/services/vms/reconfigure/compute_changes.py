"""Changes of a VM's processors, memory, title, boot order, compute settings and resources."""

from __future__ import annotations

from typing import Literal

from app.core.messages import N_
from app.core.vms.compute import ComputePatch, ResourcesPatch
from app.hypervisor.domains.effects import Effect
from app.services.vms.reconfigure.change_base import Change
from app.services.vms.reconfigure.guard import DefinitionGuard
from app.tasks.context import TaskContext


class SetVcpus(Change):
    """Processors now (`count`), and after the next power-off (`maximum`)."""

    do: Literal["vcpus"] = "vcpus"
    count: int | None = None
    maximum: int | None = None

    @property
    def part(self) -> str:
        """The present count, or the maximum."""
        return N_("Maximum vCPUs") if self.count is None else N_("vCPUs")

    def apply(self, context: TaskContext, uuid: str, guard: DefinitionGuard) -> Effect:
        """Set them."""
        guard.begin()
        return context.call(lambda host: host.hardware.set_vcpus(uuid, self.count, self.maximum))


class SetMemory(Change):
    """Bytes of memory now (`count`), and after the next power-off (`maximum`)."""

    do: Literal["memory"] = "memory"
    count: int | None = None
    maximum: int | None = None

    @property
    def part(self) -> str:
        """The present amount, or the maximum."""
        return N_("Maximum memory") if self.count is None else N_("Memory")

    def apply(self, context: TaskContext, uuid: str, guard: DefinitionGuard) -> Effect:
        """Set it."""
        guard.begin()
        return context.call(lambda host: host.hardware.set_memory(uuid, self.count, self.maximum))


class SetTitle(Change):
    """Another title."""

    do: Literal["title"] = "title"
    text: str | None = None

    @property
    def part(self) -> str:
        """The title."""
        return N_("Title")

    def apply(self, context: TaskContext, uuid: str, guard: DefinitionGuard) -> Effect:
        """Set it."""
        guard.begin()
        return context.call(lambda host: host.hardware.set_title(uuid, self.text or ""))


class SetBootOrder(Change):
    """Disks by target and interfaces by MAC address, in the order in which the VM tries to boot from them."""

    do: Literal["boot"] = "boot"
    order: tuple[str, ...] = ()

    @property
    def part(self) -> str:
        """The boot order."""
        return N_("Boot order")

    def apply(self, context: TaskContext, uuid: str, guard: DefinitionGuard) -> Effect:
        """Set it."""
        guard.begin()
        return context.call(lambda host: host.hardware.set_boot(uuid, self.order))


class SetCompute(Change):
    """CPU, firmware, displays and the like."""

    do: Literal["compute"] = "compute"
    compute: ComputePatch

    @property
    def part(self) -> str:
        """The compute settings."""
        return N_("Compute settings")

    def apply(self, context: TaskContext, uuid: str, guard: DefinitionGuard) -> Effect:
        """Set it."""
        guard.begin()
        return context.call(lambda host: host.hardware.set_compute(uuid, self.compute))


class SetResources(Change):
    """Shares, limits and CPU pinning."""

    do: Literal["resources"] = "resources"
    resources: ResourcesPatch

    @property
    def part(self) -> str:
        """The resources."""
        return N_("Limits and CPU pinning")

    def apply(self, context: TaskContext, uuid: str, guard: DefinitionGuard) -> Effect:
        """Set it."""
        guard.begin()
        return context.call(lambda host: host.hardware.set_resources(uuid, self.resources))
