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
    made = fill(services)
    asked = ctx()
    pool = asked.session.get_one(Pool, made.pool)
    vm_id = made.vms[0]
    assert vms.show_vm(asked, vm_id).host_id == pool.host_id
    elsewhere = {column.key: getattr(pool, column.key) for column in Pool.__table__.columns}
    other = next(host for host in made.hosts if host != pool.host_id)
    asked.session.add(Pool(**elsewhere | {"id": "pool_other", "host_id": other}))
    asked.session.flush()
    volume = {"pool_id": "pool_other", "kind": "file", "capacity_bytes": 77, "allocation_bytes": 7}
    asked.session.add(Volume(**volume, id="vol_other", name="web.qcow2", path="/images/web.qcow2"))
    asked.session.add(Volume(**volume, id="vol_there", name="there", path="/images/there"))
    sources = ("/images/web.qcow2", "default/web.qcow2", "/images/there", "rbd://ceph/one", None)
    disks = [*(disk(source) for source in sources), disk("/images/web.qcow2", "cdrom")]
    change = sa.update(VmDefinition).where(VmDefinition.vm_id == vm_id)
    asked.session.execute(change.values(parsed={"disks": disks}))
    asked.session.flush()
    shown = vms.show_vm(asked, vm_id).disks
    assert [(each.capacity_bytes, each.allocation_bytes) for each in shown] == [
        *((10, 4), (10, 4)),
        *[(None, None)] * 4,
    ]
