"""VMs whose definition can be changed now, and by what one definition is told from another."""

from __future__ import annotations

import hashlib

from app.access.context import Ctx
from app.access.find import find, known
from app.core.errors import Conflict, EditConflict, NotFound
from app.core.messages import N_
from app.core.vms.observations import StoredDefinition, StoredDisk, StoredNic
from app.core.vms.states import VmState
from app.db.models import Host, Vm, VmDefinition
from app.inventory.vms.definitions import is_live
from app.services.hosts.manageable import require_manageable
from app.services.vms.operation import vm_missing


def find_editable(
    ctx: Ctx, vm_id: str, version: int | None = None, privilege: str = "vm.edit"
) -> tuple[Vm, Host, VmDefinition]:
    """A VM whose definition can be changed now.

    Raises NotFound, Conflict (not_persistent, vm_missing, host_not_connected…), EditConflict.
    """
    vm = find(ctx, Vm, vm_id, privilege)
    host, definition = require_editable(ctx, vm)
    if version is not None and version != version_of(definition):
        raise EditConflict(
            N_("Somebody changed this in between."),
            why=N_("The version that you edited is not the current one."),
            hint=N_("Load it again and repeat your change."),
        )
    return vm, host, definition


def require_editable(ctx: Ctx, vm: Vm) -> tuple[Host, VmDefinition]:
    """The host and definition of a VM that can be changed now. Raises Conflict."""
    host = known(ctx, Host, vm.host_id)
    require_manageable(ctx, host)
    definition = ctx.session.get(VmDefinition, vm.id)
    if definition is None or vm.state == VmState.MISSING:
        raise vm_missing()
    if not vm.persistent:
        raise Conflict(
            N_("This cannot be done now."),
            why=N_("The VM is transient: the host forgets it when it stops."),
            hint=N_("Define it on its host first, for example with virsh define."),
            code="not_persistent",
        )
    return host, definition


def digest_of(definition: VmDefinition) -> str:
    """What tells one saved definition from another: the SHA-256 of what people are shown."""
    seen = definition.saved_xml or definition.xml
    return hashlib.sha256(seen.encode(errors="surrogatepass")).hexdigest()


def version_of(definition: VmDefinition) -> int:
    """A number that changes with the saved definition, for ETags and forms."""
    return int(digest_of(definition)[:12], 16)


def seen_digest(definition: VmDefinition, version: int | None) -> str | None:
    """The digest that a task compares on the host: of the definition that the asker says to have seen, if any.

    None, too, while only what runs was read, and not what is saved.
    """
    if version is None or (definition.saved_xml is None and is_live(definition.xml)):
        return None
    return digest_of(definition)


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
