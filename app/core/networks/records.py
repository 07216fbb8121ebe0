"""What is answered about networks."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from app.core.networks.specs import NetworkPlan
from app.core.records import Problem, Record, Ref
from app.core.tasks.records import TaskRecord
from app.core.vms.records import VerbRecord
from app.core.vms.states import VmState


class NetworkRecord(Record):
    """A virtual network of a host."""

    id: str
    uuid: str
    name: str
    host_id: str
    host_name: str
    active: bool
    autostart: bool
    persistent: bool
    stale: bool
    observed_at: datetime | None
    bridge: str | None = None
    forward_mode: str
    addresses: list[str] = Field([])
    dhcp: bool = False
    mtu: int | None = None
    vlan: str | None = None
    vm_count: int = Field(0, description="VMs that are plugged into it, running or not.")


class LeaseRecord(Record):
    """An address that a guest has from the network's DHCP."""

    address: str
    prefix: int
    mac: str | None = None
    hostname: str | None = None
    expires_at: datetime | None = None
    reserved: bool = False
    vm: Ref | None = Field(None, description="The VM of the host that has the MAC address.")


class NetworkUser(Record):
    """A VM that is plugged into a network, or into its bridge."""

    vm: Ref
    state: VmState
    mac: str
    by_bridge: bool = Field(False, description="Its interface names the bridge, not the network.")
    after_power_off: bool = Field(False, description="Only its saved definition names the network.")


class NetworkDetail(NetworkRecord):
    """A network with all that is known about it."""

    plan: NetworkPlan | None = Field(
        None, description="The lasting definition, as far as Vigie can change it."
    )
    pending: bool = Field(False, description="The lasting definition differs from what runs: restart it.")
    leases: list[LeaseRecord] | None = Field(None, description="null: not read yet, or no DHCP.")
    leases_read_at: datetime | None = None
    users: list[NetworkUser] = Field([])
    actions: list[VerbRecord] = Field([])
    version: int = Field(description="Changes with the definition; the ETag.")


class NetworkRefusal(Record):
    """A host on which the network could not be asked for, and why."""

    host: Ref
    problem: Problem


class NetworkBatch(Record):
    """What became of a copy to many hosts."""

    batch_id: str
    tasks: list[TaskRecord]
    refused: list[NetworkRefusal]


class LogicalNetworkRecord(Record):
    """A name of networks across the fleet. Mode, bridge, addresses, VLAN and MTU are those of most hosts."""

    name: str
    hosts: int = Field(description="Hosts that have it.")
    missing: int = Field(description="Hosts that do not.")
    active: int
    differing: int = Field(description="Hosts on which it is not as on most.")
    variants: int
    mode: str
    bridge: str | None = None
    addresses: list[str] = Field([])
    vlan: str | None = None
    mtu: int | None = None
    sample_id: str = Field(description="A network that is as most are.")


class LogicalNetworkHost(Record):
    """One host, and the network of the name that it has or lacks."""

    host: Ref
    stale: bool
    network_id: str | None = None
    active: bool = False
    differs: list[str] = Field(
        [], description="Of mode, bridge, addresses, vlan, mtu: where it is not as most."
    )
    mode: str | None = None
    bridge: str | None = None
    addresses: list[str] = Field([])
    vlan: str | None = None
    mtu: int | None = None

    def is_different(self, field: str) -> bool:
        """Whether it has something else in this field than most."""
        return field in self.differs


class MacUser(Record):
    """A VM that has a MAC address, and where it is."""

    vm: Ref
    host: Ref


class MacConflict(Record):
    """A MAC address that more than one VM has."""

    mac: str
    users: list[MacUser]
