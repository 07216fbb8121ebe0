"""Which processes of a host are compared before and after a test."""

from app.lab.hosts.namespace import Process
from tests.labcheck import counted


def test_the_helper_that_writes_a_lease_is_no_process_that_is_gone_afterwards() -> None:
    daemon = Process(pid=5, inner_pid=2, command="libvirtd", stopped=False)
    helper = Process(pid=9, inner_pid=6, command="libvirt_leasesh", stopped=False)
    assert counted([daemon, helper]) == counted([daemon]) == {"libvirtd": 1}
