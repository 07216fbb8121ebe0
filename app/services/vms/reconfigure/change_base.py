"""What a change of a VM's hardware is: it says what of the VM it is about, what it touches, and does it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from app.core.vms.config import DiskPlan
from app.hypervisor.domains.effects import Effect
from app.services.vms.device_touches import touched_by_disk
from app.services.vms.reconfigure.guard import DefinitionGuard
from app.tasks.context import TaskContext
from app.tasks.operation import Touch


class Change(BaseModel, ABC):
    """One change. `privilege` is what it takes on the VM; `part` names, as a message id, what of the VM it is about."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    privilege: ClassVar[str] = "vm.edit"

    @property
    @abstractmethod
    def part(self) -> str:
        """What of the VM it is about."""

    @property
    def disk_plan(self) -> DiskPlan | None:
        """The disk that it gives to the VM, if any."""
        return None

    def touches(self) -> tuple[Touch, ...]:
        """What it touches beside the VM."""
        return () if self.disk_plan is None else touched_by_disk(self.disk_plan)

    @abstractmethod
    def apply(self, context: TaskContext, uuid: str, guard: DefinitionGuard) -> Effect:
        """Do it, in the saved definition and, where the hypervisor can, on the VM that runs; tell when it counts."""
