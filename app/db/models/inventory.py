"""The inventory: what hosts say is mirrored here, beside what people own of it.

The rows that lists are made of (`host`, `vm`) are kept narrow: definitions and pictures have tables of their
own. Text that lists search is folded into `search_text` (lower case) when the row is written.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Base, Id


class Datacenter(Base):
    """The top of the tree."""

    __tablename__ = "datacenter"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str]
    name_key: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)


class Usage:
    """Columns of the last usage reading (see core.inventory.usage.Usage)."""

    cpu_percent: Mapped[float | None]
    memory_used_bytes: Mapped[int | None]
    memory_total_bytes: Mapped[int | None]
    disk_read_bps: Mapped[float | None]
    disk_write_bps: Mapped[float | None]
    disk_iops: Mapped[float | None]
    net_rx_bps: Mapped[float | None]
    net_tx_bps: Mapped[float | None]


class Host(Usage, Base):
    """A registered host: where it is, what it is, how it was last seen.

    `state_reason` is an English message id with `state_params`; `config_version` grows when the connection must
    be made anew (address, credential, identity, enabled).
    """

    __tablename__ = "host"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    datacenter_id: Mapped[str] = mapped_column(ForeignKey("datacenter.id"), index=True)
    name: Mapped[str]
    name_key: Mapped[str] = mapped_column(unique=True)
    transport: Mapped[str]
    address: Mapped[str]
    port: Mapped[int]
    user: Mapped[str]
    socket: Mapped[str]
    credential_id: Mapped[str | None] = mapped_column(ForeignKey("credential.id"), index=True)
    mode: Mapped[str]
    enabled: Mapped[bool] = mapped_column(default=True)
    maintenance: Mapped[bool] = mapped_column(default=False)
    # What VMs may be plugged into by those who may not give them host access; None: nothing.
    allowed_bridges: Mapped[list[Any] | None]
    allowed_interfaces: Mapped[list[Any] | None]
    fingerprint: Mapped[str | None]
    fingerprint_seen: Mapped[str | None]
    libvirt_uuid: Mapped[str | None] = mapped_column(unique=True)
    config_version: Mapped[int] = mapped_column(default=1)

    state: Mapped[str] = mapped_column(index=True)
    state_reason: Mapped[str | None]
    state_params: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state_since: Mapped[datetime | None]
    observed_at: Mapped[datetime | None]  # last answer
    synced_at: Mapped[datetime | None]  # last complete reading

    hostname: Mapped[str | None]
    libvirt_version: Mapped[str | None]
    hypervisor_version: Mapped[str | None]
    cpu_model: Mapped[str | None]
    cpus: Mapped[int | None]
    memory_bytes: Mapped[int | None]
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)  # core.hosts.observations.HostFacts
    checks: Mapped[list[Any]] = mapped_column(default=list)  # core.hosts.observations.Check
    worst_check: Mapped[str | None]
    checked_at: Mapped[datetime | None]
    vm_count: Mapped[int] = mapped_column(default=0)
    vm_running: Mapped[int] = mapped_column(default=0)

    tags: Mapped[list[Any]] = mapped_column(default=list)
    notes: Mapped[str] = mapped_column(default="")
    search_text: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)


class Vm(Usage, Base):
    """A VM as last seen. It stays when its host is silent, and turns `missing` when a complete listing lacks it.

    `host_id` follows the VM when it migrates. `seen_at` is set while the VM is not in its host's listings
    (else the host's own `observed_at` counts). `duplicate`: another host runs the same VM at the same time.
    """

    __tablename__ = "vm"
    __table_args__ = (
        UniqueConstraint("host_id", "uuid"),
        Index("ix_vm_host_id_name_key", "host_id", "name_key", "id"),
        Index("ix_vm_name_key_id", "name_key", "id"),
        Index("ix_vm_state_name_key", "state", "name_key", "id"),
        Index("ix_vm_cpu_percent_id", "cpu_percent", "id"),
        Index("ix_vm_memory_bytes_id", "memory_bytes", "id"),
        Index("ix_vm_vcpus_id", "vcpus", "id"),
        Index("ix_vm_state_vcpus_memory_bytes", "state", "vcpus", "memory_bytes"),  # sums of the dashboard
        Index(
            "ix_vm_duplicate",
            "duplicate",
            sqlite_where=text("duplicate IS 1"),
            postgresql_where=text("duplicate IS TRUE"),
        ),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    host_id: Mapped[str] = mapped_column(ForeignKey("host.id", ondelete="CASCADE"))
    uuid: Mapped[str] = mapped_column(String(36), index=True)
    name: Mapped[str]
    name_key: Mapped[str]
    title: Mapped[str | None]
    state: Mapped[str]
    state_reason: Mapped[str | None]
    state_since: Mapped[datetime | None]
    domain_id: Mapped[int | None]
    persistent: Mapped[bool]
    autostart: Mapped[bool]
    has_managed_save: Mapped[bool] = mapped_column(default=False)
    duplicate: Mapped[bool] = mapped_column(default=False)
    seen_at: Mapped[datetime | None]
    vcpus: Mapped[int] = mapped_column(Integer, default=0)
    memory_bytes: Mapped[int] = mapped_column(default=0)
    disk_bytes: Mapped[int | None]
    os_name: Mapped[str | None]
    guest_hostname: Mapped[str | None]
    agent_connected: Mapped[bool] = mapped_column(default=False)
    addresses: Mapped[list[Any]] = mapped_column(default=list)  # [mac or "", address]
    pending: Mapped[bool | None]  # changes wait for its next power-off
    dangers: Mapped[list[Any] | None]  # keys of core.vms.host_access found in its definition
    tags: Mapped[list[Any]] = mapped_column(default=list)
    notes: Mapped[str] = mapped_column(default="")
    search_text: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)


class VmDefinition(Base):
    """A VM's XML as last read, and what was read from it (core.vms.observations.VmDefinition without `xml`).

    `saved_xml` is what the VM will be after its next power-off, read while it runs; None when it is off or
    transient. `pending` names the parts in which the two differ (message ids).
    """

    __tablename__ = "vm_definition"

    vm_id: Mapped[str] = mapped_column(Id, ForeignKey("vm.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[str]
    xml: Mapped[str]
    parsed: Mapped[dict[str, Any]]
    read_at: Mapped[datetime]
    saved_digest: Mapped[str | None]
    saved_xml: Mapped[str | None]
    saved_parsed: Mapped[dict[str, Any] | None]
    pending: Mapped[list[Any] | None]


class VmScreen(Base):
    """The last screenshot of a running VM, scaled down."""

    __tablename__ = "vm_screen"

    vm_id: Mapped[str] = mapped_column(Id, ForeignKey("vm.id", ondelete="CASCADE"), primary_key=True)
    image: Mapped[bytes]
    media_type: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    taken_at: Mapped[datetime]


class Tag(Base):
    """Tags of hosts and VMs, for filters; the rows themselves carry a copy to show."""

    __tablename__ = "tag"

    object_id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True, index=True)


class Pool(Base):
    """A storage pool of a host. `seen_at` as with VMs."""

    __tablename__ = "pool"
    __table_args__ = (UniqueConstraint("host_id", "uuid"), Index("ix_pool_name_id", "name", "id"))

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    host_id: Mapped[str] = mapped_column(ForeignKey("host.id", ondelete="CASCADE"), index=True)
    uuid: Mapped[str] = mapped_column(String(36))
    name: Mapped[str]
    kind: Mapped[str]
    state: Mapped[str]
    autostart: Mapped[bool]
    persistent: Mapped[bool]
    capacity_bytes: Mapped[int]
    allocation_bytes: Mapped[int]
    available_bytes: Mapped[int]
    target_path: Mapped[str | None]
    volume_count: Mapped[int] = mapped_column(default=0)
    volumes_read_at: Mapped[datetime | None]
    xml: Mapped[str | None] = mapped_column(deferred=True)
    live_xml: Mapped[str | None] = mapped_column(deferred=True)  # what runs, where that differs from `xml`
    shared_mark: Mapped[str | None]  # pools with the same mark are proven to be the same storage
    proven_at: Mapped[datetime | None]
    source: Mapped[
        str | None
    ]  # its target on a storage server, such as "netfs nas:/vms"; None: local to the host
    links_hidden: Mapped[bool | None]  # Vigie's account may not see which of its files are symbolic links
    stopped_by: Mapped[dict[str, Any] | None]  # why it stopped by itself: `why`, a message id, with `params`
    verify_requested_at: Mapped[datetime | None]  # when Vigie by itself last had it found out who shares it


class PoolDifference(Base):
    """Two pools of different hosts that were found to be different storage. Written both ways round."""

    __tablename__ = "pool_difference"

    pool_id: Mapped[str] = mapped_column(Id, ForeignKey("pool.id", ondelete="CASCADE"), primary_key=True)
    other_id: Mapped[str] = mapped_column(
        Id, ForeignKey("pool.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class Volume(Base):
    """A volume of a pool."""

    __tablename__ = "volume"
    __table_args__ = (UniqueConstraint("pool_id", "name"), Index("ix_volume_name_id", "name", "id"))

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    pool_id: Mapped[str] = mapped_column(ForeignKey("pool.id", ondelete="CASCADE"))
    name: Mapped[str]
    path: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]
    format: Mapped[str | None]
    capacity_bytes: Mapped[int]
    allocation_bytes: Mapped[int]
    backing_path: Mapped[str | None]
    format_by: Mapped[
        str | None
    ]  # who recorded `format`: vigie, definition (of a VM), found (as first listed)
    condition: Mapped[str | None]  # what holds it back from use: format_disagrees, refused
    condition_why: Mapped[str | None]  # a message id
    condition_params: Mapped[dict[str, Any] | None]
    checked_at: Mapped[datetime | None]  # when it was last checked before a use


class Network(Base):
    """A virtual network of a host."""

    __tablename__ = "network"
    __table_args__ = (UniqueConstraint("host_id", "uuid"), Index("ix_network_name_id", "name", "id"))

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    host_id: Mapped[str] = mapped_column(ForeignKey("host.id", ondelete="CASCADE"), index=True)
    uuid: Mapped[str] = mapped_column(String(36))
    name: Mapped[str]
    active: Mapped[bool]
    autostart: Mapped[bool]
    persistent: Mapped[bool]
    bridge: Mapped[str | None]
    forward_mode: Mapped[str]
    addresses: Mapped[list[Any]] = mapped_column(default=list)
    dhcp: Mapped[bool] = mapped_column(default=False)
    xml: Mapped[str | None] = mapped_column(deferred=True)
    live_xml: Mapped[str | None] = mapped_column(deferred=True)  # what runs, where that differs from `xml`
    mtu: Mapped[int | None]
    vlan: Mapped[str | None]
    leases: Mapped[list[Any] | None] = mapped_column(
        deferred=True
    )  # core.networks.networks.observations.Lease, as last read
    leases_read_at: Mapped[datetime | None]


class Filter(Base):
    """A traffic filter (nwfilter) of a host, which interfaces of VMs may name."""

    __tablename__ = "traffic_filter"
    __table_args__ = (UniqueConstraint("host_id", "uuid"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    host_id: Mapped[str] = mapped_column(ForeignKey("host.id", ondelete="CASCADE"), index=True)
    uuid: Mapped[str] = mapped_column(String(36))
    name: Mapped[str]
    xml: Mapped[str] = mapped_column(deferred=True)


class Offers(Base):
    """What a host can give to VMs (core.hosts.capabilities), read once per connection."""

    __tablename__ = "offers"

    host_id: Mapped[str] = mapped_column(Id, ForeignKey("host.id", ondelete="CASCADE"), primary_key=True)
    offers: Mapped[dict[str, Any]]
    read_at: Mapped[datetime]
    devices: Mapped[list[Any] | None]  # core.vms.host_devices.HostDevice, read when somebody asks
    devices_read_at: Mapped[datetime | None]


class History(Base):
    """A version of the lasting definition of a VM, pool, network or filter: since when, and who made it.

    An object whose definition never changed has none; with the first change both versions are written, the first
    with `since` unset, because it was so before Vigie knew it.
    """

    __tablename__ = "history"
    __table_args__ = (Index("ix_history_object_id_id", "object_id", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    object_kind: Mapped[str]
    object_id: Mapped[str] = mapped_column(Id)
    host_id: Mapped[str | None] = mapped_column(Id)
    xml: Mapped[str]
    digest: Mapped[str]
    since: Mapped[datetime | None]
    actor_name: Mapped[str | None]
    task_id: Mapped[str | None] = mapped_column(Id)
