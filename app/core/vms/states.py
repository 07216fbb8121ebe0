"""States of a VM and their titles."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from app.core.messages import N_


class VmState(StrEnum):
    """State of a VM as last seen. `missing` and `unknown` are Vigie's own: neither ever means "stopped"."""

    RUNNING = "running"
    PAUSED = "paused"
    SHUTOFF = "shutoff"
    CRASHED = "crashed"
    SAVED = "saved"
    SUSPENDED = "suspended"
    MISSING = "missing"
    UNKNOWN = "unknown"

    @property
    def is_active(self) -> bool:
        """True when a hypervisor process holds the VM's memory."""
        return self in (VmState.RUNNING, VmState.PAUSED, VmState.SUSPENDED)


VM_STATE_TITLES: dict[VmState, str] = {
    VmState.RUNNING: N_("Running"),
    VmState.PAUSED: N_("Paused"),
    VmState.SHUTOFF: N_("Shut off"),
    VmState.CRASHED: N_("Crashed"),
    VmState.SAVED: N_("Saved"),
    VmState.SUSPENDED: N_("Suspended"),
    VmState.MISSING: N_("Missing"),
    VmState.UNKNOWN: N_("Unknown"),
}

VM_REASON_TITLES: dict[str, str] = {
    "booted": N_("started"),
    "migrated": N_("migrated"),
    "restored": N_("restored from its saved state"),
    "from_snapshot": N_("from a snapshot"),
    "unpaused": N_("resumed"),
    "migration_canceled": N_("a migration was cancelled"),
    "save_canceled": N_("saving was cancelled"),
    "wakeup": N_("woken up"),
    "crashed": N_("its process ended by itself"),
    "postcopy": N_("post-copy migration"),
    "postcopy_failed": N_("post-copy migration failed"),
    "user": N_("paused by somebody"),
    "migration": N_("being migrated"),
    "save": N_("being saved"),
    "dump": N_("memory is being dumped"),
    "io_error": N_("an error of its disk"),
    "watchdog": N_("its watchdog"),
    "shutting_down": N_("shutting down"),
    "snapshot": N_("a snapshot is being made"),
    "starting_up": N_("starting up"),
    "shutdown": N_("shut down by the guest"),
    "destroyed": N_("forced off"),
    "saved": N_("saved"),
    "failed": N_("its start failed"),
    "daemon": N_("libvirt was restarted"),
    "panicked": N_("the guest's kernel panicked"),
}


def titles_of(states: Collection[VmState]) -> list[str]:
    """Message ids of the states' titles, in their usual order."""
    return [title for state, title in VM_STATE_TITLES.items() if state in states]
