"""What to say of VMs that are not as they were."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.kinds import ObjectKind, Severity
from app.core.messages import N_
from app.core.vms.states import VmState
from app.inventory.batch import Batch

_STOPPED = {
    "shutdown": N_("VM %(name)s was shut down."),
    "destroyed": N_("VM %(name)s was forced off."),
    "migrated": N_("VM %(name)s left host %(host)s by migration."),
    "saved": N_("VM %(name)s was saved and stopped."),
    "failed": N_("VM %(name)s failed and stopped."),
}


@dataclass(frozen=True, slots=True)
class Change:
    """Kind, message id and weight of an event."""

    kind: str
    message: str
    severity: Severity = Severity.INFO


MOVED = Change("vm.migrated", N_("VM %(name)s moved from host %(source)s to host %(host)s."))
DELETED = Change("vm.deleted", N_("VM %(name)s was deleted from host %(host)s."))
GIVEN_UP = Change(
    "vm.deleted", N_("VM %(name)s could not be made; what there was of it is gone from host %(host)s.")
)


def state_change(before: VmState, after: VmState, reason: str | None) -> Change | None:
    """The event of a VM that went from one state to another; None when there is nothing to say."""
    if after is VmState.CRASHED or (not after.is_active and before.is_active and reason == "crashed"):
        return Change("vm.crashed", N_("VM %(name)s crashed."), Severity.ERROR)
    if before is VmState.MISSING:
        return Change("vm.restored", N_("VM %(name)s is listed by host %(host)s again."))
    if after.is_active and not before.is_active:
        return Change("vm.started", N_("VM %(name)s was started."))
    if after is VmState.SAVED and before is not after:
        return Change("vm.saved", N_("VM %(name)s was saved and stopped."))
    if after is VmState.SHUTOFF and before.is_active:
        severity = Severity.WARNING if reason == "failed" else Severity.INFO
        return Change("vm.stopped", _STOPPED.get(reason or "", N_("VM %(name)s stopped.")), severity)
    if after in (VmState.PAUSED, VmState.SUSPENDED) and before is VmState.RUNNING:
        return Change("vm.paused", N_("VM %(name)s was paused."))
    if after is VmState.RUNNING and before.is_active and before is not after:
        return Change("vm.resumed", N_("VM %(name)s was resumed."))
    return None


def tell_vm(
    batch: Batch, host: tuple[str, str], vm_id: str, name: str, change: Change, **params: str | list[str]
) -> None:
    """Write the event of a VM on a host (id and name). A parameter that is a list holds message ids."""
    batch.publish(
        change.kind,
        change.message,
        {"name": name, "host": host[1], **params},
        object_kind=ObjectKind.VM,
        object_id=vm_id,
        object_name=name,
        host=host,
        severity=change.severity,
    )
