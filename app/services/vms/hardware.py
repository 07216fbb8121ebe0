"""A VM's hardware, as its saved definition has it."""

from __future__ import annotations

from app.access.context import Ctx
from app.access.find import find
from app.core.errors import Conflict, NotFound
from app.core.messages import N_
from app.core.vms.compute import HardwareRecord
from app.db.models import Vm, VmDefinition
from app.hypervisor.xml.domains.compute_read import read_hardware
from app.hypervisor.xml.domains.read import UnreadableXml, parse
from app.services.vms.definitions.stored_definition import saved_of

_SIZES = ("title", "vcpus", "vcpus_max", "memory_bytes", "memory_max_bytes")


def show_hardware(ctx: Ctx, vm_id: str) -> HardwareRecord:
    """The compute settings as the saved definition has them. Raises NotFound, Conflict (no_definition)."""
    vm = find(ctx, Vm, vm_id, "vm.view")
    definition = ctx.session.get(VmDefinition, vm.id)
    if definition is None:
        raise NotFound(N_("The definition of the VM was not read yet."))
    try:
        hardware = read_hardware(parse(definition.saved_xml or definition.xml, "domain"))
    except UnreadableXml:
        raise Conflict(
            N_("The definition of the VM cannot be read."),
            hint=N_("Look at its XML, and correct it on the host."),
            code="no_definition",
        ) from None
    saved = saved_of(definition)
    return hardware.model_copy(update={name: saved.get(name) for name in _SIZES})
