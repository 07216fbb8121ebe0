"""What is answered about hosts."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from app.core.hosts.states import (
    AdminState,
    HostConnection,
    HostMode,
    HostStatus,
    Transport,
    Verdict,
    status_of,
)
from app.core.records import Record, Ref, UsageRecord


class CheckRecord(Record):
    """One line of a compatibility report."""

    key: str
    title: str
    verdict: Verdict
    reason: str
    remedy: str | None = None


class HostRecord(Record):
    """A host in a list."""

    id: str
    name: str
    datacenter_id: str
    datacenter_name: str
    transport: Transport
    address: str
    port: int
    user: str
    mode: HostMode
    connection: HostConnection = Field(description="Of a disabled host always not_answering.")
    connection_reason: str | None = None
    connection_since: datetime | None = None
    admin_state: AdminState
    stale: bool
    observed_at: datetime | None
    hostname: str | None = None
    libvirt_uuid: str | None = None
    libvirt_version: str | None = None
    hypervisor_version: str | None = None
    cpu_model: str | None = None
    cpus: int | None = None
    memory_bytes: int | None = None
    vm_count: int = 0
    vm_running: int = 0
    worst_check: Verdict | None = None
    tags: list[str] = Field([])
    usage: UsageRecord

    @property
    def status(self) -> HostStatus:
        """What people are shown of it in one word."""
        return status_of(self.connection, self.admin_state)

    @property
    def is_disabled(self) -> bool:
        """True when Vigie does not connect to it."""
        return self.admin_state is AdminState.DISABLED


class HostDetail(HostRecord):
    """A host with all that is known about it."""

    notes: str = ""
    allowed_bridges: list[str] = Field([], description="Bridges that VMs may use without vm.host-access.")
    allowed_interfaces: list[str] = Field(
        [], description="Interfaces that VMs may share by macvtap without the privilege vm.host-access."
    )
    socket: str
    credential_id: str | None = None
    credential_name: str | None = None
    fingerprint: str | None = Field(None, description="The identity that was confirmed.")
    fingerprint_seen: str | None = Field(
        None, description="Another identity, seen since; work is refused until confirmed."
    )
    arch: str | None = None
    cpu_vendor: str | None = None
    cpu_name: str | None = None
    cpu_features: list[str] = Field([])
    sockets: int | None = None
    cores_per_socket: int | None = None
    threads_per_core: int | None = None
    numa_nodes: int | None = None
    kvm: bool | None = None
    checks: list[CheckRecord] = Field([])
    checked_at: datetime | None = None
    synced_at: datetime | None = None
    created_at: datetime
    vcpus_allocated: int = Field(0, description="vCPUs of its running VMs.")
    memory_allocated_bytes: int = Field(0, description="Memory of its running VMs.")
    version: int


class HostCheck(Record):
    """What a host looks like before it is added."""

    fingerprint: str | None
    hostname: str
    libvirt_uuid: str
    libvirt_version: str
    hypervisor_version: str
    cpus: int
    memory_bytes: int
    vm_count: int
    checks: list[CheckRecord]
    already_host: Ref | None = Field(None, description="The registered host with the same libvirt UUID.")


class CpuModelRecord(Record):
    """A named CPU model of a host."""

    name: str
    usable: bool


class HostCapabilitiesRecord(Record):
    """What a host can give to VMs."""

    host_id: str
    hypervisor: str
    arch: str
    machines: tuple[str, ...]
    vcpus_max: int
    firmwares: tuple[str, ...]
    cpu_modes: tuple[str, ...]
    cpu_models: tuple[CpuModelRecord, ...]
    host_model: str | None = None
    disk_buses: tuple[str, ...]
    video_models: tuple[str, ...]
    graphics: tuple[str, ...]
    tpm: bool
    rng: bool
    filesystems: tuple[str, ...]
    huge_page_sizes: tuple[int, ...] = Field(description="Bytes; only sizes of which the host has any.")
    read_at: datetime
