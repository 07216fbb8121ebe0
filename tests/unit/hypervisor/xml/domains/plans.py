"""What domains and their devices are made from. One line is one case."""

from __future__ import annotations

from typing import Any

from app.core.vms.config import CpuPlan, DiskPlan, Limits, NicPlan, VmConfig
from app.core.vms.host_devices import DevicePlan, FilesystemAdd
from app.hypervisor.xml.domains import build, repointing
from app.hypervisor.xml.node_devices import filesystem, host_device
from app.hypervisor.xml.write import edited

MAC = "52:54:00:00:00:01"
GIB = 1024**3
HOSTILE = "<img src=x onerror=alert(1)> & \"'é\u00a0]]>"


def vm(**fields: Any) -> str:
    """A VM with as little as there can be, and what the case asks for."""
    cpu = CpuPlan(**{"vcpus": 1, "vcpus_max": 1, **fields.pop("cpu", {})})
    plain = dict.fromkeys(("serial", "guest_agent", "rng", "usb"), False)
    least = {
        "name": "vm",
        "uuid": "00000000-0000-4000-8000-000000000001",
        "hypervisor": "kvm",
        "arch": "x86_64",
        "machine": "pc",
        "memory_bytes": GIB,
        "memory_max_bytes": GIB,
        "graphics": "none",
        **plain,
    }
    return build.domain(VmConfig(cpu=cpu, **{**least, **fields}))


def disk(**fields: Any) -> str:
    return edited(build.disk(DiskPlan(**{"target": "vda", "path": "/p/a", "format": "raw", **fields})))


def nic(**fields: Any) -> str:
    return edited(build.nic(NicPlan(**{"kind": "network", "source": "lan", "mac": MAC, **fields})))


def device(kind: str, address: str) -> str:
    return edited(host_device(DevicePlan(kind=kind, address=address)))


def shared_filesystem(**fields: Any) -> str:
    return edited(filesystem(FilesystemAdd(path="/srv/media", tag="media", **fields)))


def within_vm(fragment: str) -> str:
    """The domain that a device belongs in."""
    return vm().replace("<devices>", f"<devices>{fragment}")


def within_disk(fragment: str) -> str:
    """The domain whose disk a copy becomes."""
    return within_vm(fragment.replace("</disk>", '<target dev="vda"/></disk>'))


DISK = {"target": "vda", "path": "/p/a.qcow2", "format": "qcow2"}
DRIVE = {"device": "cdrom", "bus": "sata", "target": "sda"}
NIC = {"kind": "network", "source": "lan", "mac": MAC}
Q35 = {"machine": "pc-q35-7.2", "usb": True}

# fmt: off
DOMAINS = {
    "vm": vm(),
    "vm-of-the-test-driver": vm(hypervisor="test", arch="i686", machine=None),
    "vm-title-and-names": vm(name=HOSTILE, title=HOSTILE),
    "vm-os-linux": vm(os_uri="http://debian.org/debian/12"),
    "vm-os-windows": vm(os_uri="http://microsoft.com/win/11"),
    "vm-os-windows-emulated": vm(os_uri="http://microsoft.com/win/11", hypervisor="qemu"),
    "vm-memory-ballooned": vm(memory_bytes=GIB // 2 + 1023, memory_max_bytes=4 * GIB),
    "vm-memory-huge-pages": vm(huge_pages=True),
    "vm-vcpus-to-come": vm(cpu={"vcpus": 2, "vcpus_max": 8}),
    "vm-cpu-host-passthrough": vm(cpu={"mode": "host-passthrough"}),
    "vm-cpu-maximum": vm(cpu={"mode": "maximum"}),
    "vm-cpu-host-model": vm(cpu={"mode": "host-model"}),
    "vm-cpu-custom": vm(cpu={"mode": "custom", "model": "EPYC-Rome"}),
    "vm-cpu-topology": vm(cpu={"vcpus": 8, "vcpus_max": 8, "topology": (2, 2, 2)}),
    "vm-cpu-topology-and-model": vm(cpu={"vcpus_max": 2, "mode": "custom", "model": "qemu64", "topology": (1, 2, 1)}),
    "vm-arm": vm(arch="aarch64", machine="virt-7.2", firmware="efi", hypervisor="qemu"),
    "vm-efi": vm(firmware="efi", machine="q35"),
    "vm-efi-secure": vm(firmware="efi-secure", machine="q35"),
    "vm-boot-devices": vm(boot=("network", "cdrom", "hd")),
    "vm-boot-kernel": vm(kernel_path="/k/vmlinuz", initrd_path="/k/initrd", command_line="root=/dev/vda quiet & \"x\""),
    "vm-boot-kernel-alone": vm(kernel_path="/k/vmlinuz"),
    "vm-usb": vm(usb=True),
    "vm-serial": vm(serial=True),
    "vm-guest-agent": vm(guest_agent=True),
    "vm-vnc": vm(graphics="vnc"),
    "vm-vnc-with-tablet": vm(graphics="vnc", usb=True, video="vga"),
    "vm-spice": vm(graphics="spice", video="qxl"),
    "vm-spice-with-sound": vm(graphics="spice", sound=True),
    "vm-sound": vm(sound=True),
    "vm-tpm": vm(tpm=True),
    "vm-rng": vm(rng=True),
    "vm-watchdog": vm(watchdog="poweroff"),
    "vm-ports": vm(**Q35),
    "vm-ports-of-its-devices": vm(**Q35, rng=True, guest_agent=True, watchdog="reset", nics=(NicPlan(**NIC),), disks=(DiskPlan(**DISK), DiskPlan(**DRIVE), DiskPlan(**DISK | {"bus": "scsi", "target": "sdb"}))),
    "vm-with-everything": vm(**Q35, name="all", title="All", os_uri="http://debian.org/debian/12", cpu={"vcpus": 2, "vcpus_max": 4, "mode": "host-model", "topology": (1, 4, 1)}, memory_max_bytes=2 * GIB, huge_pages=True, firmware="efi-secure", tpm=True, disks=(DiskPlan(**DISK, boot_order=1), DiskPlan(**DRIVE, boot_order=2)), nics=(NicPlan(**NIC, boot_order=3),), graphics="spice", video="virtio", serial=True, guest_agent=True, rng=True, watchdog="reset", sound=True),
}
DEVICES = {
    "disk-file": disk(),
    "disk-block": disk(kind="block", path="/dev/vg0/a"),
    "disk-volume": disk(kind="volume", path=None, pool="fast", volume="a"),
    "disk-qcow2": disk(format="qcow2", discard=True, cache="none", io="native"),
    "disk-bus-scsi": disk(bus="scsi", target="sda"),
    "disk-lun": disk(device="lun", kind="block", path="/dev/sdz", bus="scsi", target="sda", discard=True),
    "disk-limits": disk(limits=Limits(read_bps=1, write_bps=2, read_iops=3, write_iops=4)),
    "disk-limit": disk(limits=Limits(write_iops=100, read_bps=0)),
    "disk-read-only": disk(readonly=True),
    "disk-shareable": disk(shareable=True, cache="none"),
    "disk-serial": disk(serial="VIGIE 1"),
    "disk-boot-order": disk(boot_order=2),
    "disk-odd-path": disk(path=f"/p/{HOSTILE}"),
    "drive-cd": disk(**DRIVE, boot_order=1),
    "drive-cd-empty": disk(**DRIVE, path=None, format=None),
    "drive-cd-of-a-device": disk(**DRIVE, kind="block", path="/dev/sr0"),
    "drive-floppy": disk(device="floppy", bus="fdc", target="fda", readonly=True),
    "nic-network": nic(),
    "nic-network-port-group": nic(portgroup="web", model="e1000e"),
    "nic-bridge": nic(kind="bridge", source="br0"),
    "nic-bridge-vlan": nic(kind="bridge", source="br0", vlan=42),
    "nic-macvtap": nic(kind="direct", source="eno1"),
    "nic-macvtap-mode": nic(kind="direct", source="eno1", mode="passthrough"),
    "nic-filter": nic(filter="clean-traffic"),
    "nic-rates": nic(in_kbps=1000, out_kbps=500),
    "nic-rate": nic(out_kbps=500, in_kbps=0),
    "nic-link-down": nic(link_up=False),
    "nic-boot-order": nic(boot_order=1),
    "nic-with-everything": nic(portgroup="a:b", vlan=7, filter="clean-traffic", in_kbps=1, out_kbps=2, link_up=False, boot_order=3),
    "host-device-pci": device("pci", "0000:0a:1f.7"),
    "host-device-usb": device("usb", "0x046d:0xc52b"),
    "host-device-mdev": device("mdev", "c60cc60c-c60c-c60c-c60c-c60cc60cc60c"),
    "filesystem-virtiofs": shared_filesystem(),
    "filesystem-virtiofs-read-only": shared_filesystem(readonly=True),
    "filesystem-9p": shared_filesystem(driver="9p"),
    "filesystem-9p-read-only": shared_filesystem(driver="9p", readonly=True),
}
COPIES = {
    "copy-to-a-file": repointing.copy_target("/srv/a & b.qcow2", "qcow2"),
    "copy-to-a-device": repointing.copy_target("/dev/vg0/a", "raw"),
}
# fmt: on
BUILT = {
    **{case: (text, str) for case, text in DOMAINS.items()},
    **{case: (text, within_vm) for case, text in DEVICES.items()},
    **{case: (text, within_disk) for case, text in COPIES.items()},
}
