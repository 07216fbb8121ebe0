"""Mark the rows of VMs that a complete listing of their host lacks: they stay, as missing, with their last XML."""

from __future__ import annotations

from app.core.kinds import Severity
from app.core.messages import N_
from app.core.notices import TREE
from app.core.vms.states import VmState
from app.db import models
from app.inventory.batch import Batch, Row
from app.inventory.usage import COLUMNS as USAGE
from app.inventory.usage import UNKNOWN
from app.inventory.vms.events import Change, tell_vm
from app.inventory.vms.guest_agents import SILENT
from app.inventory.vms.readings import VmReading
from app.inventory.vms.rows import VmRow


def mark_missing(batch: Batch, reading: VmReading, vm_row: VmRow) -> None:
    """Mark the row as missing since the reading, and write the event that says how the VM left."""
    since = reading.merged.answered_at or batch.now
    changes: Row = {"state": VmState.MISSING.value, "state_reason": None, "domain_id": None}
    changes |= {"missing_since": since, "state_since": since, **dict.fromkeys(USAGE), **SILENT}
    batch.update(models.Vm, vm_row.id, changes)
    batch.delete(models.Condition, vm_row.id, by="object_id")
    batch.topics |= {vm_row.id, TREE}
    if reading.merged.hinted(vm_row.uuid, "stopped", "migrat"):
        change = Change("vm.stopped", N_("VM %(name)s left host %(host)s by migration."))
    elif not vm_row.persistent:
        # It may also have gone to another host while this one was lost: its row stays for a while.
        text = N_("VM %(name)s ended; it was transient, so host %(host)s has forgotten it.")
        change = Change("vm.ended", text)
    else:
        text = N_("VM %(name)s is missing: host %(host)s does not list it any more.")
        change = Change("vm.undefined", text, Severity.WARNING)
    tell_vm(batch, reading.host, vm_row.id, vm_row.name, change)
    vm_row.gone, vm_row.usage = True, UNKNOWN
