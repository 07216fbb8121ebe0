"""Changes of a VM's hardware: each is a task, done at once where the hypervisor can, else after the power-off."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import sqlalchemy as sa

from app.access import look_alikes
from app.access.context import Ctx
from app.core.errors import Conflict, EditConflict, InvalidInput, NotFound
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.networks.attachments import Attachment
from app.core.records import Ref
from app.core.tasks.records import TaskRecord
from app.core.vms.config import DiskPlan
from app.core.vms.create_spec import DiskSpec, NicSpec, VmSpec
from app.core.vms.devices import Changes, HardwarePatch, Medium, NicPatch, RenameSpec, Renaming, Step
from app.core.vms.states import VmState
from app.db.models import Filter, Host, Network, Vm, VmDefinition
from app.inventory.vms.definitions import is_live
from app.services.hosts.checks import require_workable
from app.services.storage.volume_locations import disk_locks
from app.services.vms.create.config_builder import offers_of
from app.services.vms.create.disk_planner import plan_disks
from app.services.vms.create.nic_planner import plan_nics
from app.services.vms.host_access import require_attachments
from app.tasks import tasks

CHANGE, RENAME = "vm.change", "vm.rename"
_UNFIT = re.compile(r"[\x00-\x1f\x7f/\\]")


def change_hardware(ctx: Ctx, vm_id: str, patch: HardwarePatch, version: int | None = None) -> TaskRecord:
    """Ask for other processors, memory, title or boot order.

    Raises InvalidInput naming the field, EditConflict when `version` is not that of the saved definition, Busy.
    """
    vm, host, definition = find_editable(ctx, vm_id, version)
    parsed = saved_of(definition)
    steps: list[Step] = []
    if patch.vcpus is not None or patch.vcpus_max is not None:
        steps += _parts(_vcpus(ctx, host, parsed, patch))
    if patch.memory_bytes is not None or patch.memory_max_bytes is not None:
        steps += _parts(_memory(ctx, host, parsed, patch))
    if patch.title is not None:
        steps.append(Step(do="title", text=patch.title))
    if patch.boot is not None:
        steps.append(_boot(parsed, patch.boot))
    return ask(ctx, vm, host, definition, version, steps)


def add_disk(ctx: Ctx, vm_id: str, asked: DiskSpec, version: int | None = None) -> TaskRecord:
    """Ask for one more disk or drive: with a new volume, an existing one, or from an image.

    Raises InvalidInput (disk.…), Conflict (volume_in_use, pool_full…), Busy.
    """
    vm, host, definition = find_editable(ctx, vm_id, version)
    parsed = saved_of(definition)
    try:
        (plan,), _ = plan_disks(
            ctx,
            [asked],
            host,
            _stem(vm.name),
            machine=parsed.get("machine"),
            system=None,
            offers=offers_of(ctx, host),
            taken=targets_of(definition),
        )
    except InvalidInput as error:
        raise _renamed(error, "disks.0", "disk") from None
    return ask(ctx, vm, host, definition, version, [Step(do="add_disk", disk=plan)])


def add_nic(ctx: Ctx, vm_id: str, asked: NicSpec, version: int | None = None) -> TaskRecord:
    """Ask for one more network interface. Raises InvalidInput (nic.…), Busy."""
    vm, host, definition = find_editable(ctx, vm_id, version)
    spec = VmSpec(name="vm", nics=[asked])
    machine = saved_of(definition).get("machine")
    try:
        (plan,) = plan_nics(ctx, spec, host, machine=machine, system=None)
    except InvalidInput as error:
        raise _renamed(error, "nics.0", "nic") from None
    return ask(ctx, vm, host, definition, version, [Step(do="add_nic", nic=plan)])


def remove_device(ctx: Ctx, vm_id: str, key: str, version: int | None = None) -> TaskRecord:
    """Ask for the end of a disk (by target) or interface (by MAC address); its volume stays. Raises NotFound, Busy."""
    vm, host, definition = find_editable(ctx, vm_id, version)
    device_of(ctx, definition, key)
    return ask(ctx, vm, host, definition, version, [Step(do="remove", target=key)])


def change_medium(
    ctx: Ctx, vm_id: str, target: str, medium: Medium, version: int | None = None
) -> TaskRecord:
    """Ask for another medium in a drive, or none. Raises NotFound, InvalidInput, Busy."""
    vm, host, definition = find_editable(ctx, vm_id, version)
    drive = device_of(ctx, definition, target)
    if drive.get("device") not in ("cdrom", "floppy"):
        raise InvalidInput("target", N_("is no drive: media lie in CD and floppy drives"))
    plan = None
    if medium.volume_id or medium.image_id:
        if drive["device"] == "floppy" and not drive["readonly"]:
            raise InvalidInput(
                "target",
                N_("is a floppy drive that the guest may write to; media go only into read-only ones"),
                hint=N_("Take the drive away and add a new one: that is read-only."),
            )
        asked = DiskSpec(device=drive["device"], bus=drive["bus"] or None, **medium.model_dump())
        offers = offers_of(ctx, host)
        try:
            (plan,), _ = plan_disks(ctx, [asked], host, "vm", machine=None, system=None, offers=offers)
        except InvalidInput as error:
            raise _renamed(error, "disks.0.", "") from None
        plan = DiskPlan.model_validate(plan.model_dump() | {"target": target})
    return ask(ctx, vm, host, definition, version, [Step(do="medium", target=target, disk=plan)])


def change_nic(ctx: Ctx, vm_id: str, mac: str, patch: NicPatch, version: int | None = None) -> TaskRecord:
    """Ask for a cable plugged in or out, another network, filter or rates.

    Raises NotFound, InvalidInput (network_id, filter), Busy.
    """
    vm, host, definition = find_editable(ctx, vm_id, version)
    device_of(ctx, definition, mac)
    network = None
    if patch.network_id is not None:
        require_attachments(ctx, host, [Attachment("network", patch.network_id)])
        query = sa.select(Network).where(Network.id == patch.network_id, Network.host_id == host.id)
        found = ctx.session.scalar(ctx.visible(query, "network.view"))
        if found is None:
            raise InvalidInput("network_id", N_("names no network of this host"))
        network = found.name
    if patch.filter and not ctx.session.scalar(
        sa.select(Filter.id).where(Filter.host_id == host.id, Filter.name == patch.filter)
    ):
        raise InvalidInput("filter", N_("names no traffic filter of this host"))
    plain = patch.model_dump(include={"link_up", "filter", "in_kbps", "out_kbps"})
    step = Step(do="nic", mac=mac.lower(), network=network, **plain)
    return ask(ctx, vm, host, definition, version, [step])


def rename_vm(ctx: Ctx, vm_id: str, asked: RenameSpec, version: int | None = None) -> TaskRecord:
    """Ask for another name. Raises Conflict (vm_active, name_taken), Busy."""
    vm, host, definition = find_editable(ctx, vm_id, version)
    if vm.state != VmState.SHUTOFF and vm.state != VmState.CRASHED:
        raise Conflict(
            N_("The VM is not off."),
            hint=N_("Shut it down first: hosts rename only what is off."),
            code="vm_active",
        )
    if ctx.session.scalar(sa.select(Vm.id).where(Vm.host_id == host.id, Vm.name == asked.name)):
        raise Conflict(
            N_("The name is taken."),
            why=N_("There is a VM “%(name)s” on host %(host)s already."),
            hint=N_("Choose another name."),
            code="name_taken",
            params={"name": asked.name, "host": host.name},
        )
    params = Renaming(uuid=vm.uuid, name=asked.name, digest=seen_digest(definition, version))
    task = tasks.enqueue(
        ctx,
        RENAME,
        target=_ref(vm),
        host=_host_ref(host),
        params=params.model_dump(),
        holds={tasks.vm_name_lock(host.id, asked.name)},
    )
    look_alikes.record_warning(ctx, Vm, asked.name, target=_ref(vm), host=_host_ref(host), task_id=task.id)
    return tasks.record_of(ctx, task)


def find_editable(
    ctx: Ctx, vm_id: str, version: int | None = None, privilege: str = "vm.edit"
) -> tuple[Vm, Host, VmDefinition]:
    """A VM whose definition can be changed now.

    Raises NotFound, Conflict (not_persistent, vm_missing, host_not_connected…), EditConflict.
    """
    ctx.require(privilege)
    vm: Vm | None = ctx.session.scalar(ctx.visible(sa.select(Vm).where(Vm.id == vm_id), "vm.view"))
    if vm is None:
        raise NotFound(N_("There is no such VM."))
    ctx.require(privilege, vm)
    host = ctx.session.get_one(Host, vm.host_id)
    require_workable(ctx, host)
    definition = ctx.session.get(VmDefinition, vm.id)
    if definition is None or vm.state == VmState.MISSING:
        raise Conflict(
            N_("The VM is not on its host any more."),
            hint=N_("Take it off the list, or bring it back."),
            code="vm_missing",
        )
    if not vm.persistent:
        raise Conflict(
            N_("This cannot be done now."),
            why=N_("The VM is transient: the host forgets it when it stops."),
            hint=N_("Define it on its host first, for example with virsh define."),
            code="not_persistent",
        )
    if version is not None and version != version_of(definition):
        raise EditConflict(
            N_("Somebody changed this in between."),
            why=N_("The version that you edited is not the current one."),
            hint=N_("Load it again and repeat your change."),
        )
    return vm, host, definition


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


def saved_of(definition: VmDefinition) -> dict[str, Any]:
    """What was read from the saved definition."""
    return definition.saved_parsed or definition.parsed


def targets_of(definition: VmDefinition) -> set[str]:
    """Targets of all disks and drives, of the saved definition and of what runs."""
    both = (saved_of(definition), definition.parsed)
    return {disk["target"] for parsed in both for disk in parsed.get("disks", ())}


def device_of(ctx: Ctx, definition: VmDefinition, key: str) -> dict[str, Any]:
    """The disk or interface, in the saved definition or the one that runs. Raises NotFound."""
    for parsed in (saved_of(definition), definition.parsed):
        for disk in parsed.get("disks", ()):
            if disk["target"] == key:
                return dict(disk)
        for nic in parsed.get("nics", ()):
            if nic["mac"].lower() == key.lower():
                return dict(nic)
    raise NotFound(N_("The VM has no such device."))


def _vcpus(ctx: Ctx, host: Host, parsed: dict[str, Any], patch: HardwarePatch) -> Step:
    maximum = patch.vcpus_max or parsed["vcpus_max"]
    offers = offers_of(ctx, host)
    if maximum > offers.vcpus_max:
        raise InvalidInput(
            "vcpus_max", N_("must be at most %(most)d on this host"), params={"most": offers.vcpus_max}
        )
    if (patch.vcpus or 1) > maximum:
        raise InvalidInput(
            "vcpus",
            N_("must be at most %(most)d, the VM's maximum"),
            params={"most": maximum},
            hint=N_("Raise vcpus_max too; that counts after the next power-off."),
        )
    return Step(do="vcpus", count=patch.vcpus, maximum=patch.vcpus_max)


def _memory(ctx: Ctx, host: Host, parsed: dict[str, Any], patch: HardwarePatch) -> Step:
    maximum = patch.memory_max_bytes or parsed["memory_max_bytes"]
    if (patch.memory_bytes or 0) > maximum:
        raise InvalidInput(
            "memory_bytes",
            N_("must be at most %(most)d bytes, the VM's maximum"),
            params={"most": maximum},
            hint=N_("Raise memory_max_bytes too; that counts after the next power-off."),
        )
    if patch.memory_max_bytes and host.memory_bytes and patch.memory_max_bytes > host.memory_bytes:
        raise InvalidInput(
            "memory_max_bytes",
            N_("is more than the host has (%(most)d bytes)"),
            params={"most": host.memory_bytes},
        )
    return Step(do="memory", count=patch.memory_bytes, maximum=patch.memory_max_bytes)


def _parts(step: Step) -> list[Step]:
    """The maximum, which counts after the next power-off, and the present count: a step for each that is asked for."""
    maximum = [step.model_copy(update={"count": None})] if step.maximum is not None else []
    return maximum + ([step.model_copy(update={"maximum": None})] if step.count is not None else [])


def _boot(parsed: dict[str, Any], order: list[str]) -> Step:
    known = {disk["target"] for disk in parsed.get("disks", ())}
    known |= {nic["mac"].lower() for nic in parsed.get("nics", ())}
    for number, key in enumerate(order):
        if key.lower() not in known:
            raise InvalidInput(f"boot.{number}", N_("is no disk or interface of this VM"))
    return Step(do="boot", order=tuple(key.lower() for key in order))


def _stem(name: str) -> str:
    """What files of a VM are named after: hosts take names of VMs that no file should have."""
    return _UNFIT.sub("-", name).lstrip(".-")[:63] or "vm"


def _renamed(error: InvalidInput, old: str, new: str) -> InvalidInput:
    field = error.field.replace(old, new, 1)
    return InvalidInput(field, error.rule, params=error.params, hint=error.hint)


def ask(
    ctx: Ctx, vm: Vm, host: Host, definition: VmDefinition, version: int | None, steps: list[Step]
) -> TaskRecord:
    """Have a task do the steps. Raises Busy."""
    params = Changes(uuid=vm.uuid, digest=seen_digest(definition, version), steps=tuple(steps))
    plain = params.model_dump(mode="json")
    locks = disk_locks(ctx.session, host.id, [step.disk for step in steps if step.disk is not None])
    task = tasks.enqueue(
        ctx,
        CHANGE,
        target=_ref(vm),
        host=_host_ref(host),
        params=plain,
        holds=locks.holds,
        reads=locks.reads,
        apart=locks.apart,
    )
    return tasks.record_of(ctx, task)


def _ref(vm: Vm) -> Ref:
    return Ref(kind=ObjectKind.VM, id=vm.id, name=vm.name)


def _host_ref(host: Host) -> Ref:
    return Ref(kind=ObjectKind.HOST, id=host.id, name=host.name)
