"""What a host can give to VMs, as its libvirt says (domain capabilities), read once per connection.

https://libvirt.org/formatdomaincaps.html
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CpuModel:
    """A named CPU model. `usable`: every feature of it is there on this host."""

    name: str
    usable: bool


@dataclass(frozen=True, slots=True)
class HostCapabilities:
    """Of one way to run VMs on a host (KVM where it works, else emulation) and one machine type."""

    hypervisor: str  # kvm, qemu, test
    arch: str
    machine: str  # the machine type that the rest was asked for
    machines: tuple[str, ...] = ()
    vcpus_max: int = 1
    firmwares: tuple[str, ...] = ("bios",)  # bios, efi, efi-secure
    cpu_modes: tuple[str, ...] = ()
    cpu_models: tuple[CpuModel, ...] = ()
    host_model: str | None = None
    disk_buses: tuple[str, ...] = ()
    video_models: tuple[str, ...] = ()
    graphics: tuple[str, ...] = ()
    tpm: bool = False
    rng: bool = False
    filesystems: tuple[str, ...] = ()
    huge_page_sizes: tuple[int, ...] = ()  # bytes, of which the host has any
