"""What is read of a host."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostCounters:
    """A host's own counters at one instant. CPU times are nanoseconds summed over all threads."""

    cpu_busy_ns: int | None = None
    cpu_total_ns: int | None = None
    memory_total_bytes: int | None = None
    memory_free_bytes: int | None = None  # free + buffers + cached


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host is: read once per connection. None where this transport cannot tell."""

    libvirt_uuid: str
    hostname: str
    hypervisor: str  # QEMU, TEST
    libvirt_version: str
    hypervisor_version: str
    arch: str
    cpu_vendor: str | None
    cpu_model: str | None
    cpu_name: str | None  # marketing name, when it can be read
    sockets: int
    cores_per_socket: int
    threads_per_core: int
    cpus: int
    memory_bytes: int
    cpu_features: tuple[str, ...] = ()
    numa_nodes: int = 1
    virtualization: str | None = None  # vmx, svm, or None when neither is offered
    slat: bool | None = None
    iommu: bool | None = None
    kvm: bool | None = None  # libvirt offers domains of type kvm
    lock_manager: str | None = None  # lockd, sanlock, none; None: cannot be read
    clock_skew_s: float | None = None
    migration_port_open: bool | None = None
    machine_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileCheck:
    """Of the files and directories of a host that were looked for: which are gone, and which cannot be written."""

    missing: frozenset[str]
    read_only: frozenset[str] | None  # None: directories cannot be looked at


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the compatibility report. Texts are message ids with parameters, so pages can translate."""

    key: str  # virtualization, slat, iommu, kvm, cpu, versions, lock_manager, clock, space, migration, passthrough
    verdict: str  # Verdict
    reason: str  # message id, English, with %(name)s placeholders
    params: dict[str, str | int | float]
    remedy: str | None = None  # what to do, message id
