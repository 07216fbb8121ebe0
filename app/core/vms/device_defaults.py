"""Where things go by default: names of disks in a guest, models that suit a system. Pure rules."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from app.core.hosts.capabilities import Offers
from app.core.library.os_variants import System

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
        name = next(each for each in _numbered(_PREFIX[bus]) if each not in used)
        used.add(name)
        names.append(name)
    return names


def _numbered(prefix: str) -> Iterable[str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    yield from (f"{prefix}{letter}" for letter in letters)
    yield from (f"{prefix}{first}{second}" for first in letters for second in letters)


def machine_for(system: System | None, offers: Offers) -> str | None:
    """The machine type for a new VM; None: the host's default."""
    is_old = system is not None and (
        system.family in ("win9x", "win16") or (system.released or _Q35_SINCE) < _Q35_SINCE
    )
    if is_old and "pc" in offers.machines:
        return "pc"
    return MODERN if MODERN in offers.machines else None


def disk_bus_for(system: System | None, device: str, machine: str | None) -> str:
    """The bus on which the system finds a disk or drive without further drivers."""
    modern = machine is not None and MODERN in machine
    if device == "floppy":
        return "fdc"
    if device == "disk" and (system is None or system.has_virtio_disk):
        return "virtio"
    return "sata" if modern else "ide"


def seed_bus_for(system: System | None, machine: str | None) -> str:
    """The bus of a cloud-init seed's drive. Kernels of cloud images often lack SATA, but never virtio."""
    is_virtio = disk_bus_for(system, "disk", machine) == "virtio"
    return "scsi" if is_virtio else disk_bus_for(system, "cdrom", machine)


def nic_model_for(system: System | None, machine: str | None) -> str:
    """The card for which the system has a driver."""
    if system is None or system.has_virtio_net:
        return "virtio"
    return "e1000e" if machine is not None and MODERN in machine else "e1000"


def video_for(system: System | None, graphics: str, offers: Offers) -> str | None:
    """The video card: what the host has of what suits; None without a display."""
    if graphics == "none":
        return None
    wanted = ["qxl"] if graphics == "spice" else []
    wanted += ["virtio", "vga"] if system is None or system.has_virtio_video else ["vga", "virtio"]
    return next((model for model in wanted if model in offers.video_models), "vga")


def firmware_for(system: System | None, offers: Offers) -> str:
    """The firmware that the system asks for, if the host has it."""
    needs_efi = system is not None and system.short_id.startswith(("win11", "win2k25"))
    for firmware in ("efi-secure", "efi") if needs_efi else ():
        if firmware in offers.firmwares:
            return firmware
    return "bios"


def cpu_mode_for(hypervisor: str, offers: Offers) -> str:
    """A CPU that other hosts of the same kind have too; under emulation all that QEMU can do."""
    wanted = "host-model" if hypervisor == "kvm" else "maximum"
    return wanted if wanted in offers.cpu_modes else "default"
