"""The eight guests of the demo, in every state that a console meets, made with virsh and never by Vigie."""

from app.lab.hosts.host import LabHost
from app.lab.lab import Lab

HOSTILE_NAME = "<img src=x onerror=alert(1)> “é” & co"


def make_guests(lab: Lab) -> int:
    """Make the eight guests on the hosts of the lab; return how many. Raises LabError when virsh refuses."""
    hosts = lab.hosts
    first, second, third = (hosts[number % len(hosts)] for number in range(3))
    first.create_guest("web-01", start=True, description="The shop's front end")
    second.create_guest("db-01", start=True, memory_mib=192, vcpus=2, pool="shared")
    second.create_guest("mail-01", description="Off until the new certificate comes")
    third.create_guest(HOSTILE_NAME)
    _make_paused(first)
    _make_transient(third)
    _make_saved(second)
    _make_crashed(third)
    return 8


def _make_paused(host: LabHost) -> None:
    host.virsh("suspend", _running(host, "build-01"))


def _make_transient(host: LabHost) -> None:
    """A guest that runs and has no definition: it is gone once it is off."""
    host.virsh("undefine", _running(host, "scratch-01"))


def _make_saved(host: LabHost) -> None:
    """A guest whose memory lies on its host's disk."""
    host.virsh("managedsave", _running(host, "archive-01"))


def _make_crashed(host: LabHost) -> None:
    host.kill_qemu(_running(host, "ci-01"))


def _running(host: LabHost, name: str) -> str:
    """Make a guest that runs, and return its UUID."""
    spec = host.create_guest(name, start=True)
    return spec.uuid or spec.name
