"""Each fault does what it says, and is undone."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.lab.errors import LabError
from app.lab.hosts import namespace
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.lab.status import host_status
from tests.integration.waiting import wait_for, wait_for_state


def answers(host: LabHost, timeout_s: float = 1.0) -> bool:
    """Whether the SSH server greets."""
    try:
        with socket.create_connection((host.address, host.ssh_port), timeout_s) as connection:
            connection.settimeout(timeout_s)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def test_daemon_faults(fresh_lab: Lab) -> None:
    host = fresh_lab.hosts[0]
    for end in (host.stop_daemon, host.kill_daemon):
        end()
        assert host_status(host).daemon == "dead"
        with pytest.raises(LabError):
            host.virsh("list", timeout_s=5)
        host.start_daemon()
        assert host.virsh("hostname") == host.name
    host.freeze()
    assert host_status(host).daemon == "frozen"
    assert answers(host)
    with pytest.raises(LabError):
        host.virsh("list", timeout_s=0.5)
    host.freeze(everything=True)
    assert not answers(host, 0.5)
    host.thaw()
    assert answers(host)
    assert host.virsh("hostname") == host.name


# posix_spawn waits in vfork until its child runs the command, and this child waits for a writer of the pipe.
SPAWN = """
import os, sys
os.mkfifo(sys.argv[1])
actions = [(os.POSIX_SPAWN_OPEN, 0, sys.argv[1], os.O_RDONLY, 0)]
os.waitpid(os.posix_spawn("/bin/sleep", ["sleep", "60"], {}, file_actions=actions), 0)
"""


def test_a_host_with_a_process_in_vfork_is_frozen_all_the_same(fresh_lab: Lab) -> None:
    host = fresh_lab.hosts[0]
    pipe = f"/run/vfork-{host.name}"
    inside = namespace.inside_command(host.init_pid, (sys.executable, "-c", SPAWN, pipe))
    with subprocess.Popen(inside) as spawning:
        seen = Path(f"/proc/{host.init_pid}/root{pipe}")
        wait_for(seen.exists, "the pipe is there")
        time.sleep(0.5)  # until the child waits, for which there is no sign
        with ThreadPoolExecutor(1) as pool:
            frozen = pool.submit(host.freeze, everything=True)
            time.sleep(7)  # the second attempt has stopped the child, too, before it ran its command
            writer = os.open(seen, os.O_RDWR)
            frozen.result()
        assert not answers(host, 0.5)
        os.close(writer)
        host.thaw()
        spawning.send_signal(signal.SIGCONT)  # nsenter stops with what it has started
        assert answers(host)
        host.exec("pkill", "-f", pipe, check=False)
        host.exec("pkill", "-x", "sleep", check=False)


@pytest.mark.parametrize("fault", ["cut", "cut_in", "cut_out"])
def test_cuts(fresh_lab: Lab, fault: str) -> None:
    host, other = fresh_lab.hosts[:2]
    cut: Callable[[], None] = getattr(host, fault)
    cut()
    assert not answers(host, 0.4)
    assert answers(other)
    assert host.virsh("hostname") == host.name, "the lab's own way in must not depend on its network"
    host.heal()
    assert answers(host, 3)


def test_killed_qemu_is_seen_as_a_crash(fresh_lab: Lab) -> None:
    host = fresh_lab.hosts[0]
    host.create_guest("victim & co", start=True, boots=False)
    host.kill_qemu("victim & co")
    wait_for_state(host, "victim & co", "shut off", 5)
    assert host.virsh("domstate", "victim & co", "--reason") == "shut off (crashed)"
    with pytest.raises(LabError, match="No VM"):
        host.kill_qemu("victim & co")


@pytest.mark.timeout(120)
def test_killed_host_is_silent_and_comes_back_the_same(fresh_lab: Lab) -> None:
    host = fresh_lab.hosts[2]
    spec = host.create_guest("keeper", start=True)
    counted = wait_for(lambda: host.counter(spec), "counter on the disk")
    key = host.ssh_host_key
    host.kill_host()
    assert not host.is_alive
    assert not answers(host, 0.3)
    with pytest.raises(LabError, match="boot-host"):
        host.exec("true")
    host.boot()
    assert answers(host)
    assert host.ssh_host_key == key
    assert host.uuid in host.virsh("capabilities")
    assert host.virsh("domstate", "keeper") == "shut off"
    assert host.counter(spec) >= counted


def test_full_pool_refuses_and_recovers(fresh_lab: Lab) -> None:
    host = fresh_lab.hosts[0]
    host.fill_pool("local")
    with pytest.raises(LabError, match=r"(?i)space"):
        host.virsh("vol-create-as", "local", "no", "64M", "--allocation", "64M", "--format", "raw")
    host.free_pool("local")
    host.virsh("vol-create-as", "local", "yes", "64M", "--allocation", "64M", "--format", "raw")


def test_new_identity(fresh_lab: Lab) -> None:
    host = fresh_lab.hosts[0]
    key, certificate = host.ssh_host_key, host.tls_server_cert.read_bytes()
    host.new_identity()
    assert host.ssh_host_key != key
    assert host.tls_server_cert.read_bytes() != certificate
    assert answers(host)
    assert host.virsh("hostname") == host.name
