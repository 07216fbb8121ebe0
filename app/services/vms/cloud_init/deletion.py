"""Delete cloud-init drives once their VMs have booted, or are gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import sqlalchemy as sa
import structlog
from pydantic import ConfigDict
from sqlalchemy.orm import Session

from app.access.context import Actor, Ctx, Services
from app.access.find import known, ref
from app.core.access.privileges import Role
from app.core.errors import Busy, HypervisorRefused, VmGone
from app.core.messages import N_
from app.core.tasks.states import ACTIVE_TASK_STATES
from app.core.vms.states import VmState
from app.db.models import CloudInitDrive, Host, Task, Vm
from app.hypervisor import Host as OpenHost
from app.inventory.available_hosts import is_available
from app.services.storage.reread import reread_pools
from app.services.storage.volumes.checks import task_use
from app.services.storage.volumes.users import check_again
from app.services.vms.cloud_init import known_drives
from app.services.vms.cloud_init.known_drives import DeleteCloudInitDriveParams
from app.services.vms.operation import RunningVm
from app.tasks.catalogue import declare
from app.tasks.context import TaskContext
from app.tasks.errors import TaskFailed
from app.tasks.operation import Locks, Operation, Outcome, Parameters, Plan, Touch
from app.tasks.submit import submit

log = structlog.get_logger(__name__)
T = TypeVar("T")

# cloud-init reads its drive before the guest's services start; this is for guests whose agent is very early.
AFTER_AGENT = timedelta(minutes=2)
# Without an agent nobody tells that the guest is up.
WITHOUT_AGENT = timedelta(hours=1)
RETRY = timedelta(minutes=10)
_VIGIE = Actor(None, "Vigie", Role.ADMINISTRATOR, "system")


class DeleteCloudInitDriveParameters(Parameters, DeleteCloudInitDriveParams):
    """The cloud-init drive and its VM. The target is the VM, or the host of the volume when the VM is gone."""

    model_config = ConfigDict(frozen=True, extra="ignore")


@declare
class DeleteCloudInitDrive(Operation[DeleteCloudInitDriveParameters]):
    """Eject the volume from the VM's CD drive, which stays empty, and delete it. Works on the host of the volume."""

    kind = "vm.delete-cloud-init-drive"
    title = N_("Delete the cloud-init drive")
    parameters = DeleteCloudInitDriveParameters
    redefines = True
    explains = frozenset({"vm.changed"})

    def touches(self, parameters: DeleteCloudInitDriveParameters) -> tuple[Touch, ...]:
        """The host, and the VM if there is one."""
        host = Touch(Host, parameters.host_id, "vm.edit")
        return (host,) if parameters.uuid is None else (host, Touch(Vm, parameters.vm_id, "vm.edit"))

    def check(self, ctx: Ctx, parameters: DeleteCloudInitDriveParameters) -> Plan:
        """The VM is held alone; what else uses the volume is looked at as it is deleted."""
        host = known(ctx, Host, parameters.host_id)
        if parameters.uuid is None:
            locks = Locks(holds={f"{host.id}/cloud-init/{parameters.vm_id}"})
            return Plan(ref(host), ref(host), locks, holds_target=False)
        return Plan(ref(known(ctx, Vm, parameters.vm_id)), ref(host))

    def run(self, context: TaskContext, parameters: DeleteCloudInitDriveParameters) -> Outcome:
        """Empty the drive, then delete the volume."""
        if parameters.uuid is not None:
            _eject(context, parameters.uuid, parameters)
        delete_drive(context, parameters)
        return Outcome(N_("The cloud-init drive was deleted."))


def delete_drive(context: TaskContext, drive: DeleteCloudInitDriveParams) -> None:
    """Delete the volume of a cloud-init drive, and forget that there was one. What is gone already is no error.

    Raises TaskFailed (volume_in_use) when anything but its VM uses it by now.
    """
    try:
        found = context.call(lambda host: host.storage.find_volume(drive.pool, drive.name))
        if found is not None:
            task_use.refuse_used_by_now(context, drive.pool, drive.name, found.path, but=drive.uuid or "")
            context.call(lambda host: host.storage.delete_volume(drive.pool, drive.name))
    except HypervisorRefused as error:
        if error.code != "no_such_pool":
            raise
    context.write(partial(known_drives.forget, vm_id=drive.vm_id))
    reread_pools(context, {drive.pool})


def _eject(context: TaskContext, uuid: str, drive: DeleteCloudInitDriveParams) -> None:
    """Empty the CD drive where it holds the volume, in what runs and in what is saved. Raises TaskFailed."""
    moved = drive.vm_host is not None and drive.vm_host != context.job.host_id

    def ask(verb: Callable[[OpenHost], T]) -> T:
        return verb(context.other(str(drive.vm_host))) if moved else context.call(verb)

    try:
        held = ask(lambda host: host.hardware.holds(uuid, drive.target, drive.name))
        if held and not ask(lambda host: host.hardware.change_media(uuid, drive.target, None)).now:
            raise TaskFailed(
                "cloud_init_drive_in_use",
                N_("The guest holds its cloud-init drive."),
                why=N_("Drive %(target)s cannot be emptied now."),
                hint=N_("Vigie tries again; shut the VM down to have it removed at once."),
                params={"target": drive.target},
            )
        if not moved:
            RunningVm(context, uuid).show()
    except VmGone:
        return


def delete_due(services: Services, *, now: datetime) -> None:
    """Have the cloud-init drives deleted whose VMs have booted or are gone. Raises Unavailable."""
    with services.database.read() as session:
        if session.scalar(sa.select(CloudInitDrive.vm_id).limit(1)) is None:
            return
    with services.database.begin() as session:
        ctx = Ctx(services, session, _VIGIE, now=now)
        for drive, vm, host in _open(session):
            if _is_due(drive, vm, now) and not _is_used(ctx, drive, vm):
                _submit(ctx, drive, vm, host)


def _open(session: Session) -> Iterator[tuple[CloudInitDrive, Vm | None, Host]]:
    """The cloud-init drives on hosts that take work, with their VMs, unless they are being created."""
    query = sa.select(CloudInitDrive, Vm, Host).join(Host, Host.id == CloudInitDrive.host_id)
    query = query.outerjoin(Vm, Vm.id == CloudInitDrive.vm_id)
    active = [state.value for state in ACTIVE_TASK_STATES]
    making = sa.exists().where(Task.target_id == CloudInitDrive.vm_id, Task.state.in_(active))
    # The VM may be on another host by now, where the volume is ejected.
    reached = sa.or_(Vm.id.is_(None), Vm.host_id.in_(sa.select(Host.id).where(is_available())))
    for row in session.execute(query.where(is_available(), reached, sa.not_(making))).all():
        yield row[0], row[1], row[2]


def _is_due(drive: CloudInitDrive, vm: Vm | None, now: datetime) -> bool:
    """Whether nobody needs the cloud-init drive any more; notes when the VM was first seen running.

    A VM that was cut off before cloud-init can have ended begins anew with its next start.
    """
    if drive.tried_at is not None and now - drive.tried_at < RETRY:
        return False
    if vm is None:
        return True
    state = VmState(vm.state)
    if drive.keep or state in (VmState.MISSING, VmState.UNKNOWN):
        return False
    if state.is_active:
        drive.booted_at = drive.booted_at or now
        runs = now - drive.booted_at
        return runs >= (AFTER_AGENT if vm.agent_connected else WITHOUT_AGENT)
    if drive.booted_at is None or state is not VmState.SHUTOFF:
        return False
    if vm.state_reason != "shutdown" and now - drive.booted_at < WITHOUT_AGENT:
        drive.booted_at = None
        return False
    return True


def _is_used(ctx: Ctx, drive: CloudInitDrive, vm: Vm | None) -> bool:
    """Whether anything but its VM uses the cloud-init drive, which then stays; this is looked at again later."""
    mine = "" if vm is None else vm.uuid
    users = check_again(ctx.session, drive.host_id, drive.pool_uuid, drive.volume_name, mine).users
    if users:
        drive.tried_at = ctx.now
        log.info("cloud_init_drive_in_use", vm=drive.vm_id, users=users[:5])
    return bool(users)


def _submit(ctx: Ctx, drive: CloudInitDrive, vm: Vm | None, host: Host) -> None:
    drive.tried_at = ctx.now
    parameters = DeleteCloudInitDriveParameters(
        target_id=host.id if vm is None else vm.id,
        host_id=host.id,
        **known_drives.deletion_of(ctx.session, drive).model_dump(),
    )
    try:
        submit(ctx, DeleteCloudInitDrive, parameters)
    except Busy:
        drive.tried_at = None
        log.info("cloud_init_drive_waits", vm=drive.vm_id)
