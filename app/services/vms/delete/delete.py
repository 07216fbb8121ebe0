"""Delete VMs: what belongs to one, what goes with it, and which can be undeleted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from app.access.context import Actor, Ctx, Services
from app.access.find import find, known, ref, visible
from app.access.host_connections import connected_host
from app.core.errors import Conflict, HostError, InvalidInput
from app.core.messages import N_
from app.core.records import Ref
from app.core.tasks.records import TaskRecord
from app.core.vms.delete import (
    DeletedVmList,
    DeletedVmRecord,
    DeletePreview,
    DeletePreviewDisk,
    DeleteSpec,
    VolumePlace,
)
from app.core.vms.observations import StoredDisk
from app.core.vms.states import VmState
from app.db.models import CloudInitDrive, DeletedVm, Host, Pool, Vm, VmDefinition, Volume
from app.hypervisor.xml.domains.read import UnreadableXml
from app.hypervisor.xml.domains.state_files import StateFiles, read_state_files
from app.services.storage.volumes.locations import PossibleUser
from app.services.storage.volumes.users import possible_users_of, users_of, why_possible
from app.services.vms.delete.operation import DeleteVm, DeleteVmParameters
from app.tasks import tasks
from app.tasks.submit import submit

MAX_LISTED = 500


def preview_delete(ctx: Ctx, vm_id: str, spec: DeleteSpec | None = None) -> DeletePreview:
    """What belongs to the VM. `snapshots` is left open: the host must be asked.

    Raises NotFound, and what `delete_vm` raises for the volumes that `spec` names.
    """
    vm = find(ctx, Vm, vm_id, "vm.delete")
    host, definition = known(ctx, Host, vm.host_id), ctx.session.get(VmDefinition, vm.id)
    disks = _disks(ctx, vm, definition)
    if spec is not None:
        _chosen(ctx, disks, spec.volumes)
    state = StateFiles() if definition is None else _state_files(definition)
    return DeletePreview(
        vm=ref(vm),
        host=ref(host),
        running=VmState(vm.state).is_active,
        disks=tuple(disks),
        nvram=state.nvram,
        tpm=state.tpm,
        managed_save=vm.has_managed_save,
        deleted_vm_days=ctx.services.settings.deleted_vm_days,
    )


def preview_with_snapshots(
    services: Services,
    actor: Actor,
    translate: Callable[[str], str],
    vm_id: str,
    spec: DeleteSpec | None = None,
) -> DeletePreview:
    """As `preview_delete`, with the names of snapshots where the host answers. Raises the same."""
    with services.database.read() as session:
        ctx = Ctx(services, session, actor, translate)
        found = preview_delete(ctx, vm_id, spec)
        uuid = known(ctx, Vm, vm_id).uuid
    try:
        with connected_host(services, found.host.id) as host:
            return found.model_copy(update={"snapshots": host.domains.snapshots(uuid)})
    except (HostError, Conflict):
        return found


def delete_vm(ctx: Ctx, vm_id: str, spec: DeleteSpec) -> TaskRecord:
    """Have a VM deleted, with the volumes that were chosen.

    Raises NotFound, Conflict (vm_active, vm_missing, volume_in_use, host_not_connected…), InvalidInput for a volume
    that is none of its disks, Busy.
    """
    vm = find(ctx, Vm, vm_id, "vm.delete")
    host, definition = known(ctx, Host, vm.host_id), ctx.session.get(VmDefinition, vm.id)
    parameters = DeleteVmParameters(
        target_id=vm.id,
        host_id=host.id,
        uuid=vm.uuid,
        volumes=tuple(_chosen(ctx, _disks(ctx, vm, definition), spec.volumes)),
        **spec.model_dump(exclude={"volumes"}),
    )
    return tasks.record_of(ctx, submit(ctx, DeleteVm, parameters))


def list_deleted(ctx: Ctx) -> DeletedVmList:
    """VMs that can be undeleted, the last deleted first."""
    ctx.require("vm.delete")
    query = sa.select(DeletedVm, Host).join(Host, Host.id == DeletedVm.host_id)
    query = query.order_by(DeletedVm.deleted_at.desc(), DeletedVm.id).limit(MAX_LISTED)
    query = visible(ctx, query, DeletedVm, "vm.delete")
    rows = ctx.session.execute(visible(ctx, query, Host, "host.view"))
    return DeletedVmList(items=tuple(_record(row, host) for row, host in rows))


def _state_files(definition: VmDefinition) -> StateFiles:
    try:
        return read_state_files(definition.saved_xml or definition.xml)
    except UnreadableXml:
        return StateFiles()


def _disks(ctx: Ctx, vm: Vm, definition: VmDefinition | None) -> list[DeletePreviewDisk]:
    parsed = {} if definition is None else definition.saved_parsed or definition.parsed
    disks = parsed.get("disks", ())
    volumes = _volumes(ctx, vm.host_id, [disk["source"] for disk in disks if disk["source"]])
    found = [volume for volume, _ in volumes.values()]
    users, possible = users_of(ctx, found, but=vm.id), possible_users_of(ctx, found)
    return [_disk(ctx, vm, disk, volumes.get(disk["source"] or ""), users, possible) for disk in disks]


def _disk(
    ctx: Ctx,
    vm: Vm,
    disk: StoredDisk,
    found: tuple[Volume, Pool] | None,
    users: dict[str, list[Ref]],
    possible: dict[str, list[PossibleUser]],
) -> DeletePreviewDisk:
    path = disk["source"] or None
    shown = {"target": disk["target"], "path": path}
    if found is None:
        why = ctx.translate(N_("It is in no storage pool of the host.")) if path else None
        return DeletePreviewDisk.model_validate({**shown, "deletable": False, "why": why})
    volume, pool = found
    others = users[volume.id]
    own = (disk["device"] == "disk" and not disk["readonly"]) or volume.name == f"{vm.name}-seed.iso"
    why = None
    if others:
        why = ctx.say(N_("It is used by: %(names)s."), {"names": _names(others)})
    elif maybe := possible[volume.id]:
        why = why_possible(ctx, volume, maybe[0])
    drive = ctx.session.get(CloudInitDrive, vm.id)
    goes = drive is not None and (drive.pool_uuid, drive.volume_name) == (pool.uuid, volume.name)
    return DeletePreviewDisk(
        target=str(disk["target"]),
        path=volume.path,
        goes=goes,
        volume=ref(volume),
        pool=ref(pool),
        allocation_bytes=volume.allocation_bytes,
        deletable=why is None and not goes,
        own=own and why is None and not goes,
        why=why,
    )


def _names(users: Sequence[Ref]) -> str:
    return ", ".join(user.name for user in users[:5]) + (" …" if len(users) > 5 else "")


def _volumes(ctx: Ctx, host_id: str, sources: Sequence[str]) -> dict[str, tuple[Volume, Pool]]:
    """Volumes of the host by what definitions call them: their paths, or pool and name."""
    query = sa.select(Volume, Pool).join(Pool, Pool.id == Volume.pool_id).where(Pool.host_id == host_id)
    named = [source.partition("/")[::2] for source in sources]
    by_name = [sa.and_(Pool.name == pool, Volume.name == name) for pool, name in named if pool and name]
    query = query.where(sa.or_(Volume.path.in_(sources), *by_name))
    found: dict[str, tuple[Volume, Pool]] = {}
    for volume, pool in ctx.session.execute(visible(ctx, query, Volume, "pool.view")):
        found[volume.path] = found[f"{pool.name}/{volume.name}"] = (volume, pool)
    return found


def _chosen(ctx: Ctx, disks: Sequence[DeletePreviewDisk], volume_ids: Sequence[str]) -> list[VolumePlace]:
    by_id = {disk.volume.id: disk for disk in disks if disk.volume}
    places = []
    for number, volume_id in enumerate(dict.fromkeys(volume_ids)):
        disk = by_id.get(volume_id)
        if disk is None or disk.pool is None or disk.volume is None:
            raise InvalidInput(f"volumes.{number}", N_("is no disk of this VM"))
        if not disk.deletable:
            raise Conflict(
                N_("Volume %(name)s cannot be deleted."),
                why=disk.why,
                hint=N_("Leave it out."),
                code="volume_in_use",
                params={"name": disk.volume.name},
            )
        pool = known(ctx, Pool, disk.pool.id)
        places.append(
            VolumePlace(pool=pool.uuid, name=disk.volume.name, path=disk.path or "", volume_id=disk.volume.id)
        )
    return places


def _record(row: DeletedVm, host: Host) -> DeletedVmRecord:
    return DeletedVmRecord(
        id=row.id,
        name=row.name,
        uuid=row.uuid,
        host=ref(host),
        deleted_at=row.deleted_at,
        deleted_by=row.deleted_by,
        volumes=tuple(row.volumes),
        tags=tuple(row.tags),
    )
