"""When the cloud-init drive of a VM goes, and who may not touch it meanwhile."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from app.access.context import Ctx, Services
from app.core.errors import Conflict
from app.core.vms.create.spec import CloudInit
from app.db.models import (
    CloudInitDrive,
    Datacenter,
    Host,
    Pool,
    PoolDifference,
    Task,
    Vm,
    VmDefinition,
    Volume,
)
from app.services.library import images
from app.services.vms.cloud_init import known_drives
from app.services.vms.cloud_init.deletion import AFTER_AGENT, WITHOUT_AGENT, DeleteCloudInitDrive, delete_due
from app.services.vms.cloud_init.drive_content import cloud_init_texts
from app.services.vms.create import choices
from tests.databases import Contexts

VM = "vm_aaaaaaaaaaaaaaaa"
BEGIN = datetime(2026, 11, 29, tzinfo=UTC)
SOON = timedelta(seconds=15)


@pytest.fixture
def drive(ctx: Contexts) -> Contexts:
    """Contexts with a VM that is off and has a cloud-init drive in the pool of its host."""
    context = ctx()
    context.session.add(Datacenter(id="dc_1", name="Paris", name_key="paris", created_at=BEGIN))
    context.session.flush()
    where = {"transport": "ssh", "address": "192.0.2.1", "port": 22, "user": "root", "socket": "/s"}
    state = {"mode": "managed", "connection": "connected", "created_at": BEGIN}
    context.session.add(
        Host(id="host_1", datacenter_id="dc_1", name="kvm-1", name_key="kvm-1", **where, **state)
    )
    context.session.flush()
    facts = {"state": "shutoff", "persistent": True, "autostart": False, "created_at": BEGIN}
    context.session.add(Vm(id=VM, host_id="host_1", uuid="u", name="web", name_key="web", **facts))
    size = {"capacity_bytes": 1, "allocation_bytes": 1}
    running = {"state": "running", "autostart": True, "persistent": True, "available_bytes": 1, **size}
    context.session.add(Pool(id="pool_1", host_id="host_1", uuid="p", name="local", kind="dir", **running))
    context.session.flush()
    for name in ("web-seed.iso", "tools.iso"):
        path = f"/srv/{name}"
        context.session.add(
            Volume(id=f"vol_{name}", pool_id="pool_1", name=name, path=path, kind="file", **size)
        )
    place = {"host_id": "host_1", "pool_uuid": "p", "volume_name": "web-seed.iso", "target": "sda"}
    context.session.add(CloudInitDrive(vm_id=VM, keep=False, created_at=BEGIN, **place))
    context.session.flush()
    ctx.commit()
    return ctx


def removed(ctx: Contexts, services: Services, after: timedelta, **vm: Any) -> bool:
    """Whether the removal is asked for when the VM is like this, that long after the beginning."""
    session = ctx().session
    if vm:
        session.execute(sa.update(Vm).where(Vm.id == VM).values(**vm))
    ctx.commit()
    delete_due(services, now=BEGIN + after)
    return ctx().session.scalar(sa.select(Task.id).where(Task.kind == DeleteCloudInitDrive.kind)) is not None


def test_a_vm_that_never_ran_keeps_its_cloud_init_drive(drive: Contexts, services: Services) -> None:
    assert not removed(drive, services, timedelta(days=9))


def test_a_cloud_init_drive_goes_some_time_after_the_agent_answered(
    drive: Contexts, services: Services
) -> None:
    assert not removed(drive, services, SOON, state="running", agent_connected=True)
    assert not removed(drive, services, AFTER_AGENT)
    assert removed(drive, services, AFTER_AGENT + SOON)


def test_without_an_agent_a_cloud_init_drive_goes_after_an_hour(drive: Contexts, services: Services) -> None:
    assert not removed(drive, services, SOON, state="running")
    assert not removed(drive, services, WITHOUT_AGENT)
    assert removed(drive, services, WITHOUT_AGENT + SOON)


def test_a_cloud_init_drive_goes_when_the_guest_shut_itself_down(drive: Contexts, services: Services) -> None:
    assert not removed(drive, services, SOON, state="running")
    assert removed(drive, services, 2 * SOON, state="shutoff", state_reason="shutdown")


def test_after_a_forced_power_off_the_next_boot_counts(drive: Contexts, services: Services) -> None:
    assert not removed(drive, services, SOON, state="running")
    assert not removed(drive, services, 2 * SOON, state="shutoff", state_reason="destroyed")
    assert not removed(drive, services, WITHOUT_AGENT + SOON, state="running", state_reason=None)
    assert removed(drive, services, 2 * WITHOUT_AGENT + SOON)


def test_a_cloud_init_drive_that_shall_be_kept_stays_until_its_vm_is_gone(
    drive: Contexts, services: Services
) -> None:
    drive().session.execute(sa.update(CloudInitDrive).values(keep=True))
    assert not removed(drive, services, timedelta(days=1), state="running", agent_connected=True)
    assert not removed(drive, services, timedelta(days=2))
    drive().session.execute(sa.delete(Vm).where(Vm.id == VM))
    assert removed(drive, services, timedelta(days=3))


@pytest.mark.parametrize(
    "host", [{"connection": "not_answering"}, {"admin_state": "maintenance"}, {"mode": "observe"}]
)
def test_a_host_that_cannot_be_worked_on_is_left_alone(
    drive: Contexts, services: Services, host: dict[str, str]
) -> None:
    drive().session.execute(sa.update(Host).values(**host))
    drive().session.execute(sa.delete(Vm).where(Vm.id == VM))
    assert not removed(drive, services, timedelta(days=3))


def test_a_cloud_init_drive_is_offered_neither_as_an_image_nor_to_other_vms(drive: Contexts) -> None:
    requested = drive()
    assert [volume_option.id for volume_option in images.volume_options(requested)] == ["vol_tools.iso"]
    offered = str(choices.list_choices(requested, "host_1"))
    assert "tools.iso" in offered
    assert "web-seed.iso" not in offered
    assert known_drives.of_vm(requested.session, VM) is not None


def elsewhere(ctx: Ctx, *, host: str = "host_2", **pool: Any) -> Volume:
    """The cloud-init drive as another host lists it, in a pool that is like this."""
    if ctx.session.get(Host, host) is None:
        where = {"transport": "ssh", "address": "192.0.2.2", "port": 22, "user": "root", "socket": "/s"}
        state = {"mode": "managed", "connection": "connected", "created_at": BEGIN}
        ctx.session.add(Host(id=host, datacenter_id="dc_1", name=host, name_key=host, **where, **state))
        ctx.session.flush()
    size = {"capacity_bytes": 1, "allocation_bytes": 1}
    running = {"state": "running", "autostart": True, "persistent": True, "available_bytes": 1, **size}
    ctx.session.add(Pool(id="pool_2", host_id=host, uuid="q", name="also", kind="dir", **{**running, **pool}))
    ctx.session.flush()
    listed = Volume(
        id="vol_2", pool_id="pool_2", name="web-seed.iso", path="/mnt/web-seed.iso", kind="file", **size
    )
    ctx.session.add(listed)
    ctx.session.flush()
    return listed


def offered(ctx: Ctx) -> list[str]:
    return sorted(volume_option.id for volume_option in images.volume_options(ctx))


def test_a_cloud_init_drive_in_storage_that_hosts_share_is_held_back_through_each(drive: Contexts) -> None:
    requested = drive()
    requested.session.execute(sa.update(Pool).values(shared_mark="mark"))
    listed = elsewhere(requested, shared_mark="mark", target_path="/mnt")
    with pytest.raises(Conflict) as reported:
        known_drives.refuse_cloud_init_drive(requested, listed)
    assert reported.value.code == "volume_is_cloud_init_drive"
    assert offered(requested) == ["vol_tools.iso"]


@pytest.mark.parametrize("through", ["the pool", "one that is the same"])
def test_a_cloud_init_drive_in_storage_that_hosts_may_share_is_held_back_through_each(
    drive: Contexts, through: str
) -> None:
    requested = drive()
    place = {"target_path": "/srv", "shared_mark": "mark"}
    requested.session.execute(sa.update(Pool).where(Pool.id == "pool_1").values(**place))
    if through == "the pool":
        listed = elsewhere(requested, target_path="/srv/")
    else:  # its pool lies elsewhere on its host; its sibling lies where the other host has one
        listed = elsewhere(requested, target_path="/mnt")
        pool = requested.session.get_one(Pool, "pool_1")
        facts = {
            column_attr.key: getattr(pool, column_attr.key) for column_attr in sa.inspect(Pool).column_attrs
        }
        requested.session.add(
            Pool(**{**facts, "id": "pool_3", "uuid": "r", "name": "nas", "target_path": "/mnt"})
        )
        requested.session.flush()
    assert known_drives.holds_cloud_init_drive(requested.session, listed)
    requested.session.add(PoolDifference(pool_id="pool_1", other_id="pool_2"))
    requested.session.flush()
    assert not known_drives.holds_cloud_init_drive(requested.session, listed), (
        "it was found to be other storage"
    )


DRIVE = "<domain type='kvm'><devices><disk type='file' device='cdrom'><source {0}/></disk></devices></domain>"
NAMES = [
    DRIVE.format("file='/srv/web-seed.iso'"),
    DRIVE.format("file='//srv//x/../web-seed.iso'"),
    DRIVE.format("pool='local' volume='web-seed.iso'"),
    "<domain type='kvm'><os><initrd> /srv/./web-seed.iso</initrd></os></domain>",
    "<domain type='kvm'><devices><serial type='file'><source path='/srv/web-seed.iso'/></serial></devices></domain>",
]


@pytest.mark.parametrize("xml", NAMES)
def test_a_definition_that_names_the_cloud_init_drive_of_another_vm_is_refused(
    drive: Contexts, xml: str
) -> None:
    requested = drive()
    with pytest.raises(Conflict) as reported:
        known_drives.refuse_cloud_init_drives_in(requested.session, "vm_other", "host_1", xml)
    assert (reported.value.code, "web-seed.iso" in reported.value.texts().title) == (
        "volume_is_cloud_init_drive",
        True,
    )
    known_drives.refuse_cloud_init_drives_in(
        requested.session, "vm_other", "host_1", xml, DRIVE.format("file='/srv/web-seed.iso'"), xml
    )
    known_drives.refuse_cloud_init_drives_in(requested.session, VM, "host_1", xml)  # its own
    known_drives.refuse_cloud_init_drives_in(
        requested.session, "vm_other", "host_1", xml.replace("web-seed", "tools")
    )


@pytest.mark.parametrize("listed", [True, False])
def test_a_definition_of_another_host_names_a_cloud_init_drive_in_shared_storage_in_vain(
    drive: Contexts, listed: bool
) -> None:
    requested = drive()
    requested.session.execute(sa.update(Pool).values(shared_mark="mark"))
    volume = elsewhere(requested, shared_mark="mark", target_path="/mnt/")
    if not listed:
        requested.session.delete(volume)
        requested.session.flush()
    for source in (
        "file='/mnt/web-seed.iso'",
        "file='/mnt//web-seed.iso'",
        "pool='also' volume='web-seed.iso'",
    ):
        with pytest.raises(Conflict) as reported:
            known_drives.refuse_cloud_init_drives_in(
                requested.session, "vm_other", "host_2", DRIVE.format(source)
            )
        assert reported.value.code == "volume_is_cloud_init_drive"
    known_drives.refuse_cloud_init_drives_in(
        requested.session, "vm_other", "host_2", DRIVE.format("file='/srv/web-seed.iso'")
    )


def test_a_cloud_init_drive_goes_also_when_its_vm_runs_on_another_host_by_now(
    drive: Contexts, services: Services
) -> None:
    elsewhere(drive(), target_path="/mnt")
    there = {"host_id": "host_2", "agent_connected": True}
    assert not removed(drive, services, SOON, state="running", **there)
    assert removed(drive, services, AFTER_AGENT + 2 * SOON)
    task = drive().session.scalars(sa.select(Task).where(Task.kind == DeleteCloudInitDrive.kind)).one()
    assert (task.host_id, task.params["host"], task.params["vm_host"]) == ("host_1", "host_1", "host_2")


def test_nothing_is_changed_on_an_observed_host_to_which_the_vm_moved(
    drive: Contexts, services: Services
) -> None:
    elsewhere(drive(), target_path="/mnt")
    drive().session.execute(sa.update(Host).where(Host.id == "host_2").values(mode="observe"))
    there = {"host_id": "host_2", "agent_connected": True}
    assert not removed(drive, services, SOON, state="running", **there)
    assert not removed(drive, services, AFTER_AGENT + 2 * SOON)


def test_a_cloud_init_drive_that_another_vm_has_in_its_drive_stays(
    drive: Contexts, services: Services
) -> None:
    session = drive().session
    session.execute(sa.update(Vm).where(Vm.id == VM).values(id="vm_anew", uuid="another"))
    file = {"source": "/srv/web-seed.iso", "writes": False, "shared": False}
    session.add(
        VmDefinition(vm_id="vm_anew", digest="d", xml="<domain/>", parsed={"files": [file]}, read_at=BEGIN)
    )
    assert not removed(drive, services, timedelta(days=1))
    drive().session.execute(sa.update(VmDefinition).values(parsed={"files": []}))
    assert removed(drive, services, timedelta(days=2))


def test_a_guest_knows_itself_without_its_cloud_init_drive_unless_that_stays() -> None:
    mine = "write_files: [{path: /etc/motd, content: hello}]"
    reported = yaml.safe_load(cloud_init_texts(CloudInit(user_data=mine), "web", "the-id", [])["user-data"])
    paths = [item["path"] for item in reported["write_files"]]
    assert paths == [
        "/etc/motd",
        *(f"/var/lib/cloud/seed/nocloud/{name}" for name in ("meta-data", "user-data")),
    ]
    assert yaml.safe_load(reported["write_files"][1]["content"]) == {"instance-id": "the-id"}
    kept = yaml.safe_load(cloud_init_texts(CloudInit(keep_drive=True), "web", "the-id", [])["user-data"])
    assert "write_files" not in kept
