"""Names of volumes that VMs get: after the VM and the disk, and never one that is taken."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from app.core.errors import InvalidInput
from app.core.vms.create.spec import DiskSpec, VmBatch, VmSpec
from app.db import models
from app.db.models import Pool, Task
from app.services.vms.create import create
from app.services.vms.reconfigure import devices_request
from tests.databases import Contexts
from tests.unit import fleet

NEW = DiskSpec(pool="local", size_bytes=fleet.GIB)


@pytest.fixture
def vm(ctx: Contexts) -> str:
    """A VM `web` with a disk web-vda.qcow2 in the pool `local`."""
    context = ctx()
    host = fleet.add_host(context, fleet.add_datacenter(context), "kvm-1", 64 * fleet.GIB)
    created = fleet.add_vm(context, host, "web").id
    ctx.commit()
    return created


def planned(ctx: Contexts, task_id: str) -> list[tuple[str, str]]:
    """Targets and names of the new volumes of a task."""
    params = ctx().session.get_one(Task, task_id).params
    disks = params["config"]["disks"] if "config" in params else [step["disk"] for step in params["steps"]]
    return [(disk["target"], disk["new"]["name"]) for disk in disks if disk["new"]]


def test_a_second_disk_in_the_same_pool_gets_a_name_of_its_own(ctx: Contexts, vm: str) -> None:
    task = devices_request.add_disk(ctx(), vm, NEW)
    assert planned(ctx, task.id) == [("vdb", "web-vdb.qcow2")]


def test_a_name_that_lies_in_the_pool_already_is_passed_over(ctx: Contexts, vm: str) -> None:
    context = ctx()
    pool = context.session.scalars(sa.select(Pool)).one()
    context.session.add_all(
        [fleet.add_volume(pool, "web-vdb.qcow2"), fleet.add_volume(pool, "web-vdb-2.qcow2")]
    )
    task = devices_request.add_disk(ctx(), vm, NEW)
    assert planned(ctx, task.id) == [("vdb", "web-vdb-3.qcow2")]


def test_disks_of_one_request_and_of_tasks_under_way_have_different_names(ctx: Contexts, vm: str) -> None:
    first = devices_request.add_disk(ctx(), vm, NEW.model_copy(update={"volume_name": "db-vdb.qcow2"}))
    assert planned(ctx, first.id) == [("vdb", "db-vdb.qcow2")]
    named = NEW.model_copy(update={"volume_name": "db-vda.qcow2"})
    second = create.create_vm(ctx(), VmSpec(name="db", os=None, disks=[NEW, NEW, named]))
    assert planned(ctx, second.id) == [
        ("vda", "db-vda-2.qcow2"),
        ("vdb", "db-vdb-2.qcow2"),
        ("vdc", "db-vda.qcow2"),
    ]


def test_a_name_that_somebody_chose_is_refused_when_it_is_taken(ctx: Contexts, vm: str) -> None:
    with pytest.raises(InvalidInput) as reported:
        devices_request.add_disk(ctx(), vm, NEW.model_copy(update={"volume_name": "web-vda.qcow2"}))
    assert reported.value.field == "disk.volume_name"


DISK, CD = {"device": "disk"}, {"device": "cdrom", "bus": "sata"}
FLOPPY = {"device": "floppy", "bus": "fdc", "readonly": True}


@pytest.mark.parametrize(
    ("first", "second"),
    [(DISK, DISK), (DISK, CD), (CD, DISK), (DISK, FLOPPY), (FLOPPY, DISK), (DISK, DISK | {"readonly": True})],
)
@pytest.mark.parametrize("through", ["one pool", "two pools of one folder"])
def test_one_volume_is_not_in_two_disks_of_a_vm_unless_both_only_read_it(
    ctx: Contexts, vm: str, first: dict[str, object], second: dict[str, object], through: str
) -> None:
    context = ctx()
    pool = context.session.scalars(sa.select(Pool)).one()
    ids = [fleet.add_volume(pool, "spare.raw")] * 2
    if through != "one pool":
        facts = {
            column_attr.key: getattr(pool, column_attr.key) for column_attr in sa.inspect(Pool).column_attrs
        }
        twin = Pool(**{**facts, "id": "pool_twin", "uuid": "twin", "name": "twin"})
        context.session.add(twin)
        context.session.flush()
        ids[1] = fleet.add_volume(twin, "spare.raw")
    context.session.add_all(ids)
    context.session.flush()
    named = [kind | {"volume_id": item.id} for kind, item in zip((first, second), ids, strict=True)]
    with pytest.raises(InvalidInput) as reported:
        create.preview_vm(context, VmSpec.model_validate({"name": "db", "disks": [NEW, *named]}))
    assert reported.value.field == "disks.2.volume_id"
    read = [
        kind | {"volume_id": item.id, "readonly": True}
        for kind, item in zip((first, second), ids, strict=True)
    ]
    assert create.preview_vm(context, VmSpec.model_validate({"name": "db", "disks": [NEW, *read]}))


def test_vms_of_one_batch_do_not_share_a_disk_that_they_write_to() -> None:
    disk = {"volume_id": "vol_aaaaaaaaaaaaaaaa"}
    for more, allowed in (({}, False), ({"readonly": True}, True), (CD, True)):
        given = {"spec": {"name": "web-##", "disks": [disk | more]}, "count": 2}
        with nullcontext() if allowed else pytest.raises(ValidationError, match="share a disk"):
            VmBatch.model_validate(given)


def test_a_vm_that_virsh_named_oddly_gets_disks_too(ctx: Contexts, vm: str) -> None:
    context = ctx()
    host = context.session.get_one(models.Vm, vm).host_id
    odd = fleet.add_vm(context, context.session.get_one(devices_request.Host, host), "../a/b").id
    task = devices_request.add_disk(ctx(), odd, NEW)
    assert planned(ctx, task.id) == [("vdb", "a-b-vdb.qcow2")]
