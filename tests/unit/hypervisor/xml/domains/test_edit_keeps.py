"""What edits once lost or left behind, each by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.hypervisor.xml.domains import device_edit, repointing
from app.hypervisor.xml.domains.read import parse
from tests.unit.hypervisor.xml.domains.edits import LAN, USER, VF, disk, machine, moved, nic

DOCUMENTS = Path(__file__).parent / "golden" / "before"


def document(name: str) -> str:
    return (DOCUMENTS / f"{name}.xml").read_text().removesuffix("\n")


def test_comments_instructions_and_cdata_of_metadata_survive() -> None:
    after = machine(rng=True)(document("vnc"))
    assert "<!-- Do not change: read by the backup robot. -->" in after
    assert '<?robot nightly="yes"?>' in after
    assert "<![CDATA[if (a < b && c > d)]]>" in after


def test_a_rate_that_changes_keeps_peak_burst_and_floor() -> None:
    after = parse(nic(LAN, in_kbps=2000)(document("nics")), "domain")
    inbound = after.find("devices/interface/bandwidth/inbound")
    assert inbound is not None
    assert dict(inbound.attrib) == {"average": "2000", "peak": "5000", "floor": "200", "burst": "1024"}


@pytest.mark.parametrize("fields", [{"filter": "clean-traffic"}, {"network": "lan"}], ids=str)
def test_the_same_filter_or_network_keeps_its_parameters_or_port_group(fields: dict[str, str]) -> None:
    assert nic(LAN, **fields)(document("nics")) == document("nics")


def test_no_burst_stays_without_its_limit_and_no_size_without_any() -> None:
    """QEMU does not start with one."""
    after = parse(disk("vda", read_bps=0, read_iops=0, write_iops=0)(document("disks")), "domain")
    tune = after.find("devices/disk/iotune")
    assert tune is not None
    assert [item.tag for item in tune] == ["group_name"]


@pytest.mark.parametrize("graphics", ["vnc", "none"])
def test_no_device_of_spice_stays_without_it(graphics: str) -> None:
    """libvirt refuses a smart card that does, and QEMU does not start with a port."""
    after = machine(graphics=graphics)(document("spice"))
    assert "spicevmc" not in after
    assert "spiceport" not in after


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("spice", {"firmware": "efi-secure"}),
        ("spice", {"cpu_mode": "host-passthrough"}),
        ("spice", {"video": "virtio"}),
        ("vnc", {"cpu_mode": "custom", "cpu_model": "Nehalem"}),
    ],
    ids=str,
)
def test_what_it_has_already_keeps_variables_features_and_heads(name: str, fields: dict[str, str]) -> None:
    assert machine(**fields)(document(name)) == document(name)


def test_a_display_in_three_dimensions_stays_beside_vnc() -> None:
    after = parse(machine(graphics="vnc")(document("spice")), "domain")
    assert [item.get("type") for item in after.iterfind("devices/graphics")] == ["vnc", "egl-headless"]


def test_a_disk_that_moved_names_its_format() -> None:
    """Without one, libvirt takes what it holds for raw."""
    after = parse(moved("/dev/vg0/b", to="/srv/b.qcow2", format="qcow2")(document("disks")), "domain")
    found = repointing.disk_at(after, {"/srv/b.qcow2"})
    assert found is not None
    assert found.xpath("string(driver/@type)") == "qcow2"


def test_an_interface_of_another_kind_keeps_nothing_of_the_old_kind() -> None:
    """libvirt refuses guest-side addresses, and `managed`, in one that is connected to a network."""
    for mac in (USER, VF):
        after = parse(nic(mac, network="lan")(document("nics")), "domain")
        found = device_edit.device_at(after, mac)
        assert found is not None
        assert found.find("ip") is None
        assert found.get("managed") is None
