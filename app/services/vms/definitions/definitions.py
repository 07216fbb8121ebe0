"""Definitions of VMs as XML: looked at, edited, compared, and their earlier versions brought back."""

from __future__ import annotations

from app.access.context import Ctx
from app.access.find import find
from app.core.errors import Conflict, InvalidInput, NotFound
from app.core.inventory.versions import DiffLine, DiffRecord, VersionList
from app.core.messages import N_
from app.core.tasks.records import TaskRecord
from app.core.vms.devices import MAX_XML, DefinitionRecord
from app.core.vms.host_access import HOST_ACCESS_KINDS, host_access_of
from app.db.models import Vm, VmDefinition
from app.hypervisor.xml.compare import compared
from app.hypervisor.xml.domains.read import UnreadableXml, parse, read_vm
from app.hypervisor.xml.domains.secrets import without_secrets
from app.hypervisor.xml.schema import schema_error
from app.inventory.vms.definitions import differences, parsed, pool_places
from app.services.inventory.versions import saved_version, versions_of
from app.services.vms.definitions.redefine import DiscardChanges, submit_definition
from app.services.vms.definitions.version import version_of
from app.services.vms.host_access import require_for_definition
from app.services.vms.reconfigure.editable_vm import find_editable


def show_definition(ctx: Ctx, vm_id: str) -> DefinitionRecord:
    """The saved definition, and the one that runs where that differs. Raises NotFound, NotAllowed."""
    _, definition = _defined(ctx, vm_id, "vm.view-xml")
    return DefinitionRecord(
        saved=definition.saved_xml or definition.xml,
        live=definition.xml if definition.saved_xml else None,
        pending=tuple(ctx.translate(part) for part in definition.pending or ()),
        version=version_of(definition),
    )


def preview(ctx: Ctx, vm_id: str, xml: str) -> DiffRecord:
    """What would be different. Raises NotFound, InvalidInput (xml) for what is no definition of this VM."""
    vm, definition = _defined(ctx, vm_id, "vm.edit-xml")
    _check(ctx, vm, xml)
    return _diff(ctx, vm, definition.saved_xml or definition.xml, xml)


def replace(ctx: Ctx, vm_id: str, xml: str, version: int | None) -> TaskRecord:
    """Ask for another saved definition.

    Raises InvalidInput (xml), EditConflict when somebody changed it since, NotAllowed when it has new host
    access and the asker may not have that, Conflict (volume_is_cloud_init_drive) for the cloud-init drive of another VM, Busy.
    """
    vm, host, definition = find_editable(ctx, vm_id, version, privilege="vm.edit-xml")
    _check(ctx, vm, xml)
    require_for_definition(ctx, host, xml, definition.saved_xml or definition.xml)
    return submit_definition(ctx, vm, host, definition, xml)


def discard_changes(ctx: Ctx, vm_id: str) -> TaskRecord:
    """Ask that what waits for the power-off is dropped: the saved definition becomes what runs.

    Raises Conflict, NotAllowed when what runs has host access that the saved definition lacks and the asker may not give.
    """
    vm, host, definition = find_editable(ctx, vm_id)
    if not definition.pending:
        raise Conflict(N_("Nothing waits for the next power-off."), code="nothing_pending")
    require_for_definition(ctx, host, definition.xml, definition.saved_xml)
    return submit_definition(ctx, vm, host, definition, definition.xml, DiscardChanges)


def diff_pending(ctx: Ctx, vm_id: str) -> DiffRecord | None:
    """What runs compared with what is saved, while something waits for the power-off. Raises NotFound, NotAllowed."""
    vm, definition = _defined(ctx, vm_id, "vm.view-xml")
    if not definition.pending or definition.saved_xml is None:
        return None
    return _diff(ctx, vm, definition.xml, definition.saved_xml)


def list_versions(ctx: Ctx, vm_id: str) -> VersionList:
    """Versions of the saved definition, the latest first. Raises NotFound."""
    _defined(ctx, vm_id)
    return versions_of(ctx, vm_id)


def show_version(ctx: Ctx, vm_id: str, number: int) -> str:
    """The XML of a version; 0 is the present one. Raises NotFound, NotAllowed."""
    _, definition = _defined(ctx, vm_id, "vm.view-xml")
    if number == 0:
        return definition.saved_xml or definition.xml
    return saved_version(ctx, vm_id, number).xml


def diff_versions(ctx: Ctx, vm_id: str, before: int, after: int) -> DiffRecord:
    """Two versions compared; 0 is the present one. Raises NotFound, NotAllowed."""
    vm, _ = _defined(ctx, vm_id, "vm.view-xml")
    return _diff(ctx, vm, show_version(ctx, vm_id, before), show_version(ctx, vm_id, after))


def restore_version(ctx: Ctx, vm_id: str, number: int) -> TaskRecord:
    """Ask that a version counts again. Raises NotFound, NotAllowed, Conflict, Busy."""
    vm, host, definition = find_editable(ctx, vm_id, privilege="vm.edit-xml")
    xml = saved_version(ctx, vm_id, number).xml
    require_for_definition(ctx, host, xml, definition.saved_xml or definition.xml)
    return submit_definition(ctx, vm, host, definition, xml)


def _defined(ctx: Ctx, vm_id: str, privilege: str = "vm.view") -> tuple[Vm, VmDefinition]:
    vm = find(ctx, Vm, vm_id, privilege)
    definition = ctx.session.get(VmDefinition, vm.id)
    if definition is None:
        raise NotFound(N_("The definition of the VM was not read yet."))
    return vm, definition


def _check(ctx: Ctx, vm: Vm, xml: str) -> None:
    if len(xml) > MAX_XML:
        raise InvalidInput("xml", N_("is too long"))
    try:
        tree = parse(xml, "domain")
    except UnreadableXml as error:
        raise InvalidInput(
            "xml", N_("is no definition of a VM: %(said)s"), params={"said": str(error)[:300]}
        ) from None
    if (tree.findtext("uuid") or "").strip().lower() != vm.uuid:
        raise InvalidInput("xml", N_("must keep the VM's UUID"))
    if (tree.findtext("name") or "").strip() != vm.name:
        raise InvalidInput("xml", N_("must keep the VM's name"), hint=N_("Rename the VM instead."))
    if (rule := schema_error(xml)) is not None:
        raise InvalidInput("xml", N_("breaks libvirt's schema: %(rule)s"), params={"rule": rule})


def _places(ctx: Ctx, vm: Vm) -> set[str]:
    return pool_places(ctx.session, [vm.host_id])[vm.host_id]


def _diff(ctx: Ctx, vm: Vm, before: str, after: str) -> DiffRecord:
    try:
        lines = compared(before, without_secrets(after))
        old, new = read_vm(before), read_vm(after)
    except UnreadableXml as error:
        raise InvalidInput(
            "xml", N_("is no definition of a VM: %(said)s"), params={"said": str(error)[:300]}
        ) from None
    return DiffRecord(
        parts=tuple(ctx.translate(part) for part in differences(parsed(old), parsed(new), live=False)),
        host_access=tuple(
            ctx.translate(HOST_ACCESS_KINDS[key]) for key in host_access_of(new.reaches, _places(ctx, vm))
        ),
        lines=tuple(DiffLine.model_validate({"kind": kind, "text": text}) for kind, text in lines),
    )
