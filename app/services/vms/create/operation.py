"""Create a VM: its volumes, its cloud-init drive, its definition, its start. All of it, or nothing of it."""

from __future__ import annotations

from functools import partial

from app.access.context import Ctx
from app.access.find import known, ref
from app.core.errors import HostError
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.networks.attachments import Attachment
from app.core.records import Ref
from app.core.vms.config import DiskPlan, VmConfig
from app.db.models import Host
from app.services.hosts.manageable import require_open_to_new_vms
from app.services.library.image_copy import fetch
from app.services.storage.reread import reread_pools
from app.services.storage.volumes.checks import task_checks, task_use
from app.services.storage.volumes.locks import disk_locks, path_locks
from app.services.storage.volumes.steps.created_volumes import create_volume
from app.services.vms.cloud_init import known_drives
from app.services.vms.cloud_init.drive_content import cloud_init_image
from app.services.vms.create import annotate
from app.services.vms.device_touches import touched_by_disk, touched_by_nic
from app.services.vms.host_access import require_attachments
from app.services.vms.names import refuse_taken_name, vm_name_lock
from app.services.vms.operation import RunningVm, vm_on_host
from app.services.vms.power.steps import deliver
from app.services.vms.undo import vm_note
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.errors import Cancelled, TaskFailed
from app.tasks.operation import (
    IdentityClaim,
    Locks,
    Operation,
    Outcome,
    Parameters,
    Plan,
    Reservation,
    Touch,
)

SHARE_OF_VOLUMES = 80  # percent of the work, as far as anybody can tell
SETTLE_S = 10.0


class CreateVmParameters(Parameters):
    """The VM to be. `cloud_init_drive` holds the sealed texts of one."""

    config: VmConfig
    cloud_init_drive: str | None = None
    start: bool
    autostart: bool
    tags: tuple[str, ...] = ()
    notes: str = ""


@declare
class CreateVm(Operation[CreateVmParameters]):
    """Create a VM. A run after an interruption goes on with what the one before created."""

    kind = "vm.create"
    title = N_("Create the VM")
    parameters = CreateVmParameters
    cancellable = True
    creates = True
    redefines = True
    explains = frozenset({"vm.defined", "vm.deleted", "vm.started", "vm.autostart", "vm.changed"})

    def touches(self, parameters: CreateVmParameters) -> tuple[Touch, ...]:
        """The host, and what the disks and interfaces use."""
        config = parameters.config
        return (
            Touch(Host, parameters.host_id, "vm.create"),
            *(item for disk in config.disks for item in touched_by_disk(disk)),
            *(item for nic in config.nics for item in touched_by_nic(nic)),
        )

    def check(self, ctx: Ctx, parameters: CreateVmParameters) -> Plan:
        """The host can be worked on, and has no VM of this name; what it takes counts from now on."""
        config = parameters.config
        host = known(ctx, Host, parameters.host_id)
        require_open_to_new_vms(ctx, host)
        refuse_taken_name(ctx, host, config.name)
        plugged = [
            Attachment(nic.kind, nic.source, nic.mode or "") for nic in config.nics if nic.kind != "network"
        ]
        require_attachments(ctx, host, plugged)
        locks = disk_locks(ctx.session, host.id, config.disks)
        boot_files = {item for item in (config.kernel_path, config.initrd_path) if item}
        locks |= Locks(
            holds={vm_name_lock(host.id, config.name)}, reads=path_locks(ctx.session, host.id, boot_files)
        )
        return Plan(
            Ref(kind=ObjectKind.VM, id=parameters.target_id, name=config.name),
            ref(host),
            locks,
            reservations=(Reservation(host.id, config.memory_bytes),),
            claims=(IdentityClaim(host.id, config.uuid, parameters.target_id),),
            holds_target=False,
        )

    def run(self, context: TaskContext, parameters: CreateVmParameters) -> Outcome:
        """Make the volumes, define the VM, start it."""
        config = parameters.config
        try:
            if vm_on_host(context, config.uuid) is None:
                _make(context, parameters)
            if parameters.autostart:
                context.call(lambda host: host.set_autostart(config.uuid, True))
            if parameters.start:
                _start(context, config)
        except (HostError, TaskFailed, Cancelled):
            context.roll_back()
            if not context.created_resources:
                context.write(partial(known_drives.forget, vm_id=parameters.target_id))
            raise
        _record_in_inventory(context, parameters)
        return Outcome(N_("The VM was created."), result={"vm": parameters.target_id, "uuid": config.uuid})


def _make(context: TaskContext, parameters: CreateVmParameters) -> None:
    config = parameters.config
    _refuse_name(context, config)
    for fetched in (disk.fetch for disk in config.disks if disk.fetch is not None):
        fetch(context, fetched)
    disks = [_make_disk(context, disk, number, config) for number, disk in enumerate(config.disks)]
    _write_drive(context, parameters)
    task_checks.check_boot_files(context, config)
    context.stop_if_cancelled()
    _define(context, config.model_copy(update={"disks": tuple(disks)}))


def _refuse_name(context: TaskContext, config: VmConfig) -> None:
    if context.call(lambda host: host.domains.find(config.name)) is not None:
        raise TaskFailed(
            "name_taken",
            N_("The name is taken."),
            why=N_("The host has a VM “%(name)s” by now."),
            hint=N_("Choose another name."),
            params={"name": config.name},
        )


def _make_disk(context: TaskContext, disk: DiskPlan, number: int, config: VmConfig) -> DiskPlan:
    """The disk with its volume made, if it has one to make, and the place of that."""
    task_checks.check_disk(context, disk)
    task_use.refuse_disk_in_use(context, config.uuid, disk)
    if disk.new is None:
        return disk
    context.stop_if_cancelled()
    wanted = disk.new
    context.say(
        SHARE_OF_VOLUMES * number // len(config.disks), N_("Making volume %(name)s."), name=wanted.name
    )
    volume = create_volume(context, wanted)
    return disk.with_volume(volume.kind, volume.path)


def _write_drive(context: TaskContext, parameters: CreateVmParameters) -> None:
    """Fill the last disk, the cloud-init drive, with what cloud-init is told."""
    volume = (
        parameters.config.disks[-1].new if parameters.cloud_init_drive and parameters.config.disks else None
    )
    if parameters.cloud_init_drive is None or volume is None:
        return
    image = cloud_init_image(context.open_sealed(parameters.cloud_init_drive))
    context.call(lambda host: host.storage.write_volume(volume.pool, volume.name, image))


def _define(context: TaskContext, config: VmConfig) -> None:
    context.note_creating(**vm_note(config.uuid))
    context.say(SHARE_OF_VOLUMES, N_("Defining the VM."))
    context.call(lambda host: host.domains.create(config))


def _start(context: TaskContext, config: VmConfig) -> None:
    context.say(SHARE_OF_VOLUMES + 10, N_("Starting the VM."))
    vm = RunningVm(context, config.uuid)
    if not vm.look().state.is_active:
        deliver(context, vm, lambda seen: seen.state.is_active, lambda host: host.start(config.uuid))


def _record_in_inventory(context: TaskContext, parameters: CreateVmParameters) -> None:
    """Have the VM in the inventory, with what people own of it, before the task ends."""
    vm = vm_on_host(context, parameters.config.uuid)
    if vm is None:
        return
    reread_pools(context, {disk.new.pool for disk in parameters.config.disks if disk.new is not None})
    for _ in range(3):
        RunningVm(context, vm.uuid).show(vm)
        settle = partial(
            annotate.set_tags_and_notes,
            vm_id=parameters.target_id,
            tags=parameters.tags,
            notes=parameters.notes,
        )
        if context.write(settle):
            return
        context.pause(SETTLE_S / 10)
