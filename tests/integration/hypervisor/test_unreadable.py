"""Names that are no text: what has one is left out or shown by its UUID, and the rest of the host is read."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.core.errors import HypervisorRefused
from app.core.hosts.endpoints import make_endpoint
from app.core.hosts.states import Transport
from app.hypervisor import Host, Target
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from tests.integration.hypervisor.garbler import Garbler
from tests.integration.hypervisor.targets import OpenHost, local_target

pytestmark = pytest.mark.lab
Garble = Callable[[LabHost, str], Target]


@pytest.fixture
def garble(tmp_path: Path) -> Iterator[Garble]:
    """Makes a target of a host that says this word in undecodable bytes."""
    requested: list[Garbler] = []

    def make(host: LabHost, word: str) -> Target:
        requested.append(Garbler(tmp_path / f"{len(requested)}.sock", host.socket, word))
        return Target(make_endpoint(Transport.LOCAL, socket=str(requested[-1].path)))

    yield make
    for item in requested:
        item.close()


def test_a_file_with_a_name_that_is_not_utf8_hides_no_volumes(fresh_lab: Lab, open_host: OpenHost) -> None:
    lab_host = fresh_lab.hosts[0]
    lab_host.create_guest("beside")
    host = open_host(local_target(lab_host)).host
    before = {pool.name: pool.volumes for pool in host.read_pools(volumes=True)}
    assert before["local"]
    lab_host.exec("sh", "-c", "touch \"$(printf '/var/lib/libvirt/images/caf\\351.img')\"")
    try:
        lab_host.virsh("pool-refresh", "local")
        after = {pool.name: pool.volumes for pool in host.read_pools(volumes=True)}
    finally:
        lab_host.exec("sh", "-c", "rm \"$(printf '/var/lib/libvirt/images/caf\\351.img')\"")
        lab_host.virsh("pool-refresh", "local")
    assert after.keys() == before.keys()
    assert {volume.name for volume in after["local"] or ()} == {volume.name for volume in before["local"]}


def test_a_vm_with_a_name_that_is_no_text_hides_no_other(
    fresh_lab: Lab, open_host: OpenHost, garble: Garble
) -> None:
    lab_host = fresh_lab.hosts[0]
    strange = lab_host.create_guest("unreadable-name", start=True, boots=False)
    plain = lab_host.create_guest("plain", start=True, boots=False)
    host = open_host(garble(lab_host, "unreadable-name")).host
    for vms in (host.read_vms(), host.poll()[0]):
        assert {(vm.uuid, vm.name) for vm in vms} == {(strange.uuid, strange.uuid), (plain.uuid, "plain")}
    assert {vm.name for vm in host.read_vms() if vm.definition} == {"plain"}
    assert host.read_vm(strange.uuid or "").name == strange.uuid
    assert host.is_open


@pytest.mark.parametrize("word", ["local", "default"])
def test_a_pool_or_network_with_such_a_name_hides_no_other(
    fresh_lab: Lab, open_host: OpenHost, garble: Garble, word: str
) -> None:
    lab_host = fresh_lab.hosts[0]
    whole, garbled = open_host(local_target(lab_host)).host, open_host(garble(lab_host, word)).host

    def pools(host: Host) -> set[str]:
        return {pool.name for pool in host.read_pools(volumes=False)}

    def networks(host: Host) -> set[str]:
        return {network.name for network in host.read_networks()}

    assert word in pools(whole) | networks(whole)
    assert pools(garbled) == pools(whole) - {word}
    assert networks(garbled) == networks(whole) - {word}


def test_a_host_whose_own_name_is_no_text_has_facts(
    fresh_lab: Lab, open_host: OpenHost, garble: Garble
) -> None:
    lab_host = fresh_lab.hosts[0]
    hostname = open_host(local_target(lab_host)).host.read_facts().hostname
    assert open_host(garble(lab_host, hostname)).host.read_facts().hostname == ""


def test_an_answer_that_cannot_be_read_at_all_is_told(
    fresh_lab: Lab, open_host: OpenHost, garble: Garble
) -> None:
    host = open_host(garble(fresh_lab.hosts[0], "<arch>")).host
    with pytest.raises(HypervisorRefused) as refused:
        host.read_uuid()
    assert (refused.value.code, bool(refused.value.texts().why)) == ("unreadable_answer", True)


def test_an_error_that_cannot_be_read_is_told_as_such(
    fresh_lab: Lab, open_host: OpenHost, garble: Garble
) -> None:
    host = open_host(garble(fresh_lab.hosts[0], "nowhere-pool")).host
    with pytest.raises(HypervisorRefused) as refused:
        host.storage.find_volume("nowhere-pool", "any")
    assert refused.value.code == "unreadable_answer"
