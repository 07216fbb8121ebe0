"""What a host's page offers and shows, decided from the host and what the reader may do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.core.hosts.records import HostDetail
from app.core.hosts.states import HOST_STATUS_HINTS, AdminState, HostStatus


@dataclass(frozen=True, slots=True)
class HostPage:
    """One host for one reader; `can` tells whether the reader holds a privilege."""

    host: HostDetail
    can: Callable[[str], bool]

    @property
    def is_well(self) -> bool:
        """It answers, and what is shown is what is."""
        return self.host.status.is_usable and not self.host.stale

    @property
    def is_silent(self) -> bool:
        """It does not answer."""
        return self.host.status is HostStatus.NOT_ANSWERING

    @property
    def is_refusing(self) -> bool:
        """It refuses the sign-in."""
        return self.host.status is HostStatus.AUTH_FAILED

    @property
    def is_another_host(self) -> bool:
        """It is the machine of a host that is registered already."""
        return self._has_changed and not self.host.fingerprint_seen

    @property
    def shows_new_identity(self) -> bool:
        """It shows another identity than the confirmed one."""
        return self._has_changed and bool(self.host.fingerprint_seen)

    @property
    def is_disabled(self) -> bool:
        """Vigie leaves it alone."""
        return self.host.is_disabled

    @property
    def is_in_maintenance(self) -> bool:
        """No new VM is placed on it, whatever its connection."""
        return self.host.admin_state is AdminState.MAINTENANCE

    @property
    def hides_maintenance(self) -> bool:
        """It is in maintenance, and its status says something else."""
        return self.is_in_maintenance and self.host.status is not HostStatus.MAINTENANCE

    @property
    def hint(self) -> str | None:
        """Message id of what to do about its status."""
        return HOST_STATUS_HINTS.get(self.host.status)

    @property
    def is_connecting(self) -> bool:
        """Vigie is on its way to it."""
        return self.host.status is HostStatus.CONNECTING

    @property
    def offers_identity(self) -> bool:
        """There is a new identity that the reader may confirm."""
        return self.can("host.trust") and self.shows_new_identity

    @property
    def offers_new_vm(self) -> bool:
        """The reader may make VMs on it."""
        takes_them = self.host.admin_state is AdminState.ENABLED
        return self.can("vm.create") and self.host.mode.is_managed and takes_them

    @property
    def vcpus_per_thread(self) -> float | None:
        """How many vCPUs of running VMs share a thread."""
        return self.host.vcpus_allocated / self.host.cpus if self.host.cpus else None

    @property
    def cpu_features(self) -> list[str]:
        """What its processors can, by name."""
        return sorted(self.host.cpu_features)

    @property
    def _has_changed(self) -> bool:
        return self.host.status is HostStatus.IDENTITY_CHANGED
