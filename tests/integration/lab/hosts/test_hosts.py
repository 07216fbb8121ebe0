"""Hosts of a lab are what a console expects of KVM hosts: distinct, reachable, with guests that behave."""

import asyncio
import socket
import ssl
import uuid
from pathlib import Path
from xml.etree import ElementTree

import asyncssh
import pytest
from cryptography import x509

from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from tests.integration.waiting import wait_for, wait_for_agent, wait_for_state

LIBVIRT_SOCKET = "/var/run/libvirt/libvirt-sock"


def test_hosts_have_identities_pools_and_networks_of_their_own(lab: Lab) -> None:
    seen = set()
    for host in lab.hosts:
        capabilities = ElementTree.fromstring(host.virsh("capabilities"))
        seen.add(capabilities.findtext("host/uuid"))
        assert host.virsh("hostname") == host.name
        assert host.virsh("pool-list", "--name").split() == ["local", "shared"]
        assert host.virsh("net-list", "--name").split() == ["default"]
    assert seen == {host.uuid for host in lab.hosts}
    assert len({host.ssh_host_key for host in lab.hosts}) == len(lab.hosts)


def test_shared_pool_is_one_and_local_pools_are_not(fresh_lab: Lab) -> None:
    first, second = fresh_lab.hosts[:2]
    for pool in ("shared", "local"):
        first.virsh("vol-create-as", pool, f"probe-{pool}", "1M")
        second.virsh("pool-refresh", pool)
    assert "probe-shared" in second.virsh("vol-list", "shared")
    assert "probe-local" not in second.virsh("vol-list", "local")


@pytest.mark.timeout(180)
def test_guest_boots_gets_an_address_counts_and_obeys_the_power_button(fresh_lab: Lab) -> None:
    host = fresh_lab.hosts[0]
    name = "<img src=x onerror=alert(1)> é 'q\""
    spec = host.create_guest(name, start=True)
    assert spec.uuid is not None
    wait_for_agent(host, spec.uuid)
    assert host.virsh("domname", spec.uuid) == name
    lease = wait_for(lambda: host.virsh("domifaddr", spec.uuid or ""), "lease of an address")
    assert "192.168.122." in lease
    host.virsh("screenshot", spec.uuid, str(host.run_directory / "screen"))
    assert (host.run_directory / "screen").stat().st_size > 1000
    counted = wait_for(lambda: host.counter(spec), "counter on the disk")
    host.virsh("shutdown", spec.uuid, "--mode", "acpi")
    wait_for_state(host, spec.uuid, "shut off")
    assert host.virsh("domstate", spec.uuid, "--reason") == "shut off (shutdown)"
    host.virsh("start", "--domain", spec.uuid)
    wait_for_agent(host, spec.uuid)
    wait_for(lambda: host.counter(spec) > counted + 1, "counter that goes on after the restart")
    host.virsh("shutdown", spec.uuid, "--mode", "agent")
    wait_for_state(host, spec.uuid, "shut off")


def test_deaf_guest_ignores_the_power_button(fresh_lab: Lab) -> None:
    host = fresh_lab.hosts[1]
    spec = host.create_guest("deaf", start=True, deaf=True, agent=False)
    wait_for(lambda: host.counter(spec), "boot")
    host.virsh("shutdown", "deaf", "--mode", "acpi")
    with pytest.raises(AssertionError):
        wait_for_state(host, "deaf", "shut off", timeout_s=4)


def test_ssh_reaches_the_libvirt_socket_without_being_root(lab: Lab, tmp_path: Path) -> None:
    host = lab.hosts[0]
    who, answer = asyncio.run(_by_ssh(host, tmp_path / "relay"))
    assert who == "vigie libvirt"
    assert answer == host.name


async def _by_ssh(host: LabHost, relay: Path) -> tuple[str, str]:
    """What the account is, and what virsh says through a relay over a stream-local channel."""
    known: tuple[list[asyncssh.SSHKey], list[str], list[str]] = (
        [asyncssh.import_public_key(host.ssh_host_key)],
        [],
        [],
    )
    key = str(host.ssh_private_key)
    async with asyncssh.connect(
        host.address, username=host.ssh_user, client_keys=[key], known_hosts=known
    ) as connection:
        who = await connection.run("echo $(id -un) $(id -gn)", check=True)
        forward = await connection.forward_local_path(str(relay), LIBVIRT_SOCKET)
        virsh = await asyncio.create_subprocess_exec(
            "virsh",
            "-q",
            "-c",
            f"qemu+unix:///system?socket={relay}",
            "hostname",
            stdout=asyncio.subprocess.PIPE,
        )
        message, _ = await asyncio.wait_for(virsh.communicate(), 20)
        forward.close()
        return str(who.stdout).strip(), message.decode().strip()


def test_tls_wants_a_certificate_and_shows_one_for_name_and_address(lab: Lab) -> None:
    host = lab.hosts[1]
    context = ssl.create_default_context(cafile=str(host.tls_ca))
    context.load_cert_chain(host.tls_client_cert, host.tls_client_key)
    for name in (host.address, host.name):
        with (
            socket.create_connection((host.address, host.tls_port), 5) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            shown = x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"")
    assert shown == x509.load_pem_x509_certificate(host.tls_server_cert.read_bytes())


def test_names_of_vms_survive_the_lab_xml(lab: Lab) -> None:
    for name in ("-rf", "a & b <c>", "\u202eright to left", "x" * 250):
        root = ElementTree.fromstring(lab.domain_xml(name, uuid=str(uuid.uuid4())))
        assert root.findtext("name") == name
