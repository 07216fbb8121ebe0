"""What a guest says of itself. The agent may be dead or hostile: short deadlines, bounded and cleaned answers."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import TypedDict, TypeVar

import libvirt

from app.core.errors import HypervisorRefused
from app.core.vms.observations import GuestInfo
from app.hypervisor import errors
from app.hypervisor.domains import queries
from app.hypervisor.transport.connection import Connection
from app.hypervisor.xml.domains import read

# The daemon gives up an agent after this; the call's own deadline is for a daemon that does not.
AGENT_TIMEOUT_S = 2
MAX_ADDRESSES = 64
MAX_TEXT = 255

T = TypeVar("T")


class Interface(TypedDict, total=False):
    """One entry of libvirt's answer."""

    hwaddr: str | None
    addrs: list[dict[str, str | int]] | None


def read_guest(connection: Connection, uuid: str) -> GuestInfo:
    """Names and addresses of a running guest; those of its DHCP leases when there is no agent."""
    vm = queries.find_vm(connection, uuid)
    if vm.ID() == -1:
        return GuestInfo()
    try:
        connected = read.is_agent_connected(connection.call(vm.XMLDesc, 0))
    except read.UnreadableXml as error:
        raise errors.unreadable(error) from None
    if not connected:
        return GuestInfo(
            addresses=_addresses(connection, vm, libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE)
        )
    _ask(connection, vm.agentSetResponseTimeout, AGENT_TIMEOUT_S, 0)
    found = _ask(connection, vm.guestInfo, libvirt.VIR_DOMAIN_GUEST_INFO_HOSTNAME, 0)
    # An agent that hangs makes an empty answer, not an error.
    if not found:
        return GuestInfo(
            addresses=_addresses(connection, vm, libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE)
        )
    system = _ask(connection, vm.guestInfo, libvirt.VIR_DOMAIN_GUEST_INFO_OS, 0) or {}
    addresses = _addresses(connection, vm, libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT)
    return GuestInfo(
        agent_connected=True,
        hostname=_word(found.get("hostname")),
        os_name=_word(system.get("os.pretty-name")) or _word(system.get("os.name")),
        addresses=addresses or _addresses(connection, vm, libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE),
    )


def _ask(connection: Connection, question: Callable[..., T], *args: object) -> T | None:
    """An answer, or None when the guest or the host cannot give one now."""
    try:
        return connection.call(question, *args)
    except HypervisorRefused:
        return None


def _addresses(connection: Connection, vm: libvirt.virDomain, source: int) -> tuple[tuple[str, str], ...]:
    """(MAC, IP address) of the guest's interfaces, without loopback and link-local ones."""
    found: list[tuple[str, str]] = []
    interfaces: dict[str, Interface] = _ask(connection, vm.interfaceAddresses, source, 0) or {}
    for interface in interfaces.values():
        mac = str(interface.get("hwaddr") or "")[:17].lower()
        for entry in interface.get("addrs") or []:
            try:
                address = ipaddress.ip_address(str(entry.get("addr")))
            except ValueError:
                continue
            if not address.is_loopback and not address.is_link_local:
                found.append((mac, str(address)))
    return tuple(found[:MAX_ADDRESSES])


def _word(text: object) -> str | None:
    return errors.clean(text).strip()[:MAX_TEXT] or None if isinstance(text, str) else None
