"""VMs whose definition can be changed now."""

from __future__ import annotations

from app.access.context import Ctx
from app.access.find import find, known
from app.core.errors import Conflict
from app.core.messages import N_
from app.core.vms.states import VmState
from app.db.models import Host, Vm, VmDefinition
from app.services.hosts.manageable import require_manageable
from app.services.vms.definitions.version import require_version
from app.services.vms.operation import vm_missing


def find_editable(
    ctx: Ctx, vm_id: str, version: int | None = None, privilege: str = "vm.edit"
) -> tuple[Vm, Host, VmDefinition]:
    """A VM whose definition can be changed now.

    Raises NotFound, Conflict (not_persistent, vm_missing, host_not_connected…), EditConflict.
    """
    vm = find(ctx, Vm, vm_id, privilege)
    host, definition = require_editable(ctx, vm)
    require_version(definition, version)
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
