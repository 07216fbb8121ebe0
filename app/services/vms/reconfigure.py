"""What tasks do to the hardware and definitions of VMs."""

from __future__ import annotations

from app.core.errors import HostError, HypervisorRefused
from app.core.messages import N_
from app.core.vms.config import DiskPlan
from app.core.vms.devices import Changes, Redefinition, Renaming, Step
from app.engine.operations import operation
from app.hypervisor import Host
from app.hypervisor.domains.effects import Effect
from app.hypervisor.xml.domains.edit import hidden
from app.services.library import image_operations
from app.services.storage import task_checks, task_use
from app.services.storage.created_volumes import create_volume
from app.tasks.context import TaskContext
from app.tasks.errors import Cancelled, TaskFailed, changed_meanwhile
from app.tasks.operation import Outcome
from app.tasks.tasks import HOST_SAID

LATER = {
    "vcpus": N_("vCPUs"),
    "memory": N_("Memory"),
    "title": N_("Title"),
    "boot": N_("Boot order"),
    "add_disk": N_("Disks"),
    "add_nic": N_("Network interfaces"),
    "medium": N_("Disks"),
    "nic": N_("Network interfaces"),
    "machine": N_("Machine"),
    "tuning": N_("Limits and pins"),
    "disk": N_("Disks"),
    "add_device": N_("Devices of the host"),
    "remove_device": N_("Devices of the host"),
    "add_folder": N_("Shared folders"),
    "remove_folder": N_("Shared folders"),
}
LATER_MAXIMUM = {"vcpus": N_("Maximum vCPUs"), "memory": N_("Maximum memory")}


class _Seen:
    """Guards the definition that the asker saw: nothing is changed when the host has another by now."""

    def __init__(self, context: TaskContext, uuid: str, digest: str | None) -> None:
        self._run, self._uuid = run, uuid
        self._digest = (
            None if context.job.sent else digest
        )  # an earlier run has begun: it differs by what that did

    def look(self) -> None:
        """Fail early, before anything is made. Raises HypervisorRefused (changed_meanwhile)."""
        self._run.call(self._compare)

    def begin(self) -> None:
        """Compare immediately before the first change. Raises HypervisorRefused (changed_meanwhile).

        Once it is noted that the task has begun, a later run compares nothing: so before that, too.
        """
        if self._digest is not None:
            self._run.call(self._compare)
            self._run.note_begun()
            self._run.call(self._compare)
            self._digest = None

    def _compare(self, host: Host) -> None:
        if self._digest is not None:
            host.hardware.require_unchanged(self._uuid, self._digest)


@operation("vm.change")
def change(context: TaskContext) -> Outcome:
    """Do each step in the saved definition and, where the hypervisor can, on the VM that runs."""
    asked = context.asked(Changes)
    seen = _Seen(context, asked.uuid, asked.digest)
    effects: list[tuple[str, Effect]] = []
    try:
        seen.look()
        for number, step in enumerate(asked.steps):
            context.say(100 * number // len(asked.steps), N_("Changing the definition."))
            effects.append((_part(step), _do(context, asked.uuid, step, seen)))
    except HypervisorRefused as error:
        if error.code == "changed_meanwhile":
            context.show(context.call(lambda host: host.read_vm(asked.uuid)))
            raise changed_meanwhile() from None
        raise
    context.show(context.call(lambda host: host.read_vm(asked.uuid)))
    return _outcome(effects)


def _outcome(effects: list[tuple[str, Effect]]) -> Outcome:
    """Which parts count now, which after the next power-off, and why."""
    now = list(dict.fromkeys(part for part, effect in effects if effect.now))
    later = list(dict.fromkeys(part for part, effect in effects if not effect.now))
    if not later:
        return Outcome(N_("It is changed."))
    refusals = [effect.refusal for _, effect in effects if effect.refusal is not None]
    why = list(dict.fromkeys(text for each in refusals for text in (each.title, each.hint) if text))
    said = [each.detail for each in refusals if each.detail]
    message = {
        (False, False): N_("Saved. After the next power-off: %(later)s."),
        (False, True): N_("Saved. After the next power-off: %(later)s. %(why)s"),
        (True, False): N_("Saved. Now: %(now)s. After the next power-off: %(later)s."),
        (True, True): N_("Saved. Now: %(now)s. After the next power-off: %(later)s. %(why)s"),
    }[bool(now), bool(why)]
    params = {"now": now, "later": later, "why": why}
    return Outcome(message, params, result={HOST_SAID: "\n".join(said)} if said else None)


def _part(step: Step) -> str:
    """What of the VM a step is about."""
    if step.do in LATER_MAXIMUM and step.count is None:
        return LATER_MAXIMUM[step.do]
    if step.do != "remove":
        return LATER[step.do]
    return LATER["add_nic"] if ":" in (step.target or "") else LATER["add_disk"]


def _do(context: TaskContext, uuid: str, step: Step, seen: _Seen) -> Effect:
    """Do the step; when it counts."""
    if step.do == "add_disk" and step.disk is not None:
        return _add_disk(context, uuid, step.disk, seen)
    if step.do == "medium" and step.disk is not None:
        if step.disk.fetch is not None:
            image_operations.fetch(context, step.disk.fetch)
        task_checks.check_disk(context, step.disk)
    seen.begin()
    return context.call(lambda host: _plain(host, uuid, step))


def _plain(host: Host, uuid: str, step: Step) -> Effect:
    hardware = host.hardware
    if step.do == "vcpus":
        return hardware.set_vcpus(uuid, step.count, step.maximum)
    if step.do == "memory":
        return hardware.set_memory(uuid, step.count, step.maximum)
    if step.do == "title":
        return hardware.set_title(uuid, step.text or "")
    if step.do == "boot":
        return hardware.set_boot(uuid, step.order)
    if step.do == "add_nic" and step.nic is not None:
        return hardware.add_nic(uuid, step.nic)
    if step.do == "remove":
        return hardware.remove(uuid, step.target or step.mac or "")
    if step.do == "medium":
        return hardware.change_medium(uuid, step.target or "", step.disk)
    if step.do == "machine" and step.machine is not None:
        return hardware.set_machine(uuid, step.machine)
    if step.do == "tuning" and step.tuning is not None:
        return hardware.set_tuning(uuid, step.tuning)
    if step.do == "disk" and step.drive is not None:
        return hardware.change_disk(uuid, step.target or "", step.drive)
    if step.do == "add_device" and step.device is not None:
        return hardware.add_device(uuid, step.device)
    if step.do == "remove_device":
        return hardware.remove_device(uuid, step.target or "")
    if step.do == "add_folder" and step.folder is not None:
        return hardware.add_folder(uuid, step.folder)
    if step.do == "remove_folder":
        return hardware.remove_folder(uuid, step.target or "")
    return hardware.change_nic(
        uuid,
        step.mac or "",
        link_up=step.link_up,
        network=step.network,
        filter=step.filter,
        in_kbps=step.in_kbps,
        out_kbps=step.out_kbps,
    )


def _add_disk(context: TaskContext, uuid: str, disk: DiskPlan, seen: _Seen) -> Effect:
    """Make its volume first, if it has one to make; that goes again when the disk cannot be added."""
    if disk.fetch is not None:
        image_operations.fetch(context, disk.fetch)
    task_checks.check_disk(context, disk)
    task_use.refuse_disk_in_use(context, uuid, disk)
    wanted = disk.new
    if wanted is None:
        seen.begin()
        return context.call(lambda host: host.hardware.add_disk(uuid, disk))
    context.say(0, N_("Making volume %(name)s."), name=wanted.name)
    try:
        made = create_volume(context, wanted, purpose={"vm": uuid})
        kind = made.kind if made.kind in ("file", "block") else "volume"
        there = {"new": None, "kind": kind, "path": made.path, "pool": wanted.pool, "volume": wanted.name}
        plan = disk.model_copy(update=there)
        seen.begin()
        effect = context.call(lambda host: host.hardware.add_disk(uuid, plan))
    except (HostError, TaskFailed, Cancelled):
        context.roll_back()
        raise
    context.show_pools({wanted.pool})
    return effect


@operation("vm.define")
def define(context: TaskContext) -> Outcome:
    """Put another definition in the place of the saved one, if that is still the one that was seen."""
    asked = context.asked(Redefinition)
    xml = context.open_sealed(asked.sealed)["xml"] if asked.sealed else asked.xml
    task_checks.check_definition(context, asked.uuid, xml)
    before = context.call(lambda host: host.machines.xml(asked.uuid, saved=True))
    task_use.refuse_disks_in_use(context, asked.uuid, xml, before)
    try:
        context.send_once(lambda host: host.machines.redefine(asked.uuid, xml, asked.digest))
    except HypervisorRefused as error:
        if error.code == "changed_meanwhile":
            raise
        raise TaskFailed(
            "definition_refused",
            N_("The host refuses this definition."),
            why=N_("It said: %(said)s"),
            hint=N_("Nothing was changed. Correct the XML, and try again."),
            params={"said": hidden(error.detail or error.title, xml)},
        ) from None
    vm = context.call(lambda host: host.read_vm(asked.uuid))
    context.show(vm)
    if vm.state.is_active:
        return Outcome(N_("It is defined; what is different counts after the next power-off."))
    return Outcome(N_("It is defined."))


@operation("vm.rename")
def rename(context: TaskContext) -> Outcome:
    """Give it another name; it must be off."""
    asked = context.asked(Renaming)
    if context.call(lambda host: host.read_vm(asked.uuid)).name != asked.name:
        _Seen(context, asked.uuid, asked.digest).begin()
        context.call(lambda host: host.machines.rename(asked.uuid, asked.name))
    context.show(context.call(lambda host: host.read_vm(asked.uuid)))
    return Outcome(N_("It is called %(name)s now."), {"name": asked.name})
