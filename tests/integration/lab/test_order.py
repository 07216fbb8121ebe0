"""A test that leaves the lab otherwise than it found it is found out, and the lab is put right."""

import pytest

from app.lab.lab import Lab
from tests.laborder import LabOrder

pytestmark = [pytest.mark.lab]


def test_pools_and_networks_that_a_test_left_otherwise_are_told_and_put_right(
    fresh_lab: Lab, lab_order: LabOrder
) -> None:
    host = fresh_lab.hosts[0]
    assert lab_order.put_right() == []
    host.virsh("pool-destroy", "local")
    host.virsh("pool-define-as", "left", "dir", "--target", "/var/lib/libvirt/left")
    host.virsh("net-autostart", "default", "--disable")
    assert sorted(lab_order.put_right()) == [
        f"{host.name}: network default has another autostart",
        f"{host.name}: pool left is left",
        f"{host.name}: pool local is off",
    ]
    assert lab_order.put_right() == []
