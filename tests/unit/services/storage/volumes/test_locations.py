"""Where a volume lies over all hosts, who uses it there, and what tasks hold of it: on both databases."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from app.access.context import Ctx, Services
from app.core.errors import Busy, Conflict, VigieError
from app.core.hosts.states import HostConnection
from app.core.ids import new_id
from app.core.kinds import ObjectKind
from app.core.storage.volumes import VolumeClone, VolumeMove, VolumeResize, VolumeSpec
from app.core.tasks.records import TaskRecord
from app.core.tasks.states import TaskState
from app.core.vms.create.spec import DiskSpec
from app.core.vms.delete import DeleteSpec
from app.core.vms.power import VmVerb
from app.core.vms.specs import ActionOptions, BulkAction
from app.core.vms.states import VmState
from app.db.models import Host, HostCapabilities, Pool, PoolDifference, TaskLock, Vm, VmDefinition, Volume
from app.services.storage.pools.lifecycle import delete_pool
from app.services.storage.volumes.clone import clone_volume
from app.services.storage.volumes.create import create_volume
from app.services.storage.volumes.delete import delete_volume
from app.services.storage.volumes.move import move_volume
from app.services.storage.volumes.resize import resize_volume
from app.services.storage.volumes.users import dependents
from app.services.storage.volumes.wipe import wipe_volume
from app.services.vms import power
from app.services.vms.create.config_builder import HOST_CAPABILITIES
from app.services.vms.delete import delete
from app.services.vms.reconfigure import devices_request
from app.tasks import lifecycle, tasks
from tests.databases import Contexts
from tests.integration.api.conftest import fill

PATH = "/vms/web.qcow2"
MIB = 1024**2


@dataclass
class World:
    """Two hosts, each with a pool at /vms that lists web.qcow2, and VMs `a` (first host) and `b` (second)."""

    hosts: list[str]
    pools: list[str]
    volumes: list[str]
    vms: list[str]


@pytest.fixture
def world(services: Services) -> World:
    created = fill(services)
    with services.database.begin() as session:
        session.execute(sa.update(Host).values(connection=HostConnection.CONNECTED.value, mode="managed"))
        ids = [new_id(ObjectKind.POOL) for _ in created.hosts]
        listed = [new_id(ObjectKind.VOLUME) for _ in created.hosts]
        capabilities = HOST_CAPABILITIES.dump_python(HOST_CAPABILITIES.validate_python(OFFER), mode="json")
        for number, host_id in enumerate(created.hosts):
            session.add(_pool(ids[number], host_id))
            session.add(
                HostCapabilities(host_id=host_id, capabilities=capabilities, read_at=datetime.now(UTC))
            )
            session.flush()
            session.add(_volume(listed[number], ids[number]))
        vms = [created.vms[1], created.vms[7]]  # both are off
        session.execute(sa.update(Vm).where(Vm.id.in_(vms)).values(state=VmState.SHUTOFF.value))
    return World(created.hosts, ids, listed, vms)


OFFER = {
    "arch": "x86_64",
    "hypervisor": "qemu",
    "machine": "q35",
    "machines": ["q35"],
    "firmwares": ["bios"],
    "cpu_modes": [],
    "cpu_models": [],
    "vcpus_max": 8,
    "disk_buses": ["virtio", "sata"],
}


def _pool(pool_id: str, host_id: str) -> Pool:
    sizes = {"capacity_bytes": 2**40, "allocation_bytes": 0, "available_bytes": 2**40}
    kinds = {"kind": "dir", "state": "running", "autostart": True, "persistent": True}
    return Pool(
        id=pool_id,
        host_id=host_id,
        uuid=f"{host_id[-16:]}-uuid",
        name="vms",
        target_path="/vms",
        **sizes,
        **kinds,
    )


def _volume(volume_id: str, pool_id: str) -> Volume:
    sizes = {"capacity_bytes": 10 * MIB, "allocation_bytes": MIB}
    return Volume(
        id=volume_id, pool_id=pool_id, name="web.qcow2", path=PATH, kind="file", format="qcow2", **sizes
    )


def uses(ctx: Ctx, vm_id: str, path: str = PATH, *, readonly: bool = False, shared: bool = False) -> None:
    disk = {"target": "vda", "device": "disk", "source": path, "readonly": readonly, "bus": "virtio"}
    file = {"source": path, "writes": not readonly, "shared": shared}
    change = sa.update(VmDefinition).where(VmDefinition.vm_id == vm_id)
    ctx.session.execute(change.values(parsed={"disks": [disk], "files": [file]}))


def verified(ctx: Ctx, world: World, *, same: bool) -> None:
    if same:
        ctx.session.execute(sa.update(Pool).where(Pool.id.in_(world.pools)).values(shared_mark="mark"))
        return
    one, other = world.pools
    ctx.session.add(PoolDifference(pool_id=one, other_id=other))
    ctx.session.add(PoolDifference(pool_id=other, other_id=one))
    ctx.session.flush()


def every_change(ctx: Ctx, world: World) -> dict[str, str]:
    """What is asked of the first host's volume, and the code of its refusal; empty where it is accepted."""
    volume = world.volumes[0]
    calls = {
        "delete": lambda: delete_volume(ctx, volume),
        "wipe": lambda: wipe_volume(ctx, volume),
        "resize": lambda: resize_volume(ctx, volume, VolumeResize(size_bytes=20 * MIB)),
        "shrink": lambda: resize_volume(ctx, volume, VolumeResize(size_bytes=MIB, shrink=True)),
        "move": lambda: move_volume(ctx, volume, VolumeMove(pool_id=_another_pool(ctx, world))),
        "attach": lambda: devices_request.add_disk(ctx, world.vms[0], DiskSpec(volume_id=volume)),
    }
    answers = {}
    for name, call in calls.items():
        try:
            with ctx.session.begin_nested():
                task = call()
            lifecycle.finish_task(
                ctx.session, ctx.services.hub, task.id, lifecycle.Ending(TaskState.SUCCEEDED)
            )
            answers[name] = ""
        except Conflict as error:
            answers[name] = error.code
    return answers


def _another_pool(ctx: Ctx, world: World) -> str:
    found = ctx.session.scalar(sa.select(Pool.id).where(Pool.name == "other"))
    if found is not None:
        return found
    return add_pool(ctx, world.hosts[0], "other", "/other").id


def add_pool(ctx: Ctx, host_id: str, name: str, path: str) -> Pool:
    pool = _pool(new_id(ObjectKind.POOL), host_id)
    pool.name, pool.target_path, pool.uuid = name, path, f"{name}-uuid"
    ctx.session.add(pool)
    ctx.session.flush()
    return pool


def test_a_volume_that_a_vm_of_another_host_may_use_is_left_alone(world: World, ctx: Contexts) -> None:
    context = ctx()
    uses(context, world.vms[1])
    assert set(every_change(context, world).values()) == {"volume_may_be_in_use"}
    with pytest.raises(Conflict) as reported:
        delete_volume(context, world.volumes[0])
    assert "kvm-01" in (reported.value.texts().why or ""), "the other host is named"


def test_a_volume_of_storage_that_is_another_is_free_whatever_other_hosts_use(
    world: World, ctx: Contexts
) -> None:
    context = ctx()
    uses(context, world.vms[1])
    verified(context, world, same=False)
    assert set(every_change(context, world).values()) == {""}


def test_a_volume_of_shared_storage_is_in_use_through_every_host(world: World, ctx: Contexts) -> None:
    context = ctx()
    uses(context, world.vms[1])
    verified(context, world, same=True)
    found = every_change(context, world)
    assert found.pop("resize") == "", "a VM that is off lets its disk grow"
    assert set(found.values()) == {"volume_in_use"}


@pytest.mark.parametrize("mounts", [True, False])
def test_a_pool_elsewhere_that_was_found_different_does_not_vouch_for_its_host(
    world: World, ctx: Contexts, mounts: bool
) -> None:
    context = ctx()
    verified(context, world, same=False)
    context.session.get_one(Pool, world.pools[1]).target_path = "/srv/local"
    context.session.get_one(Volume, world.volumes[1]).path = "/srv/local/web.qcow2"
    if mounts:  # the path is a pool that was off when the other was looked at
        add_pool(context, world.hosts[1], "nas", "/vms")
    uses(context, world.vms[1])
    assert set(every_change(context, world).values()) == {"volume_may_be_in_use"}


def test_a_pool_at_the_path_of_one_that_is_the_same_may_be_the_same(world: World, ctx: Contexts) -> None:
    context = ctx()
    nas = add_pool(context, world.hosts[0], "nas", "/mnt")
    nas.shared_mark = context.session.get_one(Pool, world.pools[0]).shared_mark = "mark"
    uses(context, world.vms[1])
    volume = _volume(new_id(ObjectKind.VOLUME), nas.id)
    volume.path = "/mnt/web.qcow2"
    context.session.add(volume)
    context.session.flush()
    with pytest.raises(Conflict) as reported:
        delete_volume(context, volume.id)
    assert reported.value.code == "volume_may_be_in_use"
    assert PATH in (reported.value.texts().why or ""), "the path by which it may be used is named"
    uses(context, world.vms[1], "/elsewhere")
    delete_volume(context, volume.id)
    with pytest.raises(Busy):
        delete_volume(context, world.volumes[1])


def test_pools_that_name_the_same_target_of_a_storage_server_are_one(world: World, ctx: Contexts) -> None:
    context = ctx()
    uses(context, world.vms[1], "/elsewhere/web.qcow2")
    context.session.get_one(Pool, world.pools[1]).target_path = "/elsewhere"
    context.session.get_one(Volume, world.volumes[1]).path = "/elsewhere/web.qcow2"
    context.session.execute(sa.update(Pool).values(source="netfs nas:/vms"))
    with pytest.raises(Conflict) as reported:
        delete_volume(context, world.volumes[0])
    assert reported.value.code == "volume_in_use"


def test_a_volume_on_two_hosts_is_given_to_one_vm_only(world: World, ctx: Contexts) -> None:
    context = ctx()
    verified(context, world, same=True)
    devices_request.add_disk(context, world.vms[0], DiskSpec(volume_id=world.volumes[0]))
    with pytest.raises(Busy):
        devices_request.add_disk(context, world.vms[1], DiskSpec(volume_id=world.volumes[1]))


def test_a_volume_is_not_deleted_while_a_task_attaches_it(world: World, ctx: Contexts) -> None:
    context = ctx()
    devices_request.add_disk(context, world.vms[0], DiskSpec(volume_id=world.volumes[0]))
    for volume_id in world.volumes:  # the second host's may be the same file
        with pytest.raises(Busy):
            delete_volume(context, volume_id)


def test_a_volume_is_not_attached_while_a_task_deletes_it(world: World, ctx: Contexts) -> None:
    context = ctx()
    delete_volume(context, world.volumes[0])
    with pytest.raises(Busy):
        devices_request.add_disk(context, world.vms[0], DiskSpec(volume_id=world.volumes[0]))


@pytest.mark.parametrize("shares", [True, False])
def test_a_disk_is_shared_only_with_vms_that_share_it(world: World, ctx: Contexts, shares: bool) -> None:
    context = ctx()
    verified(context, world, same=True)
    uses(context, world.vms[1], shared=shares)
    disk = DiskSpec(volume_id=world.volumes[0], shareable=True)
    if shares:
        devices_request.add_disk(context, world.vms[0], disk)
        return
    with pytest.raises(Conflict) as reported:
        devices_request.add_disk(context, world.vms[0], disk)
    assert reported.value.code == "volume_in_use"


def test_two_hosts_do_not_make_one_file_at_once(world: World, ctx: Contexts) -> None:
    context = ctx()
    create_volume(context, VolumeSpec(pool_id=world.pools[0], name="new", size_bytes=MIB))
    with pytest.raises(Busy):
        create_volume(context, VolumeSpec(pool_id=world.pools[1], name="new", size_bytes=MIB))
    verified(context, world, same=False)
    create_volume(context, VolumeSpec(pool_id=world.pools[0], name="other", size_bytes=MIB))
    create_volume(context, VolumeSpec(pool_id=world.pools[1], name="other", size_bytes=MIB))


def test_copies_of_one_volume_do_not_wait_for_each_other(world: World, ctx: Contexts) -> None:
    context = ctx()
    for name in ("one", "two"):
        clone_volume(context, world.volumes[0], VolumeClone(name=name))
    with pytest.raises(Busy):
        delete_volume(context, world.volumes[0])


def defined(ctx: Ctx, vm_id: str, mark: str, path: str = PATH) -> None:
    """Have the VM's definition name the volume as a disk that is marked in this way."""
    xml = f"<domain><devices><disk><source file='{path}'/>{mark}</disk></devices></domain>"
    change = sa.update(VmDefinition).where(VmDefinition.vm_id == vm_id).values(xml=xml, saved_xml=None)
    ctx.session.execute(change)


def start(ctx: Ctx, vm_id: str) -> TaskRecord:
    return power.act(ctx, vm_id, VmVerb.START, ActionOptions())


def code_of(call: Callable[[], object]) -> str | None:
    """The code of the refusal; None when it is accepted."""
    try:
        call()
    except VigieError as error:
        return error.code
    return None


@pytest.mark.parametrize("mark", ["", "<shareable/>"])
@pytest.mark.parametrize("overlay", [True, False])
def test_a_vm_does_not_start_while_its_disk_is_copied(
    world: World, ctx: Contexts, mark: str, overlay: bool
) -> None:
    context = ctx()
    verified(context, world, same=True)
    for vm_id in world.vms:
        defined(context, vm_id, mark)
    if overlay:
        spec = VolumeSpec(pool_id=world.pools[0], name="over", backing_volume_id=world.volumes[0])
        copying = create_volume(context, spec)
    else:
        copying = clone_volume(context, world.volumes[0], VolumeClone(name="copy"))
    assert [code_of(lambda vm=vm_id: start(context, vm)) for vm_id in world.vms] == ["busy", "busy"]
    assert code_of(lambda: power.act(context, world.vms[0], VmVerb.AUTOSTART_ON, ActionOptions())) is None
    tasks.cancel_task(context, copying.id)
    assert code_of(lambda: start(context, world.vms[1])) is None


@pytest.mark.parametrize("mark", ["", "<shareable/>"])
def test_a_disk_is_not_copied_while_its_vm_starts(world: World, ctx: Contexts, mark: str) -> None:
    context = ctx()
    defined(context, world.vms[0], mark)
    starting = start(context, world.vms[0])
    copy = VolumeClone(name="copy")
    assert code_of(lambda: clone_volume(context, world.volumes[0], copy)) == "busy"
    tasks.cancel_task(context, starting.id)
    assert code_of(lambda: clone_volume(context, world.volumes[0], copy)) is None


@pytest.mark.parametrize("mark", ["<readonly/>", "<shareable/>"])
def test_vms_that_read_or_share_one_volume_start_at_the_same_time(
    world: World, ctx: Contexts, mark: str
) -> None:
    context = ctx()
    verified(context, world, same=True)
    for vm_id in world.vms:
        defined(context, vm_id, mark)
    answer = power.act_many(context, BulkAction(verb=VmVerb.START, ids=world.vms))
    assert (len(answer.tasks), answer.refused) == (2, [])
    copying = lambda: clone_volume(context, world.volumes[0], VolumeClone(name="copy"))  # noqa: E731
    assert code_of(copying) == (None if "readonly" in mark else "busy"), "what is only read may be copied"


def test_what_is_built_on_a_volume_depends_on_it_through_every_host(world: World, ctx: Contexts) -> None:
    context = ctx()
    over = _volume(new_id(ObjectKind.VOLUME), world.pools[1])
    over.name, over.path, over.backing_path = "over.qcow2", "/vms/over.qcow2", PATH
    context.session.add(over)
    context.session.flush()
    assert dependents(context.session, world.hosts[0], [PATH]) == {}, "it may be other storage"
    verified(context, world, same=True)
    for source in (PATH, "vms/web.qcow2"):
        assert dependents(context.session, world.hosts[0], [source]) == {"web.qcow2": ["over.qcow2"]}


def test_a_task_lets_go_of_everything_when_it_ends(world: World, ctx: Contexts) -> None:
    context = ctx()
    task = delete_volume(context, world.volumes[0])
    held = sa.select(sa.func.count()).select_from(TaskLock).where(TaskLock.task_id == task.id)
    assert (context.session.scalar(held) or 0) > 1
    lifecycle.finish_task(
        context.session, context.services.hub, task.id, lifecycle.Ending(TaskState.SUCCEEDED)
    )
    assert context.session.scalar(held) == 0
    delete_volume(context, world.volumes[0])


def test_a_vm_keeps_its_disk_when_a_vm_of_another_host_may_have_it(world: World, ctx: Contexts) -> None:
    context = ctx()
    for vm_id in world.vms:
        uses(context, vm_id)
    with pytest.raises(Conflict) as reported:
        delete.delete_vm(context, world.vms[0], DeleteSpec(volumes=[world.volumes[0]]))
    assert reported.value.code == "volume_in_use"
    assert "kvm-01" in (reported.value.texts().why or "")


def test_a_pool_is_taken_from_a_host_while_another_that_shares_it_uses_it(
    world: World, ctx: Contexts
) -> None:
    context = ctx()
    verified(context, world, same=True)
    uses(context, world.vms[1])
    delete_pool(context, world.pools[0])
    with pytest.raises(Conflict) as reported:
        delete_pool(context, world.pools[1])
    assert reported.value.code == "pool_in_use"
