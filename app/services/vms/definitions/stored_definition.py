"""What was read from a VM's definitions: the saved one and the one that runs."""

from __future__ import annotations

from app.core.errors import NotFound
from app.core.messages import N_
from app.core.vms.observations import StoredDefinition, StoredDisk, StoredNic
from app.db.models import VmDefinition


def saved_of(definition: VmDefinition) -> StoredDefinition:
    """What was read from the saved definition."""
    return definition.saved_parsed or definition.parsed


def targets_of(definition: VmDefinition) -> set[str]:
    """Targets of all disks and drives, of the saved definition and of what runs."""
    both = (saved_of(definition), definition.parsed)
    return {disk["target"] for parsed in both for disk in parsed.get("disks", ())}


def device_of(definition: VmDefinition, key: str) -> StoredDisk | StoredNic:
    """The disk or interface, in the saved definition or the one that runs. Raises NotFound."""
    for parsed in (saved_of(definition), definition.parsed):
        for disk in parsed.get("disks", ()):
            if disk["target"] == key:
                return disk
        for nic in parsed.get("nics", ()):
            if nic["mac"].lower() == key.lower():
                return nic
    raise NotFound(N_("The VM has no such device."))
