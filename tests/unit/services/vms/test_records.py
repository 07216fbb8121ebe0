"""A VM as it is shown: its disks have the sizes of the volumes that they are."""

import sqlalchemy as sa

from app.access.context import Services
from app.db.models import Pool, VmDefinition, Volume
from app.services.vms import vms
from tests.databases import Contexts
from tests.integration.api.conftest import fill


def disk(source: str | None, device: str = "disk") -> dict[str, object]:
    return {
        "target": "vda",
        "device": device,
        "bus": "virtio",
        "source": source,
        "format": "qcow2",
        "readonly": False,
        "capacity_bytes": None,
        "allocation_bytes": None,
    }


def test_disks_have_the_sizes_of_their_volumes(services: Services, ctx: Contexts) -> None:
    created = fill(services)
    context = ctx()
    pool = context.session.get_one(Pool, created.pool)
    vm_id = created.vms[0]
    assert vms.show_vm(context, vm_id).host_id == pool.host_id
    elsewhere = {column.key: getattr(pool, column.key) for column in Pool.__table__.columns}
    other = next(host for host in created.hosts if host != pool.host_id)
    context.session.add(Pool(**elsewhere | {"id": "pool_other", "host_id": other}))
    context.session.flush()
    volume = {"pool_id": "pool_other", "kind": "file", "capacity_bytes": 77, "allocation_bytes": 7}
    context.session.add(Volume(**volume, id="vol_other", name="web.qcow2", path="/images/web.qcow2"))
    context.session.add(Volume(**volume, id="vol_there", name="there", path="/images/there"))
    sources = ("/images/web.qcow2", "default/web.qcow2", "/images/there", "rbd://ceph/one", None)
    disks = [*(disk(source) for source in sources), disk("/images/web.qcow2", "cdrom")]
    change = sa.update(VmDefinition).where(VmDefinition.vm_id == vm_id)
    context.session.execute(change.values(parsed={"disks": disks}))
    context.session.flush()
    shown = vms.show_vm(context, vm_id).disks
    assert [(item.capacity_bytes, item.allocation_bytes) for item in shown] == [
        *((10, 4), (10, 4)),
        *[(None, None)] * 4,
    ]
