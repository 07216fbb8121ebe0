"""Networks of a host: what is done with them, their leases, and who is plugged in. Networks are named by UUID."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import libvirt

from app.core.errors import HypervisorRefused
from app.core.networks.observations import Lease, NetworkObservation
from app.core.networks.specs import NetworkPlan
from app.hypervisor.networks.leases import list_leases, read_leases
from app.hypervisor.networks.queries import list_networks, saved_network
from app.hypervisor.transport.connection import Connection
from app.hypervisor.transport.connections import HostConnections
from app.hypervisor.xml.networks import network_build, networks
from app.hypervisor.xml.networks.network_updates import Update, updates

# The start of a network waits for dnsmasq and for rules of the firewall, each of which may wait for a lock.
CHANGE_S = 75.0
_SECTIONS = {
    "ip-dhcp-host": libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST,
    "ip-dhcp-range": libvirt.VIR_NETWORK_SECTION_IP_DHCP_RANGE,
    "dns-host": libvirt.VIR_NETWORK_SECTION_DNS_HOST,
    "dns-srv": libvirt.VIR_NETWORK_SECTION_DNS_SRV,
    "portgroup": libvirt.VIR_NETWORK_SECTION_PORTGROUP,
    "forward-interface": libvirt.VIR_NETWORK_SECTION_FORWARD_INTERFACE,
}
_COMMANDS = {
    "add": libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST,
    "delete": libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE,
    "modify": libvirt.VIR_NETWORK_UPDATE_COMMAND_MODIFY,
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A network as it is now. `saved` is its lasting definition; None for a transient one."""

    uuid: str
    name: str
    active: bool
    autostart: bool
    live: str
    saved: str | None

    @property
    def digest(self) -> str:
        """That of the lasting definition, as the mirror keeps it."""
        return networks.digest(self.saved or self.live)


class Networks:
    """Verbs on networks. Raises `core.errors`: HypervisorRefused with no_such_network."""

    def __init__(self, connections: HostConnections) -> None:
        self._connections = connections

    def find(self, uuid: str) -> Seen | None:
        """One network; None when the host has none of that UUID."""
        with self._connections.looks() as work:
            found = _lookup(work, work.raw.networkLookupByUUIDString, uuid)
            return None if found is None else _seen(work, found)

    def find_named(self, name: str) -> Seen | None:
        """As `find`, by name."""
        with self._connections.looks() as work:
            found = _lookup(work, work.raw.networkLookupByName, name)
            return None if found is None else _seen(work, found)

    def read(self) -> tuple[NetworkObservation, ...]:
        """All networks, over the connection of changes: what was just changed is in it."""
        with self._connections.looks() as work:
            return list_networks(work)

    def define(self, plan: NetworkPlan, uuid: str) -> None:
        """Define a new network. The host validates it."""
        self._define(network_build.build(plan, uuid))

    def redefine(self, xml: str) -> None:
        """Have this text, of a network that there is, as its lasting definition. The host validates it."""
        self._define(xml)

    def change(self, uuid: str, wanted: NetworkPlan) -> list[Update]:
        """Change the lasting definition, and what runs as far as libvirt can; return the steps that it could not do.

        Raises HypervisorRefused, with nothing changed, when the host does not accept the definition.
        """
        with self._connections.work() as work:
            network = work.call(work.raw.networkLookupByUUIDString, uuid)
            seen = _seen(work, network)
            self._define(network_build.edit(seen.saved or seen.live, wanted))
            live = networks.read_plan(seen.live) if seen.active else None
            if live is None:
                return []
            steps = updates(seen.live, live, wanted)
            return [step for step in steps if not _apply(work, network, step)]

    def start(self, uuid: str) -> None:
        """Start a network; no error when it runs."""
        self._do(uuid, lambda network: network.isActive() or network.create())

    def stop(self, uuid: str) -> None:
        """Stop a network; no error when it does not run."""
        self._do(uuid, lambda network: network.isActive() and network.destroy())

    def set_autostart(self, uuid: str, on: bool) -> None:
        """Have the network started with its host, or not."""
        self._do(uuid, lambda network: network.setAutostart(int(on)))

    def delete(self, uuid: str) -> None:
        """Remove the definition; a running network must be stopped first. No error when there is none."""
        try:
            self._do(uuid, lambda network: network.undefine())
        except HypervisorRefused as error:
            if error.code != "no_such_network":
                raise

    def plugged(self, uuid: str) -> list[str]:
        """UUIDs of the running VMs that have a port of the network; empty where the host cannot tell."""
        with self._connections.reads() as reads:
            network = reads.call(reads.raw.networkLookupByUUIDString, uuid)
            ports: list[Any] = reads.optional("network ports", network.listAllPorts, 0) or []
            owners = []
            for port in ports:
                try:
                    owner = networks.port_owner(reads.call(port.XMLDesc, 0))
                except HypervisorRefused:
                    continue  # it has gone meanwhile
                if owner:
                    owners.append(owner)
            return list(dict.fromkeys(owners))

    def leases(self, uuid: str) -> tuple[Lease, ...] | None:
        """The addresses that guests have from the network's DHCP; None when that cannot be told."""
        with self._connections.reads() as reads:
            return read_leases(reads, reads.call(reads.raw.networkLookupByUUIDString, uuid))

    def all_leases(self) -> dict[str, tuple[Lease, ...]]:
        """Those of all networks that run, by the network's UUID."""
        with self._connections.reads() as reads:
            return list_leases(reads)

    def _define(self, text: str) -> None:
        with self._connections.work() as work:
            flags = libvirt.VIR_NETWORK_DEFINE_VALIDATE
            try:
                work.call(work.raw.networkDefineXMLFlags, text, flags, deadline_s=CHANGE_S)
            except HypervisorRefused as error:
                # libvirt before 7.7 has no such call, and validates nothing.
                if error.code != "not_supported":
                    raise
                work.call(work.raw.networkDefineXML, text, deadline_s=CHANGE_S)

    def _do(self, uuid: str, change: Callable[[libvirt.virNetwork], object]) -> None:
        with self._connections.work() as work:
            network = work.call(work.raw.networkLookupByUUIDString, uuid)
            work.call(change, network, deadline_s=CHANGE_S)


def _lookup(
    work: Connection, find: Callable[[str], libvirt.virNetwork], key: str
) -> libvirt.virNetwork | None:
    try:
        return work.call(find, key)
    except HypervisorRefused as error:
        if error.code not in ("no_such_network", "invalid_argument"):
            raise
        return None


def _seen(work: Connection, network: libvirt.virNetwork) -> Seen:
    active = bool(work.call(network.isActive))
    saved = saved_network(work, network) if work.call(network.isPersistent) else None
    return Seen(
        uuid=network.UUIDString(),
        name=work.call(network.name),
        active=active,
        autostart=bool(work.call(network.autostart)) if saved is not None else False,
        live=work.call(network.XMLDesc, 0),
        saved=saved,
    )


def _apply(work: Connection, network: libvirt.virNetwork, step: Update) -> bool:
    """Do one step on what runs; False when libvirt does not."""
    flags = libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE
    try:
        work.call(
            network.update,
            _COMMANDS[step.command],
            _SECTIONS[step.section],
            step.subnet,
            step.xml,
            flags,
            deadline_s=CHANGE_S,
        )
    except HypervisorRefused:
        return False
    return True
