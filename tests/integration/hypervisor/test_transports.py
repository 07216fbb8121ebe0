"""Every transport lists and controls; wrong identities and credentials are refused, each for its own reason."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import asyncssh
import pytest

from app.core.errors import HostAuthFailed, HostError, HostIdentityChanged, HypervisorRefused, VmGone
from app.core.hosts.endpoints import make_endpoint
from app.core.hosts.states import Transport
from app.core.vms.config import VolumePlan
from app.core.vms.states import VmState
from app.hypervisor import Host, SshKey, SshPassword, Target, TlsIdentity, see_identity
from app.lab.fleets.fleet import Fleet
from app.lab.hosts import namespace, tls
from app.lab.lab import Lab
from tests.integration.hypervisor.targets import (
    TRANSPORTS,
    OpenHost,
    local_target,
    simulated_target,
    ssh_target,
    tls_target,
)

pytestmark = pytest.mark.lab
NOWHERE = "11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_lists_and_controls(fresh_lab: Lab, open_host: OpenHost, transport: str) -> None:
    lab_host = fresh_lab.hosts[0]
    guest = lab_host.create_guest("alpha", boots=False)
    host = open_host(TRANSPORTS[transport](lab_host)).host

    vms = host.read_vms()
    assert [(vm.name, vm.uuid, vm.state) for vm in vms] == [("alpha", guest.uuid, VmState.SHUTOFF)]
    assert {pool.name for pool in host.read_pools(volumes=False)} == {"local", "shared"}
    assert [(net.name, net.active, net.dhcp) for net in host.read_networks()] == [("default", True, True)]

    uuid = vms[0].uuid
    states = []
    for verb in (host.start, host.pause, host.resume, host.reset, host.save, host.restore, host.force_off):
        verb(uuid)
        states.append(host.read_vm(uuid).state)
    running, paused, saved, off = VmState.RUNNING, VmState.PAUSED, VmState.SAVED, VmState.SHUTOFF
    assert states == [running, paused, running, running, saved, running, off]
    assert lab_host.virsh("domstate", uuid) == "shut off"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_much_data_reaches_a_volume_and_comes_back(
    fresh_lab: Lab, open_host: OpenHost, transport: str
) -> None:
    """By TLS the end of a transfer lay unread in the daemon, and the call that waited for it failed."""
    lab_host = fresh_lab.hosts[0]
    storage = open_host(TRANSPORTS[transport](lab_host)).host.storage
    data = os.urandom(16 * 1024**2 + 4321)
    storage.create_volume(VolumePlan(pool="local", name="much.img", format="raw", size_bytes=6 * len(data)))
    try:
        for number in range(6):
            storage.write_volume("local", "much.img", data, number * len(data))
        assert b"".join(storage.read_volume("local", "much.img", 6 * len(data))) == 6 * data
    finally:
        storage.delete_volume("local", "much.img")


def test_simulated_hosts(make_fleet: Callable[..., Fleet], open_host: OpenHost) -> None:
    fleet = make_fleet(3)
    host = open_host(simulated_target(fleet, 2)).host
    vms, sample = host.poll()
    assert len(vms) == 18
    assert sum(vm.state is VmState.RUNNING for vm in vms) == 13
    assert len(sample.vms) == 14
    assert {pool.name for pool in host.read_pools(volumes=False)} == {"local", "shared"}
    assert all(vm.definition and vm.definition.disks and vm.definition.nics for vm in host.read_vms())
    volumes = {pool.name: pool.volumes for pool in host.read_pools(volumes=True)}
    assert len(volumes["local"] or ()) == 18


def test_identity_is_what_the_host_has(fresh_lab: Lab) -> None:
    host = fresh_lab.hosts[0]
    printed = subprocess.run(
        ["ssh-keygen", "-lf", "-"], input=host.ssh_host_key, capture_output=True, text=True, check=True
    ).stdout.split()[1]
    assert ssh_target(host).fingerprint == printed
    der = subprocess.run(
        ["openssl", "x509", "-in", host.tls_server_cert, "-noout", "-fingerprint", "-sha256"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert (tls_target(host).fingerprint or "").startswith("SHA256:")
    assert "sha256 Fingerprint=" in der
    assert see_identity(local_target(host).endpoint, deadline_s=1) is None


@pytest.mark.parametrize("transport", ["ssh", "tls"])
def test_another_identity_is_refused(fresh_lab: Lab, transport: str) -> None:
    target = TRANSPORTS[transport](fresh_lab.hosts[0])
    strange = Target(target.endpoint, target.secret, "SHA256:" + "A" * 43)
    with pytest.raises(HostIdentityChanged) as refused:
        Host.open(strange, connect_deadline_s=5, call_deadline_s=5)
    assert refused.value.fingerprint == target.fingerprint


def test_ssh_key_of_a_stranger(fresh_lab: Lab) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    with pytest.raises(HostAuthFailed):
        Host.open(ssh_target(fresh_lab.hosts[0], secret=SshKey(key)), connect_deadline_s=5, call_deadline_s=5)


def test_ssh_key_with_a_passphrase(fresh_lab: Lab, open_host: OpenHost) -> None:
    key = asyncssh.read_private_key(fresh_lab.hosts[0].ssh_private_key)
    locked = key.export_private_key(passphrase="right", rounds=64).decode()
    open_host(ssh_target(fresh_lab.hosts[0], secret=SshKey(locked, "right"))).host.ping()


def test_ssh_password_where_none_is_taken(fresh_lab: Lab) -> None:
    with pytest.raises(HostAuthFailed):
        Host.open(
            ssh_target(fresh_lab.hosts[0], secret=SshPassword("guess")),
            connect_deadline_s=5,
            call_deadline_s=5,
        )


@pytest.mark.parametrize(
    "secret",
    [
        None,
        SshKey("not a key"),
        SshKey(
            asyncssh.generate_private_key("ssh-ed25519")
            .export_private_key(passphrase="right", rounds=64)
            .decode(),
            "wrong",
        ),
    ],
    ids=["none", "garbage", "wrong passphrase"],
)
def test_ssh_secret_that_cannot_be_used(secret: SshKey | None) -> None:
    endpoint = make_endpoint(Transport.SSH, address="127.0.0.1", user="vigie")
    with pytest.raises(HostAuthFailed) as refused:
        Host.open(Target(endpoint, secret, "SHA256:x"), connect_deadline_s=5, call_deadline_s=5)
    assert refused.value.code == "credential_unreadable"
    assert "right" not in repr(refused.value.__dict__)


def test_ssh_socket_that_is_not_there(fresh_lab: Lab) -> None:
    target = ssh_target(fresh_lab.hosts[0])
    elsewhere = make_endpoint(
        Transport.SSH, address=target.endpoint.address, user=target.endpoint.user, socket="/run/none"
    )
    with pytest.raises(HostError) as refused:
        Host.open(
            Target(elsewhere, target.secret, target.fingerprint), connect_deadline_s=5, call_deadline_s=5
        )
    assert refused.value.code == "libvirt_socket"
    assert refused.value.texts().hint


def test_ssh_without_forwarding_of_sockets(fresh_lab: Lab) -> None:
    host = fresh_lab.hosts[0]
    keys = "/etc/ssh/authorized_keys/vigie"
    try:
        host.exec("sed", "-i", "s/^ssh-/restrict ssh-/", keys)
        with pytest.raises(HostAuthFailed) as refused:
            Host.open(ssh_target(host), connect_deadline_s=5, call_deadline_s=5)
        assert refused.value.code == "ssh_forwarding_forbidden"
    finally:
        host.exec("sed", "-i", "s/^restrict //", keys)


SWAP = """
import os, socket, sys, time
path, real = sys.argv[1:]
os.unlink(path)
bound = socket.socket(socket.AF_UNIX)
bound.bind(path)  # it is in the file system and in /proc/net/unix, and refuses: as a daemon between bind and listen
print("bound", flush=True)
time.sleep(0.4)
os.unlink(path)
os.symlink(real, path)
"""


def test_a_daemon_that_is_just_starting_is_not_taken_for_forbidden_forwarding(
    fresh_lab: Lab, open_host: OpenHost
) -> None:
    """OpenSSH says the same of both, and a look at the socket in the wrong moment said that it listens."""
    lab_host = fresh_lab.hosts[0]
    target, path = ssh_target(lab_host), "/run/late-libvirt.sock"
    lab_host.exec("ln", "-s", target.endpoint.socket, path)
    try:
        endpoint = make_endpoint(
            Transport.SSH, address=target.endpoint.address, user=target.endpoint.user, socket=path
        )
        host = open_host(Target(endpoint, target.secret, target.fingerprint)).host
        command = ["python3", "-c", SWAP, path, target.endpoint.socket]
        with subprocess.Popen(
            namespace.inside_command(lab_host.init_pid, command), stdout=subprocess.PIPE, cwd="/"
        ) as swap:
            assert swap.stdout is not None
            swap.stdout.readline()
            assert host.read_pools(volumes=True)  # opens a connection of its own
    finally:
        lab_host.exec("rm", "-f", path)


def test_tls_certificates_that_do_not_fit(fresh_lab: Lab, tmp_path: Path) -> None:
    host = fresh_lab.hosts[0]
    tls.make_authority(tmp_path / "other")
    tls.make_client(tmp_path / "other", tmp_path / "other")
    other = {path.stem: path.read_text() for path in (tmp_path / "other").glob("*.pem")}
    ours = tls_target(host)
    assert isinstance(ours.secret, TlsIdentity)
    cases = {
        "certificate_untrusted": TlsIdentity(
            other["cacert"], ours.secret.certificate, ours.secret.private_key
        ),
        "host_auth_failed": TlsIdentity(ours.secret.ca_certificate, other["clientcert"], other["clientkey"]),
        "credential_unreadable": TlsIdentity(
            ours.secret.ca_certificate, ours.secret.certificate, other["clientkey"]
        ),
    }
    for code, secret in cases.items():
        with pytest.raises(HostAuthFailed) as refused:
            Host.open(
                Target(ours.endpoint, secret, ours.fingerprint), connect_deadline_s=5, call_deadline_s=5
            )
        assert refused.value.code == code


def test_errors_have_their_kind(fresh_lab: Lab, open_host: OpenHost) -> None:
    guest = fresh_lab.hosts[0].create_guest("beta", start=True, boots=False)
    host = open_host(local_target(fresh_lab.hosts[0])).host
    with pytest.raises(VmGone):
        host.start(NOWHERE)
    with pytest.raises(VmGone):
        host.read_vm(NOWHERE)
    assert guest.uuid
    with pytest.raises(HypervisorRefused) as refused:
        host.start(guest.uuid)
    assert refused.value.code == "wrong_state"
    host.abort_job(guest.uuid)
    assert host.job_progress(guest.uuid) is None


def test_ssh_account_that_may_not_use_libvirt(fresh_lab: Lab) -> None:
    host = fresh_lab.hosts[0]
    socket = "/run/libvirt/libvirt-sock"
    try:
        host.exec("chmod", "0700", socket)
        with pytest.raises(HostAuthFailed) as refused:
            Host.open(ssh_target(host), connect_deadline_s=5, call_deadline_s=5)
        assert refused.value.code == "libvirt_not_permitted"
        assert "libvirt" in (refused.value.texts().hint or "")
    finally:
        host.exec("chmod", "0770", socket)
