"""Creating VMs on real hosts: what is made is what was asked for, and what fails leaves nothing behind."""

import re
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from lxml import etree

from app.core.errors import Conflict, InvalidInput, VigieError
from app.core.records import TaskRecord
from app.core.states import TaskState, VmState
from app.core.vmspec import VmBatch, VmSpec
from app.db.models import Network, Pool, Volume
from app.lab.host import LabHost
from app.lab.hostfiles import ASSETS, POOLS
from app.lab.lab import Lab
from app.services import creation, planning
from tests.integration.engine.conftest import MakeSite
from tests.integration.engine.site import Site, eventually

MIB = 1024**2
RNG = etree.RelaxNG(etree.parse("/usr/share/libvirt/schemas/domain.rng"))


@pytest.fixture
def host(fresh_lab: Lab, site: Site) -> LabHost:
    """A host that is known with what it has and offers, and whose pool has the lab's boot medium."""
    host = fresh_lab.hosts[0]
    host.exec("cp", f"{ASSETS}/boot.iso", f"{POOLS['local']}/boot.iso")
    host.exec("qemu-img", "convert", "-O", "qcow2", f"{ASSETS}/boot.iso", f"{POOLS['local']}/cloud.qcow2")
    host.virsh("pool-refresh", "local")
    site.add(host)
    eventually(lambda: volume_id(site, "boot.iso"), 15, "the volumes are read")
    return host


def row(site: Site, model: type, *where: object) -> object:
    with site.services.database.read() as session:
        found = session.scalar(sa.select(model).where(*where))  # type: ignore[arg-type]
        session.expunge_all()
        return found


def volume_id(site: Site, name: str) -> str | None:
    found = row(site, Volume, Volume.name == name)
    return found.id if found else None  # type: ignore[attr-defined]


def pool_id(site: Site, host: LabHost, name: str = "local") -> str:
    return row(site, Pool, Pool.host_id == site.host_ids[host.name], Pool.name == name).id  # type: ignore[attr-defined]


def network_id(site: Site, host: LabHost) -> str:
    return row(site, Network, Network.host_id == site.host_ids[host.name]).id  # type: ignore[attr-defined]


def ask(site: Site, **spec: object) -> str:
    with site.services.database.begin() as session:
        return creation.create_vm(site.ctx(session), VmSpec.model_validate(spec)).id


def created(site: Site, **spec: object) -> TaskRecord:
    task = site.task(ask(site, **spec), 60)
    assert task.state is TaskState.SUCCEEDED, task
    return task


def test_from_an_iso_with_an_empty_disk(host: LabHost, site: Site) -> None:
    task = created(
        site,
        name="from-iso",
        host_id=site.host_ids[host.name],
        memory_bytes=128 * MIB,
        disks=[
            {"pool_id": pool_id(site, host), "size_bytes": 64 * MIB},
            {"device": "cdrom", "volume_id": volume_id(site, "boot.iso")},
        ],
        nics=[{"network_id": network_id(site, host)}],
        tags=["web"],
        notes="the first",
    )
    vm = site.vm("from-iso")
    assert vm is not None
    assert (vm.id, vm.state, vm.tags, vm.notes) == (
        task.target.id,  # type: ignore[union-attr]
        VmState.RUNNING,
        ["web"],
        "the first",
    )
    xml = host.virsh("dumpxml", "--inactive", "from-iso")
    assert RNG.validate(etree.fromstring(xml)), RNG.error_log.last_error
    assert "from-iso-vda.qcow2" in host.virsh("vol-list", "local")
    eventually(lambda: (site.vm("from-iso") or vm).agent_connected, 30, "the guest's agent answers")
