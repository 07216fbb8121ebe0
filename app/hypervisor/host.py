"""A host: some thirty verbs over its libvirt, all thread-safe, each with a deadline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Self

from app.core.endpoints import Endpoint
from app.core.errors import VigieError
from app.core.views import (
    GuestInfo,
    Hint,
    HostFacts,
    HostSnapshot,
    NetworkObservation,
    Picture,
    PoolObservation,
    UsageSample,
    VmObservation,
)
from app.hypervisor.targets import Target

StopMethod = Literal["auto", "agent", "acpi"]


def see_identity(endpoint: Endpoint, *, deadline_s: float) -> str | None:
    """The fingerprint that the host shows; no credential is sent. None for local and simulated hosts."""
    raise NotImplementedError


class Host:
    """An open host. All calls block, each with a deadline, and raise `core.errors` only."""

    @classmethod
    def open(
        cls,
        target: Target,
        *,
        connect_deadline_s: float,
        call_deadline_s: float,
        on_hint: Callable[[Hint], None] | None = None,
        on_lost: Callable[[VigieError], None] | None = None,
    ) -> Self:
        """Connect. `on_hint` and `on_lost` are called from any thread and must only queue."""
        raise NotImplementedError

    def close(self) -> None:
        """Close at once, whatever the host does."""
        raise NotImplementedError

    @property
    def is_open(self) -> bool:
        """False once closed or lost."""
        raise NotImplementedError

    def ping(self) -> None:
        """One cheap round trip."""
        raise NotImplementedError

    def read_facts(self) -> HostFacts:
        """What the host is."""
        raise NotImplementedError

    def read_all(self) -> HostSnapshot:
        """VMs with definitions, pools without volumes, networks."""
        raise NotImplementedError

    def poll(self) -> tuple[HostSnapshot, UsageSample]:
        """States of all VMs and counters, by bulk calls."""
        raise NotImplementedError

    def read_vm(self, uuid: str) -> VmObservation:
        """One VM with its definition. VmGone."""
        raise NotImplementedError

    def read_pools(self, *, volumes: bool) -> tuple[PoolObservation, ...]:
        """Storage pools, with their volumes when asked."""
        raise NotImplementedError

    def read_networks(self) -> tuple[NetworkObservation, ...]:
        """Virtual networks."""
        raise NotImplementedError

    def guest_info(self, uuid: str) -> GuestInfo:
        """What the guest says of itself."""
        raise NotImplementedError

    def screenshot(self, uuid: str, *, max_width: int = 640) -> Picture:
        """The VM's screen now."""
        raise NotImplementedError

    def start(self, uuid: str) -> None:
        """Start a VM that is off."""
        raise NotImplementedError

    def restore(self, uuid: str) -> None:
        """Start a VM from its saved memory."""
        raise NotImplementedError

    def shutdown(self, uuid: str, method: StopMethod = "auto") -> None:
        """Ask the guest to shut down; returns when asked, not when done."""
        raise NotImplementedError

    def reboot(self, uuid: str, method: StopMethod = "auto") -> None:
        """Ask the guest to reboot."""
        raise NotImplementedError

    def reset(self, uuid: str) -> None:
        """Press the reset button."""
        raise NotImplementedError

    def force_off(self, uuid: str) -> None:
        """Pull the plug."""
        raise NotImplementedError

    def pause(self, uuid: str) -> None:
        """Stop the vCPUs."""
        raise NotImplementedError

    def resume(self, uuid: str) -> None:
        """Let the vCPUs go on, or wake the guest."""
        raise NotImplementedError

    def save(self, uuid: str) -> None:
        """Write the memory to the host's disk and stop. May take minutes; see job_progress and abort_job."""
        raise NotImplementedError

    def set_autostart(self, uuid: str, on: bool) -> None:
        """Start with the host, or not."""
        raise NotImplementedError

    def abort_job(self, uuid: str) -> None:
        """Abort what `job_progress` shows. No error when there is none."""
        raise NotImplementedError

    def job_progress(self, uuid: str) -> int | None:
        """Percent of a save in progress; None when no job runs."""
        raise NotImplementedError
