"""The row of a VM that is new to the inventory."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from app.core.casefold import fold
from app.core.kinds import ObjectKind
from app.core.vms.observations import VmObservation
from app.inventory.batch import Batch, Row
from app.inventory.usage import COLUMNS as USAGE
from app.inventory.vms import definitions, search_text
from app.inventory.vms.definition_changes import waits
from app.inventory.vms.rows import SEEN, VmRow


def new_row(
    vm_row: VmRow, vm: VmObservation, now: datetime, sizes: Mapping[str, int], places: Collection[str]
) -> Row:
    """All columns of the VM; `sizes` and `places`: volumes and pool directories of its host."""
    hardware: definitions.HardwareColumns = {
        "title": None,
        "vcpus": 0,
        "memory_bytes": 0,
        "disk_bytes": None,
        "host_access": None,
    }
    if vm.definition is not None:
        hardware = definitions.hardware_columns(vm.definition, sizes, places)
    macs = [nic.mac for nic in vm.definition.nics] if vm.definition else []
    row: Row = {"id": vm_row.id, "host_id": vm_row.host_id, "uuid": vm.uuid}
    row |= dict(zip(SEEN, vm_row.seen, strict=True)) | {**hardware} | dict.fromkeys(USAGE)
    row |= {
        "name_key": fold(vm.name),
        "duplicate": vm_row.duplicate,
        "state_since": None,
        "missing_since": None,
    }
    row |= {"os_name": None, "guest_hostname": None, "agent_connected": False}
    row |= {"addresses": [], "tags": [], "notes": "", "created_at": now, "version": 1}
    row["search_text"] = search_text.vm_search_text(vm.name, vm.uuid, hardware["title"], macs, (), None, ())
    row["pending"] = None if vm.definition is None else waits(vm.definition, vm.saved)
    return row


def begin_history(batch: Batch, vm_row: VmRow, vm: VmObservation) -> None:
    """Keep the first definition of a VM that a task makes: its history begins with that task."""
    lasting = vm.saved or vm.definition
    if lasting is not None and not definitions.is_live(lasting.xml):
        batch.version(ObjectKind.VM, vm_row.id, vm_row.host_id, None, lasting.xml)
