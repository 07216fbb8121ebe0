"""Edits of domains: what each is made of, and which parts it may touch. One line is one case."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from app.core.vms.compute import ComputePatch, DiskPatch, ResourcesPatch
from app.core.vms.config import DiskPlan
from app.core.vms.host_devices import FilesystemAdd
from app.hypervisor.xml.domains import (
    build,
    compute_edit,
    device_edit,
    display_listeners,
    repointing,
    secrets,
)
from app.hypervisor.xml.domains.read import parse_for_edit
from app.hypervisor.xml.write import Element, edited
from tests.unit.hypervisor.xml.golden import Edit

LAN, OVS, MACVTAP, VF, USER, VHOST = (f"52:54:00:cc:00:0{number}" for number in range(1, 7))
SECURE = '<domain><devices><graphics type="vnc" passwd="v&quot;n" passwdValidTo="2027-01-01T00:00:00" connected="keep"/><graphics type="spice" passwd="s"/></devices></domain>'
PINS = [{"vcpu": 0, "cpus": "0-1"}, {"vcpu": 1, "cpus": ""}, {"vcpu": 3, "cpus": "2,^3"}]
SWITCHES = ("huge_pages", "memory_locked", "sound", "tpm", "rng", "guest_agent", "serial")
ON = {**dict.fromkeys(SWITCHES, True), "graphics": "spice", "watchdog": "pause", "firmware": "efi"}
OFF = {**dict.fromkeys(SWITCHES, False), "graphics": "none", "watchdog": "none", "firmware": "bios"}


def on_tree(change: Callable[[Element], object]) -> Callable[[str], str]:
    """An edit of the tree, as one of the text."""

    def changed(xml: str) -> str:
        tree = parse_for_edit(xml, "domain")
        change(tree)
        return edited(tree)

    return changed


def on_device(key: str, change: Callable[[Element], object]) -> Callable[[str], str]:
    """An edit of the disk of this target, or of the interface of this address."""

    def changed(tree: Element) -> None:
        device = device_edit.device_at(tree, key)
        assert device is not None
        change(device)

    return on_tree(changed)


def machine(**fields: Any) -> Callable[[str], str]:
    return on_tree(partial(compute_edit.change_compute, patch=ComputePatch(**fields)))


def resources(**fields: Any) -> Callable[[str], str]:
    return on_tree(partial(compute_edit.change_resources, patch=ResourcesPatch(**fields)))


def disk(target: str, **fields: Any) -> Callable[[str], str]:
    return on_device(target, partial(device_edit.change_disk, patch=DiskPatch(**fields)))


def nic(mac: str, **fields: Any) -> Callable[[str], str]:
    unchanged = dict.fromkeys(("link_up", "network", "filter", "in_kbps", "out_kbps"))
    return on_device(mac, partial(device_edit.change_nic, **{**unchanged, **fields}))


def media(target: str, **fields: Any) -> Callable[[str], str]:
    plan = DiskPlan(device="cdrom", bus="sata", target=target, format="raw", **fields) if fields else None
    return on_device(target, lambda drive: device_edit.change_media(drive, plan and build.disk(plan)))


def boot(*order: str) -> Callable[[str], str]:
    return on_tree(partial(device_edit.in_boot_order, order=order))


def moved(*sources: str, to: str, format: str = "raw") -> Callable[[str], str]:
    return lambda xml: repointing.repointed(xml, sources, to, format)


def vcpus_max(count: int) -> Callable[[str], str]:
    return on_tree(partial(compute_edit.drop_topology, vcpus_max=count))


def filesystem(**fields: Any) -> Callable[[str], str]:
    return on_tree(partial(device_edit.add_filesystem, spec=FilesystemAdd(**fields)))


def nothing(xml: str) -> str:
    return edited(parse_for_edit(xml, "domain"))


# fmt: off
EDITS = {
    # what is not changed
    "nothing": Edit("odd", nothing),
    # CPU
    "cpu-host-passthrough": Edit("vnc", machine(cpu_mode="host-passthrough"), "cpu"),
    "cpu-host-model": Edit("vnc", machine(cpu_mode="host-model"), "cpu"),
    "cpu-maximum": Edit("spice", machine(cpu_mode="maximum"), "cpu"),
    "cpu-default": Edit("vnc", machine(cpu_mode="default"), "cpu"),
    "cpu-custom": Edit("spice", machine(cpu_mode="custom", cpu_model="EPYC-Rome"), "cpu"),
    "cpu-custom-other-model": Edit("vnc", machine(cpu_mode="custom", cpu_model="Skylake-Server"), "cpu"),
    "cpu-default-leaves-nothing": Edit("efi", machine(cpu_mode="default"), "cpu"),
    "cpu-same-mode": Edit("spice", machine(cpu_mode="host-passthrough")),
    "cpu-same-model": Edit("vnc", machine(cpu_mode="custom", cpu_model="Nehalem")),
    "cpu-first": Edit("bare", machine(cpu_mode="host-model"), "cpu"),
    "cpu-first-default": Edit("bare", machine(cpu_mode="default"), "cpu"),
    "cpu-of-the-future": Edit("future", machine(cpu_mode="host-passthrough"), "cpu"),
    "topology": Edit("spice", machine(topology={"sockets": 2, "cores": 2, "threads": 2}), "cpu"),
    "topology-behind-the-model": Edit("vnc", machine(topology={"cores": 2, "threads": 2}), "cpu"),
    "topology-first": Edit("bare", machine(topology={"sockets": 2}), "cpu"),
    "topology-of-the-future": Edit("future", machine(topology={"cores": 4}), "cpu"),
    "topology-with-the-mode": Edit("bare", machine(cpu_mode="custom", cpu_model="qemu64", topology={"cores": 2}), "cpu"),
    "topology-dropped": Edit("vnc", vcpus_max(2), "cpu vcpu"),
    "topology-that-fits": Edit("vnc", vcpus_max(4)),
    "topology-dropped-for-more": Edit("spice", vcpus_max(12), "cpu vcpu"),
    # firmware
    "firmware-bios-to-efi": Edit("vnc", machine(firmware="efi"), "os"),
    "firmware-bios-to-secure": Edit("vnc", machine(firmware="efi-secure"), "os features"),
    "firmware-secure-to-efi": Edit("spice", machine(firmware="efi"), "os"),
    "firmware-secure-to-bios": Edit("spice", machine(firmware="bios"), "os"),
    "firmware-efi-to-secure": Edit("efi", machine(firmware="efi-secure"), "os features"),
    "firmware-same-keeps-its-variables": Edit("spice", machine(firmware="efi-secure")),
    "firmware-same-of-a-named-loader": Edit("efi", machine(firmware="efi")),
    "firmware-secure-without-features": Edit("diskless", machine(firmware="efi-secure"), "os features"),
    "firmware-with-a-kernel": Edit("bare", machine(firmware="efi"), "os"),
    "firmware-of-the-future": Edit("future", machine(firmware="efi-secure"), "os features"),
    # memory
    "huge-pages": Edit("vnc", machine(huge_pages=True), "memoryBacking"),
    "huge-pages-and-locked": Edit("vnc", machine(huge_pages=True, memory_locked=True), "memoryBacking"),
    "huge-pages-keep-their-size": Edit("spice", machine(huge_pages=True)),
    "huge-pages-off": Edit("spice", machine(huge_pages=False), "memoryBacking"),
    "huge-pages-before-others": Edit("future", machine(huge_pages=True), "memoryBacking"),
    "memory-locked": Edit("bare", machine(memory_locked=True), "memoryBacking"),
    "memory-not-locked": Edit("spice", machine(memory_locked=False), "memoryBacking"),
    "memory-was-not-locked": Edit("bare", machine(memory_locked=False)),
    "memory-shared": Edit("vnc", on_tree(compute_edit.share_memory), "memoryBacking"),
    "memory-shared-of-huge-pages": Edit("efi", on_tree(compute_edit.share_memory), "memoryBacking"),
    "memory-shared-already": Edit("spice", on_tree(compute_edit.share_memory)),
    "memory-shared-of-a-file": Edit("future", on_tree(compute_edit.share_memory), "memoryBacking"),
    # displays
    "graphics-vnc-to-spice": Edit("vnc", machine(graphics="spice"), "graphics channel:com.redhat.spice.0"),
    "graphics-vnc-again": Edit("vnc", machine(graphics="vnc")),
    "graphics-none": Edit("vnc", machine(graphics="none"), "graphics"),
    "graphics-spice-only": Edit("spice", machine(graphics="spice"), "graphics:vnc"),
    "graphics-spice-to-vnc": Edit("spice", machine(graphics="vnc"), "graphics:spice channel:com.redhat.spice.0 channel:org.spice-space.webdav.0 smartcard audio redirdev:spicevmc"),
    "graphics-spice-to-none": Edit("spice", machine(graphics="none"), "graphics channel:com.redhat.spice.0 channel:org.spice-space.webdav.0 smartcard audio redirdev:spicevmc"),
    "graphics-first-vnc": Edit("bare", machine(graphics="vnc"), "graphics video"),
    "graphics-first-spice": Edit("bare", machine(graphics="spice"), "graphics video channel"),
    "graphics-of-the-future": Edit("future", machine(graphics="vnc"), "graphics"),
    "video": Edit("vnc", machine(video="virtio"), "video"),
    "video-same-keeps-its-heads": Edit("spice", machine(video="virtio")),
    "video-first": Edit("bare", machine(video="vga"), "video"),
    "video-of-two-heads": Edit("spice", machine(video="qxl"), "video"),
    "video-of-the-future": Edit("future", machine(video="bochs"), "video"),
    # single devices
    "watchdog": Edit("vnc", machine(watchdog="poweroff"), "watchdog"),
    "watchdog-other-action": Edit("spice", machine(watchdog="inject-nmi"), "watchdog"),
    "watchdog-none": Edit("spice", machine(watchdog="none"), "watchdog"),
    "watchdog-of-the-future": Edit("future", machine(watchdog="pause"), "watchdog"),
    "sound": Edit("vnc", machine(sound=True), "sound"),
    "sound-keeps-its-codec": Edit("spice", machine(sound=True)),
    "sound-off": Edit("spice", machine(sound=False), "sound"),
    "tpm": Edit("vnc", machine(tpm=True), "tpm"),
    "tpm-off": Edit("spice", machine(tpm=False), "tpm"),
    "rng": Edit("vnc", machine(rng=True), "rng"),
    "rng-keeps-its-rate": Edit("spice", machine(rng=True)),
    "rng-off": Edit("spice", machine(rng=False), "rng"),
    "serial": Edit("spice", machine(serial=True), "serial console"),
    "serial-off": Edit("vnc", machine(serial=False), "serial console"),
    "guest-agent": Edit("vnc", machine(guest_agent=True), "channel:org.qemu.guest_agent.0"),
    "guest-agent-off": Edit("spice", machine(guest_agent=False), "channel:org.qemu.guest_agent.0"),
    "devices-first": Edit("diskless", machine(rng=True), "rng"),
    "all-on": Edit("vnc", machine(**ON), "memoryBacking os sound tpm rng channel graphics watchdog"),
    "all-off": Edit("spice", machine(**OFF), "memoryBacking os sound tpm rng channel:org.qemu.guest_agent.0 graphics channel:com.redhat.spice.0 channel:org.spice-space.webdav.0 smartcard audio redirdev:spicevmc watchdog"),
    # processors and memory of the host
    "shares": Edit("bare", resources(cpu_shares=512), "cputune"),
    "shares-others-stay": Edit("spice", resources(cpu_shares=512), "cputune"),
    "shares-off": Edit("spice", resources(cpu_shares=0), "cputune"),
    "shares-of-the-future": Edit("future", resources(cpu_shares=512), "cputune"),
    "limit": Edit("vnc", resources(cpu_limit_percent=25), "cputune"),
    "limit-others-stay": Edit("spice", resources(cpu_limit_percent=75), "cputune"),
    "limit-off": Edit("spice", resources(cpu_limit_percent=0), "cputune"),
    "limit-was-off": Edit("vnc", resources(cpu_limit_percent=0)),
    "pins": Edit("vnc", resources(pins=PINS), "cputune"),
    "pins-others-stay": Edit("spice", resources(pins=PINS), "cputune"),
    "pins-none": Edit("spice", resources(pins=[]), "cputune"),
    "emulator-cpus": Edit("vnc", resources(emulator_cpus="0,2-3"), "cputune"),
    "emulator-cpus-others-stay": Edit("spice", resources(emulator_cpus="1"), "cputune"),
    "emulator-cpus-any": Edit("spice", resources(emulator_cpus=""), "cputune"),
    "numa": Edit("vnc", resources(numa_nodes="0", numa_mode="preferred"), "numatune"),
    "numa-other-nodes": Edit("spice", resources(numa_nodes="1", numa_mode="strict"), "numatune"),
    "numa-any-node": Edit("spice", resources(numa_nodes=""), "numatune"),
    "numa-any-node-leaves-nothing": Edit("efi", resources(numa_nodes=""), "numatune"),
    "numa-of-the-future": Edit("future", resources(numa_nodes="1"), "numatune"),
    "tuning-all": Edit("bare", resources(cpu_shares=2, cpu_limit_percent=100, pins=PINS, emulator_cpus="0", numa_nodes="0-1", numa_mode="restrictive"), "cputune numatune"),
    # disks
    "disk-cache-and-io": Edit("disks", disk("vda", cache="none", io="native"), "disk:vda"),
    "disk-cache-default": Edit("disks", disk("vda", cache="default", io="default"), "disk:vda"),
    "disk-discard": Edit("disks", disk("vdc", discard=True), "disk:vdc"),
    "disk-no-discard": Edit("disks", disk("vda", discard=False), "disk:vda"),
    "disk-first-driver": Edit("disks", disk("vdb", cache="directsync", io="io_uring", discard=True), "disk:vdb"),
    "disk-driver-of-the-future": Edit("future", disk("vda", cache="none"), "disk:vda"),
    "disk-limits-first": Edit("disks", disk("vdc", read_bps=1, write_bps=2, read_iops=3, write_iops=4), "disk:vdc"),
    "disk-limit-for-a-total": Edit("disks", disk("vda", read_bps=5000000), "disk:vda"),
    "disk-limit-below-its-burst": Edit("disks", disk("vda", read_iops=900), "disk:vda"),
    "disk-limit-above-its-burst": Edit("disks", disk("vda", read_iops=2000), "disk:vda"),
    "disk-limit-off-with-its-burst": Edit("disks", disk("vda", read_iops=0), "disk:vda"),
    "disk-limits-off-with-their-size": Edit("disks", disk("vda", read_iops=0, write_iops=0), "disk:vda"),
    "disk-limit-off-is-the-last": Edit("disks", disk("sdd", write_bps=0), "disk:sdd"),
    "disk-limit-was-off": Edit("disks", disk("vde", read_bps=0)),
    "disk-limit-of-the-future": Edit("future", disk("vda", write_iops=10), "disk:vda"),
    "disk-moved-file-to-file": Edit("disks", moved("/var/lib/libvirt/images/disks/a.qcow2", to="/srv/a.raw"), "disk:vda disk:vdh"),
    "disk-moved-file-to-block": Edit("disks", moved("/var/lib/libvirt/images/e.luks", to="/dev/vg1/e"), "disk:vde"),
    "disk-moved-block-to-file": Edit("disks", moved("/dev/vg0/b", to="/srv/b.raw"), "disk:vdb"),
    "disk-moved-block-to-block": Edit("disks", moved("/dev/mapper/lun7", to="/dev/mapper/lun8"), "disk:sdg"),
    "disk-moved-volume-to-file": Edit("disks", moved("fast/c.raw", "/fast/c.raw", to="/srv/c.qcow2", format="qcow2"), "disk:vdc"),
    "disk-moved-of-the-future": Edit("future", moved("/var/lib/libvirt/images/f.qcow2", to="/srv/f.raw"), "disk:vda"),
    "disk-moved-is-not-there": Edit("disks", moved("vms/d", "/elsewhere", to="/srv/d")),
    # drives
    "medium-out-of-a-volume": Edit("disks", media("sdi"), "disk:sdi"),
    "medium-into-an-empty-drive": Edit("disks", media("sdj", path="/var/lib/libvirt/boot/x.iso"), "disk:sdj"),
    "medium-file-for-a-volume": Edit("disks", media("sdi", path="/var/lib/libvirt/boot/a & b.iso"), "disk:sdi"),
    "medium-block-for-a-file": Edit("vnc", media("sda", kind="block", path="/dev/sr0"), "disk:sda"),
    "medium-volume-for-a-file": Edit("vnc", media("sda", kind="volume", pool="iso", volume="seed.iso"), "disk:sda"),
    "medium-emptied-by-name": Edit("disks", lambda xml: device_edit.without_media(xml, "sdi", "seed.iso"), "disk:sdi"),
    "medium-is-another": Edit("disks", lambda xml: device_edit.without_media(xml, "sdi", "other.iso")),
    # interfaces
    "nic-link-down": Edit("nics", nic(LAN, link_up=False), f"interface:{LAN}"),
    "nic-link-first": Edit("nics", nic(MACVTAP, link_up=False), f"interface:{MACVTAP}"),
    "nic-link-up": Edit("nics", nic(OVS, link_up=True), f"interface:{OVS.upper()}"),
    "nic-network": Edit("nics", nic(LAN, network="sales & co"), f"interface:{LAN}"),
    "nic-same-network": Edit("nics", nic(LAN, network="lan")),
    "nic-bridge-to-network": Edit("nics", nic(OVS, network="lan"), f"interface:{OVS.upper()}"),
    "nic-macvtap-to-network": Edit("nics", nic(MACVTAP, network="lan"), f"interface:{MACVTAP}"),
    "nic-user-to-network": Edit("nics", nic(USER, network="lan"), f"interface:{USER}"),
    "nic-vhostuser-to-network": Edit("nics", nic(VHOST, network="lan"), f"interface:{VHOST}"),
    "nic-ethernet-to-network": Edit("nics", nic("52:54:00:cc:00:07", network="lan"), "interface:52:54:00:cc:00:07"),
    "nic-vf-to-network": Edit("nics", nic(VF, network="lan"), f"interface:{VF}"),
    "nic-network-of-the-future": Edit("future", nic("52:54:00:dd:00:01", network="sales"), "interface:52:54:00:dd:00:01"),
    "nic-rates-first": Edit("nics", nic(MACVTAP, in_kbps=2000, out_kbps=1000), f"interface:{MACVTAP}"),
    "nic-rate-keeps-its-peak": Edit("nics", nic(LAN, in_kbps=2000), f"interface:{LAN}"),
    "nic-rate-above-its-peak": Edit("nics", nic(LAN, out_kbps=512), f"interface:{LAN}"),
    "nic-rate-off": Edit("nics", nic(LAN, in_kbps=0), f"interface:{LAN}"),
    "nic-rates-off": Edit("nics", nic(LAN, in_kbps=0, out_kbps=0), f"interface:{LAN}"),
    "nic-rate-of-the-future": Edit("future", nic("52:54:00:dd:00:01", in_kbps=7), "interface:52:54:00:dd:00:01"),
    "nic-filter-first": Edit("nics", nic(VF, filter="clean-traffic"), f"interface:{VF}"),
    "nic-filter-other": Edit("nics", nic(LAN, filter="no-mac-spoofing"), f"interface:{LAN}"),
    "nic-filter-same": Edit("nics", nic(LAN, filter="clean-traffic")),
    "nic-filter-none": Edit("nics", nic(LAN, filter=""), f"interface:{LAN}"),
    "nic-all": Edit("nics", nic(OVS, link_up=True, network="lan", filter="clean-traffic", in_kbps=1, out_kbps=2), f"interface:{OVS.upper()}"),
    # boot order
    "boot-order": Edit("spice", boot("52:54:00:bb:00:01", "vda"), "disk:vda interface:52:54:00:bb:00:01 hostdev:pci redirdev:spicevmc"),
    "boot-order-for-boot-devices": Edit("vnc", boot("sda", "52:54:00:aa:00:01"), "os disk:sda interface:52:54:00:AA:00:01"),
    "boot-order-none": Edit("spice", boot(), "disk:vda interface:52:54:00:bb:00:01 hostdev:pci redirdev:spicevmc"),
    "boot-order-unknown-device": Edit("vnc", boot("vda", "vdz"), "os disk:vda"),
    "boot-order-of-the-future": Edit("future", boot("52:54:00:dd:00:01", "vda"), "os disk:vda interface:52:54:00:dd:00:01"),
    # passwords
    "passwords-hidden": Edit("displays", secrets.without_secrets, "graphics:vnc"),
    "passwords-hidden-of-all": Edit("spice", secrets.without_secrets, "graphics:spice"),
    "passwords-hidden-none": Edit("bare", secrets.without_secrets),
    "passwords-back": Edit("displays", lambda xml: secrets.with_secrets(xml, SECURE), "graphics:vnc graphics:spice"),
    "passwords-back-new-ones-stay": Edit("vnc", lambda xml: secrets.with_secrets(xml, SECURE)),
    "displays-closed": Edit("displays", lambda xml: display_listeners.with_displays_closed(xml)[0], "graphics:vnc graphics:spice"),
    "displays-closed-with-password": Edit("vnc", lambda xml: display_listeners.with_displays_closed(xml)[0]),
    # shared filesystems
    "filesystem-virtiofs": Edit("vnc", filesystem(path="/srv/media & more", tag="media"), "memoryBacking filesystem:media"),
    "filesystem-of-that-tag": Edit("spice", filesystem(path="/srv/other", tag="projects")),
}
# fmt: on

NEWER = {"future"}
"""Documents of a libvirt that these schemas do not know."""
