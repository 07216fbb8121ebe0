"""What is compared before and after a test, and what is not."""

from app.lab.hosts.namespace import Process
from app.lab.lab import Lab
from app.lab.paths import POOLS
from tests.labcheck import counted, heal_lab, read_lab


def test_the_helper_that_writes_a_lease_is_no_process_that_is_gone_afterwards() -> None:
    daemon = Process(pid=5, inner_pid=2, command="libvirtd", stopped=False)
    helper = Process(pid=9, inner_pid=6, command="libvirt_leasesh", stopped=False)
    assert counted([daemon, helper]) == counted([daemon]) == {"libvirtd": 1}


def test_a_probe_volume_that_a_stopped_server_left_is_removed_and_not_told_of(lab: Lab) -> None:
    before = read_lab(lab)
    host = lab.hosts[0]
    daemons = host.daemon_pids()
    probe, file = (f"{POOLS['shared']}/{name}" for name in ("vigie-proof-task_1.raw", "other.raw"))
    host.exec("touch", probe, file)
    found = heal_lab(lab, before, guests_may_be_left=False)
    assert found == [f"{host.name}: file {file} is left"]
    assert "vigie-proof" not in host.exec("ls", POOLS["shared"]).stdout
    assert host.daemon_pids() == daemons
