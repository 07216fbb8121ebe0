"""What is pending and what is done: the tasks, the pages and the host say the same."""

from __future__ import annotations

import pytest

from app.core.states import VmState
from app.db.models import Event, Offers, VmDefinition
from app.lab.host import LabHost
from app.lab.lab import Lab
from tests.integration.engine.site import Site, eventually
from tests.integration.engine.test_creation import created, row

MIB = 1024**2


@pytest.fixture
def host(fresh_lab: Lab, site: Site) -> LabHost:
    """A host that is known with what it has and offers."""
    host = fresh_lab.hosts[0]
    site.add(host)
    eventually(lambda: row(site, Offers), 15, "what the host offers is read")
    return host


def definition(site: Site, name: str) -> VmDefinition:
    return row(site, VmDefinition, VmDefinition.vm_id == site.vm(name).id)  # type: ignore[return-value, union-attr]


def test_a_fresh_vm_has_no_pending_differences(host: LabHost, site: Site) -> None:
    for name, firmware in (("fresh-bios", "bios"), ("fresh-uefi", "efi")):
        created(
            site,
            name=name,
            host_id=site.host_ids[host.name],
            memory_bytes=64 * MIB,
            firmware=firmware,
            sound=True,
            watchdog="reset",
            disks=[
                {"pool": "local", "size_bytes": 8 * MIB},
                {"pool": "local", "size_bytes": 8 * MIB, "bus": "scsi"},
                {"device": "cdrom"},
            ],
            nics=[{"network": "default"}],
        )
        site.wait_vm(name, VmState.RUNNING)
        eventually(lambda name=name: definition(site, name).saved_xml, 10, "both definitions are read")
        assert (definition(site, name).pending, site.vm(name).pending) == ([], False)  # type: ignore[union-attr]
        changes = row(site, Event, Event.kind == "vm.changed", Event.object_id == site.vm(name).id)  # type: ignore[union-attr]
        assert changes is None, "nobody changed what was only started"
