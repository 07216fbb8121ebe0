"""The media with which new VMs are set up at their first boot: held back from people, and removed after that boot.

A seed holds hashes of passwords. It is noted with its VM before it is made, and forgotten when it is gone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session, aliased

from app.access.context import Actor, Ctx, Services
from app.core.access.privileges import Role
from app.core.errors import Busy, Conflict
from app.core.hosts.states import HostMode, HostState
from app.core.kinds import ObjectKind
from app.core.messages import N_
from app.core.records import Ref
from app.core.tasks.states import ACTIVE_TASK_STATES
from app.core.vms.config import DiskPlan
from app.core.vms.create import SeedRemoval
from app.core.vms.states import VmState
from app.db.models import CloudInitSeed, Host, Pool, Task, Vm, Volume
from app.hypervisor.xml.domains.files import normal
from app.hypervisor.xml.named import read_named
from app.services.storage.volume_locations import may_be_same
from app.services.storage.volume_users import look_again
from app.tasks import tasks

log = structlog.get_logger(__name__)

REMOVE = "vm.remove-seed"
# cloud-init reads its seed before the guest's services start; this is for guests whose agent is very early.
AFTER_AGENT = timedelta(minutes=2)
# Without an agent nobody tells that the guest is up.
WITHOUT_AGENT = timedelta(hours=1)
RETRY = timedelta(minutes=10)
HELD_BACK = N_("It holds hashes of passwords, so nobody reads, copies or attaches it.")
GOES = N_("It goes after the first boot of its VM, or with the VM.")
_VIGIE = Actor(None, "Vigie", Role.ADMINISTRATOR, "system")


def note(ctx: Ctx, vm_id: str, host_id: str, drive: DiskPlan, *, keep: bool) -> None:
    """Note the seed of a VM that is to be made, and the drive with it."""
    ctx.require("vm.create")
    if drive.new is not None:
        place = {"pool_uuid": drive.new.pool, "volume_name": drive.new.name, "target": drive.target}
        ctx.session.add(CloudInitSeed(vm_id=vm_id, host_id=host_id, keep=keep, created_at=ctx.now, **place))


def of_vm(session: Session, vm_id: str) -> SeedRemoval | None:
    """What there is to remove of a VM's seed; None when it has none."""
    seed = session.get(CloudInitSeed, vm_id)
    return None if seed is None else _removal(session, seed)


def forget(session: Session, vm_id: str) -> None:
    """The VM's seed is gone."""
    session.execute(sa.delete(CloudInitSeed).where(CloudInitSeed.vm_id == vm_id))


def is_seed() -> sa.ColumnElement[bool]:
    """Of a query that has volumes joined with their pools: whether the volume is a seed, or may be one.

    Storage that hosts share lists the seed once for each of them. Where the pool it was made in is known no more,
    its name alone counts.
    """
    home = aliased(Pool)
    seeds = sa.select(CloudInitSeed.vm_id).outerjoin(home, _is_home(home))
    seeds = seeds.where(CloudInitSeed.volume_name == Volume.name, _may_be_in(home))
    return seeds.correlate(Pool, Volume).exists()


def _is_home(pool: type[Pool]) -> sa.ColumnElement[bool]:
    """Whether the seed was made in this pool."""
    return sa.and_(pool.host_id == CloudInitSeed.host_id, pool.uuid == CloudInitSeed.pool_uuid)


def _may_be_in(home: type[Pool]) -> sa.ColumnElement[bool]:
    """Whether the pool of the query is, or may be, the one that the seed was made in, if that is known."""
    return sa.or_(home.id.is_(None), may_be_same(home, Pool))


def holds_seed(session: Session, volume: Volume) -> bool:
    """Whether the volume holds the passwords of a VM's first boot."""
    query = (
        sa.select(Volume.id).join(Pool, Pool.id == Volume.pool_id).where(Volume.id == volume.id, is_seed())
    )
    return session.scalar(query) is not None


def refuse_seed(ctx: Ctx, volume: Volume) -> None:
    """Raise Conflict (volume_is_seed) for a volume that holds the passwords of a VM's first boot."""
    if holds_seed(ctx.session, volume):
        raise _is_held_back(ctx, volume.name)


def refuse_seeds_in(ctx: Ctx, vm_id: str, host_id: str, xml: str, *before: str | None) -> None:
    """Raise Conflict (volume_is_seed) for a definition of a VM that names the seed of another.

    What one of the definitions `before` names stays. Raises UnreadableXml.
    """
    name = find_seed_in(ctx.session, vm_id=vm_id, host_id=host_id, xml=xml, before=before)
    if name is not None:
        raise _is_held_back(ctx, name)


def find_seed_in(
    session: Session, *, vm_id: str, host_id: str, xml: str, before: Collection[str | None] = ()
) -> str | None:
    """The name of a seed of another VM that a definition names and none of those `before` does, by whatever path or
    volume of the host; None when there is none. Raises UnreadableXml.
    """
    seeds = _places(session, host_id, but=vm_id)
    if not seeds:
        return None
    known = {name for each in before if each is not None for name in read_named(each)}
    return next((seeds[name] for name in sorted(read_named(xml) - known) if name in seeds), None)


def _places(session: Session, host_id: str, *, but: str) -> dict[str, str]:
    """The names of seeds of other VMs than this, by what the host calls them: a path, or `pool/volume`."""
    home = aliased(Pool)
    query = sa.select(CloudInitSeed.volume_name, Pool.name, Pool.target_path, Volume.path)
    query = (
        query.outerjoin(home, _is_home(home))
        .join(Pool, _may_be_in(home))
        .outerjoin(Volume, sa.and_(Volume.pool_id == Pool.id, Volume.name == CloudInitSeed.volume_name))
    )
    query = query.where(Pool.host_id == host_id, CloudInitSeed.vm_id != but)
    found: dict[str, str] = {}
    for name, pool, folder, listed in session.execute(query):
        paths = [listed, f"{folder}/{name}" if folder else None]
        found |= {normal(path): name for path in paths if path} | {f"{pool}/{name}": name}
    return found


def _is_held_back(ctx: Ctx, name: str) -> Conflict:
    return Conflict(
        N_("%(name)s is the cloud-init seed of a VM."),
        why=HELD_BACK,
        hint=GOES,
        code="volume_is_seed",
        params={"name": name},
    )


def remove_due(services: Services, *, now: datetime) -> None:
    """Have the seeds removed whose VMs have booted or are gone. Raises Unavailable."""
    with services.database.read() as session:
        if session.scalar(sa.select(CloudInitSeed.vm_id).limit(1)) is None:
            return
    with services.database.begin() as session:
        ctx = Ctx(services, session, _VIGIE, now=now)
        for seed, vm, host in _open(session):
            if _is_due(seed, vm, now) and not _is_used(ctx, seed, vm):
                _enqueue(ctx, seed, vm, host)


def _open(session: Session) -> Iterator[tuple[CloudInitSeed, Vm | None, Host]]:
    """The seeds on hosts that can be worked on, with their VMs, unless they are being made."""
    query = sa.select(CloudInitSeed, Vm, Host).join(Host, Host.id == CloudInitSeed.host_id)
    query = query.outerjoin(Vm, Vm.id == CloudInitSeed.vm_id)
    active = [state.value for state in ACTIVE_TASK_STATES]
    making = sa.exists().where(Task.target_id == CloudInitSeed.vm_id, Task.state.in_(active))
    usable = (Host.state == HostState.CONNECTED.value, Host.mode == HostMode.MANAGED.value)
    # The VM may be on another host by now, where the seed is taken from its drive.
    reached = sa.or_(Vm.id.is_(None), Vm.host_id.in_(sa.select(Host.id).where(*usable)))
    for row in session.execute(query.where(*usable, reached, sa.not_(making))).all():
        yield row[0], row[1], row[2]


def _is_due(seed: CloudInitSeed, vm: Vm | None, now: datetime) -> bool:
    """Whether nobody needs the seed any more; notes when the VM was first seen running.

    A VM that was cut off before cloud-init can have ended begins anew with its next start.
    """
    if seed.tried_at is not None and now - seed.tried_at < RETRY:
        return False
    if vm is None:
        return True
    state = VmState(vm.state)
    if seed.keep or state in (VmState.MISSING, VmState.UNKNOWN):
        return False
    if state.is_active:
        seed.booted_at = seed.booted_at or now
        runs = now - seed.booted_at
        return runs >= (AFTER_AGENT if vm.agent_connected else WITHOUT_AGENT)
    if seed.booted_at is None or state is not VmState.SHUTOFF:
        return False
    if vm.state_reason != "shutdown" and now - seed.booted_at < WITHOUT_AGENT:
        seed.booted_at = None
        return False
    return True


def _is_used(ctx: Ctx, seed: CloudInitSeed, vm: Vm | None) -> bool:
    """Whether anything but its VM uses the seed, which then stays; this is looked at again later."""
    mine = "" if vm is None else vm.uuid
    users = look_again(ctx.session, seed.host_id, seed.pool_uuid, seed.volume_name, mine).users
    if users:
        seed.tried_at = ctx.now
        log.info("seed_in_use", vm=seed.vm_id, users=users[:5])
    return bool(users)


def _enqueue(ctx: Ctx, seed: CloudInitSeed, vm: Vm | None, host: Host) -> None:
    on = Ref(kind=ObjectKind.HOST, id=host.id, name=host.name)
    target = on if vm is None else Ref(kind=ObjectKind.VM, id=vm.id, name=vm.name)
    seed.tried_at = ctx.now
    params = _removal(ctx.session, seed).model_dump()
    try:
        lock = vm.id if vm is not None else f"{host.id}/seed/{seed.vm_id}"
        tasks.enqueue(ctx, REMOVE, target=target, host=on, params=params, lock=lock)
    except Busy:
        seed.tried_at = None
        log.info("seed_waits", vm=seed.vm_id)


def _removal(session: Session, seed: CloudInitSeed) -> SeedRemoval:
    vm = session.get(Vm, seed.vm_id)
    return SeedRemoval(
        vm_id=seed.vm_id,
        uuid=None if vm is None else vm.uuid,
        vm_host=None if vm is None else vm.host_id,
        host=seed.host_id,
        pool=seed.pool_uuid,
        name=seed.volume_name,
        target=seed.target,
    )
