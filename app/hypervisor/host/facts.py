"""What a host is and can do. Best effort: what a transport or a version cannot tell is None."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass

import libvirt

from app.core.errors import HypervisorRefused, VigieError
from app.core.hosts.capabilities import HostCapabilities
from app.core.hosts.observations import HostFacts
from app.core.hosts.states import Transport
from app.core.vms.vm_defaults import MODERN
from app.hypervisor import errors
from app.hypervisor.transport.connection import Connection
from app.hypervisor.transport.transport_loop import link_loop
from app.hypervisor.transport.transports import HostTransport
from app.hypervisor.xml import host as host_xml
from app.hypervisor.xml.domains.read import UnreadableXml

# First of the ports that QEMU takes for incoming migrations.
MIGRATION_PORT = 49152
PROBE_S = 2.0
SHELL_S = 5.0
MAX_FILE = 512 * 1024
_TIMES = ("user", "kernel", "intr", "idle", "iowait")


@dataclass(frozen=True)
class _Shell:
    """What commands on the host said; each is None where there is no shell or it failed."""

    cpu_flags: frozenset[str] | None = None
    cpu_name: str | None = None
    lock_manager: str | None = None
    clock_skew_s: float | None = None
    has_iommu: bool | None = None


def read_uuid(connection: Connection) -> str:
    """The UUID by which libvirt tells machines apart. Raises HostNotAnswering, HypervisorRefused."""
    return _capabilities(connection).uuid


def _capabilities(connection: Connection) -> host_xml.Capabilities:
    try:
        return host_xml.read_capabilities(connection.call(connection.raw.getCapabilities))
    except UnreadableXml as error:
        raise errors.unreadable(error) from None


def read_booted_at(connection: Connection) -> int | None:
    """About when the host was booted, in seconds since 1970, from how long its processors have been counting."""
    raw = connection.raw
    spent = connection.optional("host cpu", raw.getCPUStats, libvirt.VIR_NODE_CPU_STATS_ALL_CPUS, 0)
    cpus = connection.call(raw.getInfo)[2]
    if not spent or not cpus:
        return None
    return int(time.time() - sum(spent.get(name, 0) for name in _TIMES) / cpus / 1e9)


def read_facts(connection: Connection, link: HostTransport) -> HostFacts:
    """Read everything; takes some ten round trips. Raises HostNotAnswering, HypervisorRefused."""
    raw = connection.raw
    capabilities = _capabilities(connection)
    features = _guest_features(connection, capabilities.machine_types)
    cpu_name = _system_cpu_name(connection)
    node = connection.call(raw.getInfo)
    memory = (
        connection.optional("host memory", raw.getMemoryStats, libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS, 0)
        or {}
    )
    shell = _ask_shell(link) if link.has_shell else _Shell()
    flags = shell.cpu_flags or frozenset(capabilities.cpu_features)
    virtualization = next((flag for flag in ("vmx", "svm") if flag in flags), None)
    return HostFacts(
        libvirt_uuid=capabilities.uuid,
        hostname=connection.readable(raw.getHostname) or "",
        hypervisor=connection.call(raw.getType),
        libvirt_version=_version(connection.call(raw.getLibVersion)),
        hypervisor_version=_version(connection.optional("version", raw.getVersion) or 0),
        arch=capabilities.arch or str(node[0]),
        cpu_vendor=capabilities.cpu_vendor,
        cpu_model=capabilities.cpu_model,
        cpu_name=cpu_name or shell.cpu_name,
        sockets=node[5] * node[4],
        cores_per_socket=node[6],
        threads_per_core=node[7],
        cpus=node[2],
        memory_bytes=memory.get("total", node[1] * 1024) * 1024,
        cpu_features=features or capabilities.cpu_features,
        numa_nodes=node[4],
        virtualization=virtualization,
        slat=_slat(shell.cpu_flags),
        iommu=capabilities.iommu if shell.has_iommu is None else shell.has_iommu or bool(capabilities.iommu),
        kvm="kvm" in capabilities.domain_types if capabilities.domain_types else None,
        lock_manager=shell.lock_manager,
        clock_skew_s=shell.clock_skew_s,
        migration_port_open=_probe_migration(link),
        machine_types=capabilities.machine_types,
    )


def read_domain_capabilities(connection: Connection) -> HostCapabilities | None:
    """What VMs can have on this host; None where the driver cannot tell. Raises HostNotAnswering, HypervisorRefused."""
    capabilities = connection.call(connection.raw.getCapabilities)
    try:
        machines = host_xml.read_capabilities(capabilities).machine_types
        xml = _domain_capabilities(connection, machines)
        return (
            host_xml.read_domain_capabilities(xml, machines, host_xml.read_huge_pages(capabilities))
            if xml
            else None
        )
    except UnreadableXml as error:
        raise errors.unreadable(error) from None


def _domain_capabilities(connection: Connection, machines: tuple[str, ...]) -> str | None:
    """Of the machine type that new VMs get."""
    machine = MODERN if MODERN in machines else None
    found: str | None = connection.optional(
        "domain capabilities", connection.raw.getDomainCapabilities, None, None, machine, None, 0
    )
    return found


def _guest_features(connection: Connection, machines: tuple[str, ...]) -> tuple[str, ...]:
    xml = _domain_capabilities(connection, machines)
    try:
        return host_xml.read_guest_features(xml) if xml else ()
    except UnreadableXml as error:
        raise errors.unreadable(error) from None


def _system_cpu_name(connection: Connection) -> str | None:
    """The processor's name as the firmware tells it, which may be any bytes."""
    try:
        xml = connection.optional("sysinfo", connection.raw.getSysinfo, 0)
        return host_xml.read_cpu_name(xml) if xml else None
    except UnreadableXml:
        return None
    except HypervisorRefused as error:
        if not errors.is_unreadable(error):
            raise
        return None


def _ask_shell(link: HostTransport) -> _Shell:
    async def ask() -> _Shell:
        info, config, groups, (stamp, sent, received) = (
            await link.run("cat /proc/cpuinfo", 8 * MAX_FILE),
            await link.run("cat /etc/libvirt/qemu.conf", MAX_FILE),
            await link.run("ls /sys/kernel/iommu_groups", MAX_FILE),
            await _timed(link, "date +%s.%N"),
        )
        return _Shell(
            cpu_flags=None if info is None else _cpu_flags(info),
            cpu_name=None if info is None else _cpu_name(info),
            lock_manager=None if config is None else _lock_manager(config.decode(errors="replace")),
            clock_skew_s=_skew(stamp, sent, received),
            has_iommu=None if groups is None else bool(groups.strip()),
        )

    try:
        return link_loop().run(ask(), SHELL_S)
    except (TimeoutError, VigieError):
        return _Shell()


async def _timed(link: HostTransport, command: str) -> tuple[bytes | None, float, float]:
    sent = time.time()
    return await link.run(command, 64), sent, time.time()


def _skew(stamp: bytes | None, sent: float, received: float) -> float | None:
    """How far the host's clock is ahead: its time lies somewhere between the question and the answer."""
    if stamp is None or not re.fullmatch(rb"\d{1,12}\.\d{1,9}\n?", stamp):
        return None
    there = float(stamp)
    if sent <= there <= received:
        return 0.0
    return round(there - received if there > received else there - sent, 3)


def _cpu_flags(cpuinfo: bytes) -> frozenset[str]:
    lines = re.findall(rb"^(?:flags|Features|vmx flags)\s*:\s*(.*)$", cpuinfo, re.MULTILINE)
    return frozenset(word.decode(errors="replace") for line in lines[:4] for word in line.split())


def _cpu_name(cpuinfo: bytes) -> str | None:
    found = re.search(rb"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return errors.clean(found[1].decode(errors="replace")).strip()[:120] if found else None


def _slat(flags: frozenset[str] | None) -> bool | None:
    if flags is None or not flags & {"vmx", "svm"}:
        return None
    return bool(flags & {"ept", "npt"})


def _lock_manager(config: str) -> str:
    """The setting of qemu.conf; a host without it has none."""
    found = re.search(r'^\s*lock_manager\s*=\s*"([a-z0-9_-]{1,32})"', config, re.MULTILINE)
    if not found or found[1] == "nop":
        return "none"
    return found[1]


def _probe_migration(link: HostTransport) -> bool | None:
    """Whether a connection to the first migration port would get through from here.

    No listener is needed: a refusal shows that no firewall is in between, silence that one is.
    """
    if link.endpoint.transport not in (Transport.SSH, Transport.TLS):
        return None

    async def probe() -> bool:
        async with asyncio.timeout(PROBE_S):
            return await reaches(link.endpoint.address, MIGRATION_PORT)

    try:
        return link_loop().run(probe(), PROBE_S + 1)
    except TimeoutError:
        return False


async def reaches(address: str, port: int) -> bool:
    """Whether packets to the port get through: it accepts a connection, or refuses it at once."""
    try:
        _, writer = await asyncio.open_connection(address, port)
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    writer.transport.abort()
    return True


def _version(number: int) -> str:
    """libvirt writes 9.1.2 as 9001002."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}" if number else ""
