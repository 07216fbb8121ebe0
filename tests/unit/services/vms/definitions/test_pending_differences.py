"""What waits for a power-off: what somebody changed, not what libvirt fills in while a VM runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.hypervisor.xml.domains.read import read_vm
from app.inventory.vms.definitions import differences, parsed

DATA = Path(__file__).parents[3] / "hypervisor" / "xml" / "domains" / "data"
LIVE, SAVED = (
    (DATA / f"fresh-{name}.xml").read_text() for name in ("live", "saved")
)  # of libvirt 9.0, q35, UEFI


def pending(saved: str) -> list[str]:
    return differences(parsed(read_vm(LIVE)), parsed(read_vm(saved)), live=True)


def test_the_order_of_controllers_and_what_libvirt_fills_in_are_no_difference() -> None:
    assert pending(SAVED) == []
    more_ports = "<controller type='pci' index='99' model='pcie-root-port'/></devices>"
    assert pending(SAVED.replace("</devices>", more_ports)) == [], (
        "libvirt adds ports where devices need them"
    )


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("fresh-uefi-vda.qcow2", "other.qcow2", "Disks"),
        ("<sound model='ich9'>", "<sound model='ich6'>", "Other devices"),
        ("model='virtio-scsi'", "model='lsilogic'", "Other devices"),
        ("model='qemu-xhci'", "model='piix3-uhci'", "Other devices"),
        (
            "<watchdog model='i6300esb' action='reset'>",
            "<watchdog model='i6300esb' action='pause'>",
            "Other devices",
        ),
        ("<model type='virtio'/>", "<model type='e1000'/>", "Network interfaces"),
    ],
)
def test_what_somebody_changed_waits(old: str, new: str, part: str) -> None:
    assert old in SAVED
    assert part in pending(SAVED.replace(old, new))
