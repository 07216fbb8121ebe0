"""Changes that libvirt sends no event for are seen within 30 s, volumes within 60 s or when somebody looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from app.core.storage.specs import VolumeQuery
from app.core.vms.states import VmState
from app.db.models import Network, Nwfilter, Pool, Vm, VmDefinition, Volume
from app.engine import engine as engines
from app.inventory.collectors import storage as storage_collector
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.services.storage.volumes.volumes import list_volumes
from tests.integration.conftest import MakeSite
from tests.integration.site import Site, eventually

SOON_S = 15.0  # with looks every second; how long it takes by default is arithmetic: see test_intervals
LATE = "<host mac='52:54:00:00:00:77' name='late' ip='192.168.122.77'/>"
DISK = "/var/lib/libvirt/images/spare.qcow2"


@pytest.fixture
def host(fresh_lab: Lab) -> LabHost:
    """A host with a running VM."""
    host = fresh_lab.hosts[0]
    host.create_guest("tower", start=True, boots=False)
    return host


@pytest.fixture
def site(make_site: MakeSite, host: LabHost) -> Site:
    """A site that looks often, and has read the host."""
    site = make_site(recheck_s=1.0, refresh_s=1.0)
    site.add(host, transport="local")
    eventually(lambda: value(site, VmDefinition.saved_xml, VmDefinition.saved_xml.is_not(None)), 30, "read")
    eventually(lambda: value(site, Pool.volumes_read_at, Pool.name == "local"), 30, "volumes read")
    return site


def value(site: Site, column: Any, where: Any) -> Any:
    with site.services.database.read() as session:
        return session.scalar(sa.select(column).where(where))


def seen(site: Site, column: Any, where: Any, wanted: Callable[[Any], bool], what: str) -> None:
    eventually(lambda: wanted(value(site, column, where)), SOON_S, what)


def test_networks_that_are_changed_without_an_event_are_seen(host: LabHost, site: Site) -> None:
    host.virsh("net-update", "default", "add", "ip-dhcp-host", LATE, "--live", "--config")
    try:
        seen(site, Network.xml, Network.name == "default", lambda xml: "late" in xml, "net-update")
        host.virsh("net-autostart", "default", "--disable")
        seen(site, Network.autostart, Network.name == "default", lambda on: not on, "autostart of a network")
    finally:
        host.virsh("net-autostart", "default")
        host.virsh("net-update", "default", "delete", "ip-dhcp-host", LATE, "--live", "--config")


def test_saved_definitions_that_are_changed_without_an_event_are_seen(host: LabHost, site: Site) -> None:
    host.exec("qemu-img", "create", "-f", "qcow2", DISK, "8M")
    host.virsh("attach-disk", "tower", DISK, "vdq", "--config", "--subdriver", "qcow2")
    seen(site, VmDefinition.saved_xml, sa.true(), lambda xml: "vdq" in xml, "attach --config")
    assert value(site, Vm.pending, Vm.name == "tower")
    host.virsh("setvcpus", "tower", "3", "--config", "--maximum")
    seen(site, VmDefinition.saved_xml, sa.true(), lambda xml: ">3</vcpu>" in xml, "setvcpus --config")


def test_definitions_of_vms_that_are_off_are_seen_when_changed_without_an_event(
    host: LabHost, site: Site
) -> None:
    host.create_guest("cellar", boots=False)
    site.wait_vm("cellar", VmState.SHUTOFF)
    is_cellar = VmDefinition.vm_id == site.vm("cellar").id  # type: ignore[union-attr]
    host.virsh("setvcpus", "cellar", "3", "--config", "--maximum")
    seen(site, VmDefinition.xml, is_cellar, lambda xml: ">3</vcpu>" in xml, "setvcpus --config")
    host.exec("qemu-img", "create", "-f", "qcow2", DISK, "8M")
    host.virsh("attach-disk", "cellar", DISK, "vdq", "--config", "--subdriver", "qcow2")
    seen(site, VmDefinition.xml, is_cellar, lambda xml: "vdq" in xml, "attach --config")


def test_network_filters_that_are_changed_without_an_event_are_seen(host: LabHost, site: Site) -> None:
    uuid = "00000000-0000-4000-8000-0000000000f1"
    text = f"<filter name='late'><uuid>{uuid}</uuid></filter>"
    host.exec("sh", "-c", f"cat > /tmp/filter.xml <<'X'\n{text}\nX")
    host.virsh("nwfilter-define", "/tmp/filter.xml")
    try:
        seen(site, Nwfilter.name, Nwfilter.uuid == uuid, lambda name: name == "late", "a network filter")
    finally:
        host.virsh("nwfilter-undefine", "late")
    seen(site, Nwfilter.name, Nwfilter.uuid == uuid, lambda name: name is None, "its end")


def test_a_disk_that_is_resized_under_a_running_vm_is_seen(host: LabHost, site: Site) -> None:
    target, path = host.virsh("domblklist", "tower", "--details").split()[2:4]
    before = value(site, Volume.capacity_bytes, Volume.path == path)
    assert before
    # Its rates come with the second sample: the size before is known then.
    eventually(lambda: value(site, Vm.cpu_percent, Vm.cpu_percent.is_not(None)) is not None, 30, "samples")
    host.virsh("blockresize", "tower", target, f"{before + 2**20}B")
    seen(site, Volume.capacity_bytes, Volume.path == path, lambda size: size == before + 2**20, "its size")


def test_disks_of_a_running_vm_that_lie_elsewhere_without_an_event_are_seen(
    host: LabHost, site: Site
) -> None:
    target, path = host.virsh("domblklist", "tower", "--details").split()[2:4]
    over = "/var/lib/libvirt/images/over.qcow2"
    host.virsh(
        "snapshot-create-as", "tower", "s1", "--disk-only", "--no-metadata", "--diskspec", f"{target},file={over}"
    )  # fmt: skip
    try:
        seen(site, VmDefinition.xml, sa.true(), lambda xml: over in xml, "the overlay")
        host.virsh("blockcommit", "tower", target, "--active", "--pivot", "--wait")
        seen(site, VmDefinition.xml, sa.true(), lambda xml: over not in xml and path in xml, "its end")
    finally:
        host.exec("rm", "-f", over)


def test_layers_under_a_disk_that_a_job_takes_away_are_seen(host: LabHost, site: Site) -> None:
    target, path = host.virsh("domblklist", "tower", "--details").split()[2:4]
    over = "/var/lib/libvirt/images/over.qcow2"
    host.virsh(
        "snapshot-create-as", "tower", "s1", "--disk-only", "--no-metadata", "--diskspec", f"{target},file={over}"
    )  # fmt: skip
    try:
        seen(site, VmDefinition.xml, sa.true(), lambda xml: over in xml and path in xml, "the overlay")
        host.virsh("blockpull", "tower", target, "--wait")
        seen(site, VmDefinition.xml, sa.true(), lambda xml: over in xml and path not in xml, "one layer")
    finally:
        host.exec("rm", "-f", over)


def test_a_medium_that_virsh_changes_in_a_running_vm_is_seen(host: LabHost, site: Site) -> None:
    media = "/var/lib/libvirt/images/late.iso"
    host.exec("truncate", "-s", "1M", media)
    host.create_guest("reader", boots=False)
    host.virsh("attach-disk", "reader", "", "sdz", "--type", "cdrom", "--targetbus", "sata", "--config")
    host.virsh("start", "reader")
    site.wait_vm("reader", VmState.RUNNING)
    is_reader = VmDefinition.vm_id == site.vm("reader").id  # type: ignore[union-attr]
    for verb, lies_in_it in (("--insert", True), ("--eject", False)):
        more = [media] if lies_in_it else []
        host.virsh("change-media", "reader", "sdz", *more, verb, "--live", "--force")
        seen(site, VmDefinition.xml, is_reader, lambda xml, now=lies_in_it: (media in xml) is now, verb)


def test_volumes_that_virsh_makes_and_deletes_are_seen(host: LabHost, site: Site) -> None:
    host.virsh("vol-create-as", "local", "spare.qcow2", "8M", "--format", "qcow2")
    seen(site, Volume.name, Volume.name == "spare.qcow2", lambda name: name is not None, "a new volume")
    host.virsh("vol-delete", "spare.qcow2", "local")
    seen(site, Volume.name, Volume.name == "spare.qcow2", lambda name: name is None, "a deleted volume")


def test_a_pool_that_somebody_looks_at_is_read_but_not_again_at_once(
    host: LabHost, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resize of a volume changes nothing that can be asked cheaply."""
    monkeypatch.setattr(engines, "VOLUMES_EVERY_S", 2.0)
    monkeypatch.setattr(storage_collector, "CHANGED_S", 600.0)  # nothing but the look reads it
    site = make_site()
    site.add(host, transport="local")
    host.virsh("vol-create-as", "local", "spare.raw", "8M", "--format", "raw")
    eventually(lambda: value(site, Pool.volumes_read_at, Pool.name == "local"), 30, "volumes read")
    pool = value(site, Pool.id, Pool.name == "local")

    def look() -> dict[str, int]:
        with site.services.database.read() as session:
            page = list_volumes(site.ctx(session), VolumeQuery(pool=pool))
            return {item.name: item.capacity_bytes for item in page.items}

    host.virsh("vol-resize", "spare.raw", "16M", "local")
    eventually(lambda: look().get("spare.raw") == 16 * 2**20, SOON_S, "its size")
    read_at = value(site, Pool.volumes_read_at, Pool.id == pool)
    for _ in range(5):
        look()
    assert value(site, Pool.volumes_read_at, Pool.id == pool) == read_at
