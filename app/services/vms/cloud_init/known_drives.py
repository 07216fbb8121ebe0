"""Cloud-init drives, which set new VMs up at their first boot: held back from people, and deleted after that boot.

One holds hashes of passwords. It is noted with its VM before it is created, and forgotten when it is gone.
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from app.access.context import Ctx
from app.core.errors import Conflict
from app.core.messages import N_
from app.core.specs import Spec
from app.core.vms.config import DiskPlan
from app.db.models import CloudInitDrive, Pool, Vm, Volume
from app.hypervisor.xml.domains.files import normal
from app.hypervisor.xml.named import read_named
from app.services.storage.pools.same_storage import may_be_same

HELD_BACK = N_("It holds hashes of passwords, so nobody reads, copies or attaches it.")
GOES = N_("It goes after the first boot of its VM, or with the VM.")


class DeleteCloudInitDriveParams(Spec):
    """Params of a task that deletes a cloud-init drive. `uuid` is that of its VM; None when that is gone.

    `host` has its volume, `vm_host` the VM; None in older tasks, which have both on their host.
    """

    vm_id: str
    uuid: str | None = None
    vm_host: str | None = None
    host: str | None = None
    pool: str
    name: str
    target: str


def note(ctx: Ctx, vm_id: str, host_id: str, drive: DiskPlan, *, keep: bool) -> None:
    """Note the cloud-init drive of a VM that is to be created."""
    ctx.require("vm.create")
    if drive.new is not None:
        place = {"pool_uuid": drive.new.pool, "volume_name": drive.new.name, "target": drive.target}
        ctx.session.add(CloudInitDrive(vm_id=vm_id, host_id=host_id, keep=keep, created_at=ctx.now, **place))


def of_vm(session: Session, vm_id: str) -> DeleteCloudInitDriveParams | None:
    """What there is to delete of a VM's cloud-init drive; None when it has none."""
    drive = session.get(CloudInitDrive, vm_id)
    return None if drive is None else deletion_of(session, drive)


def forget(session: Session, vm_id: str) -> None:
    """The VM's cloud-init drive is gone."""
    session.execute(sa.delete(CloudInitDrive).where(CloudInitDrive.vm_id == vm_id))


def is_cloud_init_drive() -> sa.ColumnElement[bool]:
    """Of a query that has volumes joined with their pools: whether the volume is a cloud-init drive, or may be one.

    Storage that hosts share lists it once for each of them. Where the pool it was made in is known no more,
    its name alone counts.
    """
    home = aliased(Pool)
    drives = sa.select(CloudInitDrive.vm_id).outerjoin(home, _is_home(home))
    drives = drives.where(CloudInitDrive.volume_name == Volume.name, _may_be_in(home))
    return drives.correlate(Pool, Volume).exists()


def _is_home(pool: type[Pool]) -> sa.ColumnElement[bool]:
    """Whether the cloud-init drive was created in this pool."""
    return sa.and_(pool.host_id == CloudInitDrive.host_id, pool.uuid == CloudInitDrive.pool_uuid)


def _may_be_in(home: type[Pool]) -> sa.ColumnElement[bool]:
    """Whether the pool of the query is, or may be, the one that the cloud-init drive was created in, if that is known."""
    return sa.or_(home.id.is_(None), may_be_same(home, Pool))


def holds_cloud_init_drive(session: Session, volume: Volume) -> bool:
    """Whether the volume holds the passwords of a VM's first boot."""
    query = (
        sa.select(Volume.id)
        .join(Pool, Pool.id == Volume.pool_id)
        .where(Volume.id == volume.id, is_cloud_init_drive())
    )
    return session.scalar(query) is not None


def refuse_cloud_init_drive(ctx: Ctx, volume: Volume) -> None:
    """Raise Conflict (volume_is_cloud_init_drive) for a volume that holds the passwords of a VM's first boot."""
    if holds_cloud_init_drive(ctx.session, volume):
        raise _is_held_back(volume.name)


def refuse_cloud_init_drives_in(
    session: Session, vm_id: str, host_id: str, xml: str, *before: str | None
) -> None:
    """Raise Conflict (volume_is_cloud_init_drive) for a definition of a VM that names the cloud-init drive of another.

    What one of the definitions `before` names stays. Raises UnreadableXml.
    """
    name = find_cloud_init_drive_in(session, vm_id=vm_id, host_id=host_id, xml=xml, before=before)
    if name is not None:
        raise _is_held_back(name)


def find_cloud_init_drive_in(
    session: Session, *, vm_id: str, host_id: str, xml: str, before: Collection[str | None] = ()
) -> str | None:
    """The name of another VM's cloud-init drive that a definition names and none of those `before` does, by whatever
    path or volume of the host; None when there is none. Raises UnreadableXml.
    """
    drives = _places(session, host_id, but=vm_id)
    if not drives:
        return None
    known = {name for item in before if item is not None for name in read_named(item)}
    return next((drives[name] for name in sorted(read_named(xml) - known) if name in drives), None)


def _places(session: Session, host_id: str, *, but: str) -> dict[str, str]:
    """The names of cloud-init drives of other VMs than this, by what the host calls them: a path, or `pool/volume`."""
    home = aliased(Pool)
    query = sa.select(CloudInitDrive.volume_name, Pool.name, Pool.target_path, Volume.path)
    query = (
        query.outerjoin(home, _is_home(home))
        .join(Pool, _may_be_in(home))
        .outerjoin(Volume, sa.and_(Volume.pool_id == Pool.id, Volume.name == CloudInitDrive.volume_name))
    )
    query = query.where(Pool.host_id == host_id, CloudInitDrive.vm_id != but)
    found: dict[str, str] = {}
    for name, pool, folder, listed in session.execute(query):
        paths = [listed, f"{folder}/{name}" if folder else None]
        found |= {normal(path): name for path in paths if path} | {f"{pool}/{name}": name}
    return found


def _is_held_back(name: str) -> Conflict:
    return Conflict(
        N_("%(name)s is the cloud-init drive of a VM."),
        why=HELD_BACK,
        hint=GOES,
        code="volume_is_cloud_init_drive",
        params={"name": name},
    )


def deletion_of(session: Session, drive: CloudInitDrive) -> DeleteCloudInitDriveParams:
    """What there is to delete of a cloud-init drive."""
    vm = session.get(Vm, drive.vm_id)
    return DeleteCloudInitDriveParams(
        vm_id=drive.vm_id,
        uuid=None if vm is None else vm.uuid,
        vm_host=None if vm is None else vm.host_id,
        host=drive.host_id,
        pool=drive.pool_uuid,
        name=drive.volume_name,
        target=drive.target,
    )
