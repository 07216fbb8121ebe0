"""Where things go by default: names of disks in a guest, models that suit a system. Pure rules."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from app.core.hosts.capabilities import HostCapabilities
from app.core.library.os_variants import OsVariant

_PREFIX = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd", "fdc": "fd"}
# How many devices a bus takes without further controllers.
BUS_LIMITS = {"ide": 4, "fdc": 2, "sata": 6}
_Q35_SINCE = date(2009, 1, 1)
MODERN = "q35"


def disk_names(buses: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """Names of new disks by their buses: vda, vdb, sda; none of those that are taken."""
    used = set(taken)
    names = []
    for bus in buses:
        name = next(item for item in _numbered(_PREFIX[bus]) if item not in used)
        used.add(name)
        names.append(name)
    return names


def _numbered(prefix: str) -> Iterable[str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    yield from (f"{prefix}{letter}" for letter in letters)
    yield from (f"{prefix}{first}{second}" for first in letters for second in letters)


def machine_for(os_variant: OsVariant | None, capabilities: HostCapabilities) -> str | None:
    """The machine type for a new VM; None: the host's default."""
    is_old = os_variant is not None and (
        os_variant.family in ("win9x", "win16") or (os_variant.released or _Q35_SINCE) < _Q35_SINCE
    )
    if is_old and "pc" in capabilities.machines:
        return "pc"
    return MODERN if MODERN in capabilities.machines else None


def disk_bus_for(os_variant: OsVariant | None, device: str, machine: str | None) -> str:
    """The bus on which the system finds a disk or drive without further drivers."""
    modern = machine is not None and MODERN in machine
    if device == "floppy":
        return "fdc"
    if device == "disk" and (os_variant is None or os_variant.has_virtio_disk):
        return "virtio"
    return "sata" if modern else "ide"


def cloud_init_bus_for(os_variant: OsVariant | None, machine: str | None) -> str:
    """The bus of a cloud-init drive. Kernels of cloud images often lack SATA, but never virtio."""
    is_virtio = disk_bus_for(os_variant, "disk", machine) == "virtio"
    return "scsi" if is_virtio else disk_bus_for(os_variant, "cdrom", machine)


def nic_model_for(os_variant: OsVariant | None, machine: str | None) -> str:
    """The card for which the system has a driver."""
    if os_variant is None or os_variant.has_virtio_net:
        return "virtio"
    return "e1000e" if machine is not None and MODERN in machine else "e1000"


def video_for(os_variant: OsVariant | None, graphics: str, capabilities: HostCapabilities) -> str | None:
    """The video card: what the host has of what suits; None without a display."""
    if graphics == "none":
        return None
    wanted = ["qxl"] if graphics == "spice" else []
    wanted += ["virtio", "vga"] if os_variant is None or os_variant.has_virtio_video else ["vga", "virtio"]
    return next((model for model in wanted if model in capabilities.video_models), "vga")


def firmware_for(os_variant: OsVariant | None, capabilities: HostCapabilities) -> str:
    """The firmware that the system asks for, if the host has it."""
    needs_efi = os_variant is not None and os_variant.short_id.startswith(("win11", "win2k25"))
    for firmware in ("efi-secure", "efi") if needs_efi else ():
        if firmware in capabilities.firmwares:
            return firmware
    return "bios"


def cpu_mode_for(hypervisor: str, capabilities: HostCapabilities) -> str:
    """A CPU that other hosts of the same kind have too; under emulation all that QEMU can do."""
    wanted = "host-model" if hypervisor == "kvm" else "maximum"
    return wanted if wanted in capabilities.cpu_modes else "default"
