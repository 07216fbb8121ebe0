"""Events of VMs that are not as they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.core.kinds import ObjectKind, Severity
from app.core.messages import N_
from app.core.vms.observations import VmObservation
from app.core.vms.states import VmState
from app.inventory.batch import Batch
from app.inventory.vms.rows import VmRow

_STOPPED = {
    "shutdown": N_("VM %(name)s was shut down."),
    "destroyed": N_("VM %(name)s was forced off."),
    "migrated": N_("VM %(name)s left host %(host)s by migration."),
    "saved": N_("VM %(name)s was saved and stopped."),
    "failed": N_("VM %(name)s failed and stopped."),
}


@dataclass(frozen=True, slots=True)
class Change:
    """Kind, message id and weight of an event, with what its message says beside VM and host."""

    kind: str
    message: str
    severity: Severity = Severity.INFO
    params: Mapping[str, str] = field(default_factory=dict)


MOVED = Change("vm.migrated", N_("VM %(name)s moved from host %(source)s to host %(host)s."))
DELETED = Change("vm.deleted", N_("VM %(name)s was deleted from host %(host)s."))
GIVEN_UP = Change(
    "vm.deleted", N_("VM %(name)s could not be made; what there was of it is gone from host %(host)s.")
)


def changes_of(before: VmRow, vm: VmObservation) -> list[Change]:
    """The events of what a listing says otherwise than the row: name, state, starting with the host."""
    changes: list[Change] = []
    if before.name != vm.name:
        renamed = N_("VM %(old)s was renamed to %(name)s.")
        changes.append(Change("vm.renamed", renamed, params={"old": before.name}))
    state = VmState(before.state)
    transition = state_change(state, vm.state, vm.state_reason)
    if transition and vm.state is not state:
        changes.append(transition)
    elif vm.state.is_active and before.domain_id not in (None, vm.domain_id):
        changes.append(Change("vm.started", N_("VM %(name)s was stopped and started again.")))
    if vm.autostart != before.autostart and state is not VmState.MISSING:
        on, off = (
            N_("VM %(name)s starts with its host now."),
            N_("VM %(name)s does not start with its host any more."),
        )
        changes.append(Change("vm.autostart", on if vm.autostart else off))
    return changes


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
        {"name": name, "host": host[1], **change.params, **params},
        object_kind=ObjectKind.VM,
        object_id=vm_id,
        object_name=name,
        host=host,
        severity=change.severity,
    )
