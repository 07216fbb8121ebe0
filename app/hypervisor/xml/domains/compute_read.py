"""The compute settings as a definition has them. https://libvirt.org/formatdomain.html"""

from __future__ import annotations

from app.core.vms.compute import (
    QUOTA_PERIOD_US,
    DiskResources,
    FilesystemRecord,
    HardwareRecord,
    HostDeviceUse,
    NicResources,
    PinRecord,
)
from app.hypervisor.xml.domains.ports import free_ports
from app.hypervisor.xml.domains.read import AGENT_CHANNEL, read_firmware
from app.hypervisor.xml.node_devices import address_of
from app.hypervisor.xml.write import Element

# Names of the limits of disks, as libvirt has them.
IOTUNE = {
    "read_bps": "read_bytes_sec",
    "write_bps": "write_bytes_sec",
    "read_iops": "read_iops_sec",
    "write_iops": "write_iops_sec",
}


def read_hardware(tree: Element) -> HardwareRecord:
    """The compute settings of the definition."""
    topology = tree.find("cpu/topology")
    tune, numa = tree.find("cputune"), tree.find("numatune/memory")
    model = tree.findtext("cpu/model")
    watchdog = tree.find("devices/watchdog")
    graphics = tree.find("devices/graphics")
    return HardwareRecord(
        cpu_mode=cpu_mode_of(tree),
        cpu_model=model,
        sockets=_int(topology, "sockets"),
        cores=_int(topology, "cores"),
        threads=_int(topology, "threads"),
        firmware=firmware_of(tree),
        huge_pages=tree.find("memoryBacking/hugepages") is not None,
        memory_locked=tree.find("memoryBacking/locked") is not None,
        graphics="none" if graphics is None else graphics.get("type", ""),
        video=attribute(tree.find("devices/video/model"), "type"),
        watchdog="none" if watchdog is None else watchdog.get("action", "reset"),
        sound=tree.find("devices/sound") is not None,
        tpm=tree.find("devices/tpm") is not None,
        rng=tree.find("devices/rng") is not None,
        guest_agent=agent_channel(tree) is not None,
        serial=tree.find("devices/serial") is not None,
        cpu_shares=_number(tree.findtext("cputune/shares")),
        cpu_limit_percent=_limit_percent(tune),
        pins=tuple(
            PinRecord(vcpu=int(pin.get("vcpu", "0")), cpus=pin.get("cpuset", ""))
            for pin in tree.iterfind("cputune/vcpupin")
            if pin.get("vcpu", "").isdecimal()
        ),
        emulator_cpus=attribute(tree.find("cputune/emulatorpin"), "cpuset"),
        numa_nodes=attribute(numa, "nodeset"),
        numa_mode=attribute(numa, "mode"),
        free_ports=free_ports(tree),
        disks=tuple(_disk(disk) for disk in tree.iterfind("devices/disk")),
        nics=tuple(_nic(nic) for nic in tree.iterfind("devices/interface")),
        host_devices=tuple(
            HostDeviceUse(kind=found[0], address=found[1])
            for device in tree.iterfind("devices/hostdev")
            if (found := address_of(device)) is not None
        ),
        filesystems=tuple(_folder(item) for item in tree.iterfind("devices/filesystem")),
        boot=_boot(tree),
    )


def cpu_mode_of(tree: Element) -> str:
    """The CPU mode; `default` where QEMU chooses the model."""
    return attribute(tree.find("cpu"), "mode") or ("custom" if tree.findtext("cpu/model") else "default")


def firmware_of(tree: Element) -> str:
    """bios, efi, efi-secure, or direct (a kernel of the host's)."""
    found = read_firmware(tree.find("os"))
    loader = tree.find("os/loader")
    secure = any(
        item.get("enabled") == "yes" for item in tree.iterfind("os/firmware/feature[@name='secure-boot']")
    )
    return "efi-secure" if found == "efi" and (secure or attribute(loader, "secure") == "yes") else found


def agent_channel(tree: Element) -> Element | None:
    """The channel of the guest agent."""
    for channel in tree.iterfind("devices/channel"):
        if attribute(channel.find("target"), "name") == AGENT_CHANNEL:
            return channel
    return None


def _disk(disk: Element) -> DiskResources:
    driver, tune = disk.find("driver"), disk.find("iotune")
    limits = {
        name: None if tune is None else _number(tune.findtext(element)) or None
        for name, element in IOTUNE.items()
    }
    return DiskResources(
        target=attribute(disk.find("target"), "dev") or "",
        cache=attribute(driver, "cache") or "default",
        io=attribute(driver, "io") or "default",
        discard=attribute(driver, "discard") == "unmap",
        **limits,
    )


def _nic(nic: Element) -> NicResources:
    return NicResources(
        mac=(attribute(nic.find("mac"), "address") or "").lower(),
        in_kbps=_int(nic.find("bandwidth/inbound"), "average"),
        out_kbps=_int(nic.find("bandwidth/outbound"), "average"),
        filter=attribute(nic.find("filterref"), "filter"),
        link_up=attribute(nic.find("link"), "state") != "down",
    )


def _folder(filesystem: Element) -> FilesystemRecord:
    return FilesystemRecord(
        tag=attribute(filesystem.find("target"), "dir") or "",
        path=attribute(filesystem.find("source"), "dir") or "",
        driver=attribute(filesystem.find("driver"), "type") or "9p",
        readonly=filesystem.find("readonly") is not None,
    )


def _boot(tree: Element) -> tuple[str, ...]:
    found: list[tuple[int, str]] = []
    for device in tree.iterfind("devices/*"):
        order = _int(device.find("boot"), "order")
        key = (
            attribute(device.find("target"), "dev")
            if device.tag == "disk"
            else attribute(device.find("mac"), "address")
        )
        if order is not None and key:
            found.append((order, key.lower()))
    return tuple(key for _, key in sorted(found))


def _limit_percent(tune: Element | None) -> int | None:
    if tune is None:
        return None
    quota, period = _number(tune.findtext("quota")), _number(tune.findtext("period")) or QUOTA_PERIOD_US
    return None if not quota else quota * 100 // period


def attribute(element: Element | None, name: str) -> str | None:
    """An attribute of an element that may be missing."""
    return None if element is None else element.get(name)


def _int(element: Element | None, name: str) -> int | None:
    return _number(attribute(element, name))


def _number(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
