"""Whether a test left the lab's hosts as it found them, and healing them when it did not.

What is compared: processes (gone, left, frozen), the cable and the firewall, mounts, domains, storage pools, networks,
network filters, volumes, and files where tests put some. It costs some 15 ms per host: libvirt's objects are read over
one connection, the rest in /proc.
"""

from __future__ import annotations

import os
import shlex
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL

import libvirt

from app.lab.errors import LabError
from app.lab.hosts import namespace
from app.lab.hosts.host import LabHost
from app.lab.lab import Lab
from app.lab.paths import POOLS
from tests.libvirt_objects import Objects, put_back, read_objects, read_volumes

HOOKS = "/etc/libvirt/hooks"
VOLUMES = tuple(f"{directory}/" for directory in POOLS.values())
ANSWER_S = 20.0  # after which a daemon that does not answer is ended
# Sessions of SSH, as whoever is connected may stay so; what dnsmasq calls at each lease (the kernel cuts its name).
PASSING = ("sshd", "libvirt_leasesh")
SETTLE_S = 5.0  # what was told to end needs a moment
# Vigie writes it by itself to verify that pools are shared. A server that ends meanwhile leaves it to its next start,
# which no server of a test has.
PROBE_VOLUME = "/vigie-proof-"


@dataclass(frozen=True)
class HostState:
    """What a test could change on a host. `pids` and `stopped` are processes as the machine numbers them."""

    processes: Counter[str]
    pids: frozenset[int]
    stopped: frozenset[int]
    has_link: bool
    rules: tuple[str, ...]
    mounts: Counter[str]
    files: frozenset[str]
    volumes: frozenset[str]
    objects: Objects


LabState = list[HostState]


def read_lab(lab: Lab) -> LabState:
    """The hosts as they are now. Raises LabError or libvirtError when one does not answer."""
    return [_read(host) for host in lab.hosts]


def heal_lab(lab: Lab, before: LabState, *, guests_may_be_left: bool) -> list[str]:
    """Put the hosts back as they were; return what was otherwise, in words.

    With `guests_may_be_left`, domains and files that are left are removed and not told of.
    """
    # One after the other: they share a pool.
    return [
        f"{host.name}: {item}"
        for host, state in zip(lab.hosts, before, strict=True)
        for item in _heal(host, state, guests_may_be_left)
    ]


def _read(host: LabHost) -> HostState:
    processes = namespace.processes(host.init_pid)
    with _connected(host) as connection:
        objects, volumes = read_objects(connection), read_volumes(connection)
    return HostState(
        processes=counted(processes),
        pids=frozenset(process.pid for process in processes),
        stopped=frozenset(process.pid for process in processes if process.stopped),
        has_link=_has_link(host),
        rules=_rules(host),
        mounts=_mounts(host),
        files={path for path in _files(host) if PROBE_VOLUME not in path},
        volumes=volumes,
        objects=objects,
    )


def _heal(host: LabHost, before: HostState, guests_may_be_left: bool) -> list[str]:
    try:
        wrong = _heal_machine(host, before)
        wrong += _heal_contents(host, before, guests_may_be_left)
        return wrong + _heal_processes(host, before)
    except (LabError, libvirt.libvirtError, OSError) as error:
        _reboot(host)
        with suppress(libvirt.libvirtError):
            _heal_contents(host, before, guests_may_be_left)
        return [f"it could not be healed and was started anew: {error}"]


def _reboot(host: LabHost) -> None:
    if host.is_alive:
        host.kill_host()
    host.boot()


def _heal_machine(host: LabHost, before: HostState) -> list[str]:
    """Power, frozen processes, daemons, mounts, cable and firewall."""
    wrong = []
    if not host.is_alive:
        wrong.append("it is down")
        host.boot()
    frozen = {
        process.command for process in namespace.processes(host.init_pid) if _is_frozen(process, before)
    }
    if frozen:
        wrong.append(f"frozen: {', '.join(sorted(frozen))}")
        host.thaw()
    if not host.sshd_pids():
        wrong.append("sshd does not run")
        host.start_sshd()
    if not host.daemon_pids():
        wrong.append("libvirtd does not run")
        host.start_daemon()
    for mount in (_mounts(host) - before.mounts).elements():
        wrong.append(f"{mount} is mounted")
        host.exec("umount", "--lazy", mount)
    if not _has_link(host):
        wrong.append("its cable is cut")
        host.heal()
    return wrong + _heal_rules(host, before)


def _heal_rules(host: LabHost, before: HostState) -> list[str]:
    rules = _rules(host)
    for rule in rules:
        if rule not in before.rules:
            host.exec("iptables", "-w", "5", *shlex.split(rule.replace("-A ", "-D ", 1)))
    for rule in before.rules:
        if rule not in rules:
            host.exec("iptables", "-w", "5", *shlex.split(rule))
    return [f"firewall rule {rule} is left" for rule in rules if rule not in before.rules] + [
        f"firewall rule {rule} is gone" for rule in before.rules if rule not in rules
    ]


def _heal_contents(host: LabHost, before: HostState, guests_may_be_left: bool) -> list[str]:
    """libvirt's objects and the files beside them."""
    _wait_until_verified(host)
    with _connected(host) as connection:
        wrong = put_back(connection, before.objects, guests_may_be_left=guests_may_be_left)
        files = _files(host)
        for path in files - before.files:
            _delete(Path(f"/proc/{host.init_pid}/root{path}"))
        wrong += [f"file {path} is gone" for path in before.files - files]
        wrong += [
            f"file {path} is left"
            for path in files - before.files
            if PROBE_VOLUME not in path and not (guests_may_be_left and path.startswith(VOLUMES))
        ]
        if read_volumes(connection) != before.volumes:
            for pool in connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
                _refresh(pool)
    return wrong


def _wait_until_verified(host: LabHost) -> None:
    """Wait until Vigie has removed its probe volume, when a server still runs that does."""
    deadline = time.monotonic() + SETTLE_S
    while PROBE_VOLUME in "".join(_files(host)) and time.monotonic() < deadline:
        time.sleep(0.1)


def _refresh(pool: libvirt.virStoragePool) -> None:
    """Refresh a pool. While a volume is written libvirt refuses that: it is given a moment to end."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        try:
            pool.refresh(0)
        except libvirt.libvirtError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _heal_processes(host: LabHost, before: HostState) -> list[str]:
    """Wait until those that end by themselves have, and end the rest. What is gone comes back with a reboot."""
    deadline = time.monotonic() + SETTLE_S
    while (
        there := counted(namespace.processes(host.init_pid))
    ) != before.processes and time.monotonic() < deadline:
        time.sleep(0.02)
    wrong = []
    left = there - before.processes
    for process in namespace.processes(host.init_pid):
        if left[process.command] and process.pid not in before.pids:
            wrong.append(f"process {shlex.join(namespace.command_line(process.pid))} is left")
            namespace.send(process.pid, SIGKILL)
    gone = before.processes - there
    if gone:
        wrong += [f"process {command} is gone" for command in gone]
        raise LabError("; ".join(wrong))
    return wrong


@contextmanager
def _connected(host: LabHost) -> Iterator[libvirt.virConnect]:
    """A connection whose calls end when the daemon has not answered in time: it is ended then."""
    timer = threading.Timer(ANSWER_S, host.kill_daemon)
    timer.start()
    try:
        connection = libvirt.open(host.virsh_uri)
        try:
            yield connection
        finally:
            connection.close()
    finally:
        timer.cancel()


def counted(processes: list[namespace.Process]) -> Counter[str]:
    """How many there are of each, but for those that come and go by themselves."""
    return Counter(process.command for process in processes if process.command not in PASSING)


def _is_frozen(process: namespace.Process, before: HostState) -> bool:
    return process.stopped and process.pid not in before.stopped


def _has_link(host: LabHost) -> bool:
    try:
        return Path(f"/proc/{host.init_pid}/root/sys/class/net/eth0/carrier").read_text().strip() == "1"
    except OSError:  # the card itself is down
        return False


def _rules(host: LabHost) -> tuple[str, ...]:
    """Rules of the firewall that are not libvirt's."""
    saved = host.exec("iptables-save", "-t", "filter").stdout.splitlines()
    chains = ("-A INPUT ", "-A OUTPUT ", "-A FORWARD ")
    return tuple(line for line in saved if line.startswith(chains) and "libvirt" not in line.lower())


def _mounts(host: LabHost) -> Counter[str]:
    lines = Path(f"/proc/{host.init_pid}/mounts").read_text().splitlines()
    return Counter(line.split()[1] for line in lines)


def _files(host: LabHost) -> frozenset[str]:
    """What lies in the pools and among libvirt's hooks."""
    root = f"/proc/{host.init_pid}/root"
    return frozenset(
        f"{directory}/{name}"
        for directory in (*POOLS.values(), HOOKS)
        if os.path.isdir(root + directory)
        for name in os.listdir(root + directory)
    )


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
