"""libvirt's XML of new VMs and devices, from VM configs. https://libvirt.org/formatdomain.html"""

from __future__ import annotations

from lxml import etree

from app.core.vms.config import CpuPlan, DiskPlan, Limits, NicPlan, VmConfig
from app.hypervisor.xml.domains.ports import new_ports
from app.hypervisor.xml.write import Element, node, text_of

AGENT_CHANNEL = "org.qemu.guest_agent.0"
OSINFO = "http://libosinfo.org/xmlns/libvirt/domain/1.0"
_X86 = ("x86_64", "i686")
_KIB = 1024


def domain(plan: VmConfig) -> str:
    """The whole definition of a new VM."""
    tree = node("domain", node("name", plan.name), node("uuid", plan.uuid), type=plan.hypervisor)
    if plan.title:
        tree.append(node("title", plan.title))
    if plan.os_uri:
        tree.append(_metadata(plan.os_uri))
    tree.append(node("memory", str(plan.memory_max_bytes // _KIB), unit="KiB"))
    tree.append(node("currentMemory", str(plan.memory_bytes // _KIB), unit="KiB"))
    if plan.huge_pages:
        tree.append(node("memoryBacking", node("hugepages")))
    tree.append(_vcpu(plan.cpu))
    tree.append(_os(plan))
    tree.append(_features(plan))
    cpu = _cpu(plan.cpu)
    if cpu is not None:
        tree.append(cpu)
    tree.append(_clock(plan))
    tree.extend((node("on_poweroff", "destroy"), node("on_reboot", "restart"), node("on_crash", "destroy")))
    tree.append(node("devices", *_devices(plan)))
    return text_of(tree)


def _metadata(os_uri: str) -> Element:
    root = etree.Element("metadata")
    info = etree.SubElement(root, f"{{{OSINFO}}}libosinfo", nsmap={"libosinfo": OSINFO})
    etree.SubElement(info, f"{{{OSINFO}}}os", id=os_uri)
    return root


def _vcpu(cpu: CpuPlan) -> Element:
    element = node("vcpu", str(cpu.vcpus_max), placement="static")
    if cpu.vcpus != cpu.vcpus_max:
        element.set("current", str(cpu.vcpus))
    return element


def _os(plan: VmConfig) -> Element:
    kind = node("type", "hvm", arch=plan.arch)
    if plan.machine:
        kind.set("machine", plan.machine)
    system = node("os", kind)
    if plan.firmware != "bios":
        system.set("firmware", "efi")
    if plan.firmware == "efi-secure":
        features = (node("feature", enabled="yes", name=name) for name in ("enrolled-keys", "secure-boot"))
        system.append(node("firmware", *features))
        system.append(node("loader", secure="yes"))
    if plan.kernel_path:
        system.append(node("kernel", plan.kernel_path))
        if plan.initrd_path:
            system.append(node("initrd", plan.initrd_path))
        if plan.command_line:
            system.append(node("cmdline", plan.command_line))
    for device in plan.boot:
        system.append(node("boot", dev=device))
    return system


def _features(plan: VmConfig) -> Element:
    features = node("features", node("acpi"))
    if plan.arch in _X86:
        features.append(node("apic"))
        if plan.hypervisor == "kvm":
            features.append(node("vmport", state="off"))
    if plan.firmware == "efi-secure":
        features.append(node("smm", state="on"))
    return features


def _cpu(cpu: CpuPlan) -> Element | None:
    if cpu.mode == "default" and cpu.topology is None:
        return None
    element = node("cpu")
    if cpu.mode != "default":
        element.set("mode", cpu.mode)
        element.set("check", "none" if cpu.mode in ("host-passthrough", "maximum") else "partial")
    if cpu.model:
        element.append(node("model", cpu.model, fallback="forbid"))
    if cpu.topology:
        sockets, cores, threads = map(str, cpu.topology)
        element.append(node("topology", sockets=sockets, cores=cores, threads=threads))
    return element


def _clock(plan: VmConfig) -> Element:
    clock = node("clock", offset="localtime" if "microsoft" in (plan.os_uri or "") else "utc")
    if plan.arch in _X86:
        clock.append(node("timer", name="rtc", tickpolicy="catchup"))
        clock.append(node("timer", name="pit", tickpolicy="delay"))
        clock.append(node("timer", name="hpet", present="no"))
        if "microsoft" in (plan.os_uri or "") and plan.hypervisor == "kvm":
            clock.append(node("timer", name="hypervclock", present="yes"))
    return clock


def _devices(plan: VmConfig) -> list[Element]:
    found = [disk(item) for item in plan.disks]
    if any(item.bus == "scsi" for item in plan.disks):
        found.append(node("controller", type="scsi", model="virtio-scsi"))
    found.append(node("controller", type="usb", model="qemu-xhci" if plan.usb else "none"))
    found += [nic(item) for item in plan.nics]
    if plan.serial:
        found.append(node("serial", node("target", port="0"), type="pty"))
        found.append(node("console", node("target", type="serial", port="0"), type="pty"))
    if plan.guest_agent:
        found.append(node("channel", node("target", type="virtio", name=AGENT_CHANNEL), type="unix"))
    if plan.graphics != "none":
        found += _display(plan)
    if plan.tpm:
        found.append(node("tpm", node("backend", type="emulator", version="2.0"), model="tpm-crb"))
    if plan.sound:
        found.append(node("sound", model="ich9"))
        found.append(node("audio", id="1", type=plan.graphics if plan.graphics == "spice" else "none"))
    if plan.rng:
        found.append(node("rng", node("backend", "/dev/urandom", model="random"), model="virtio"))
    if plan.watchdog != "none":
        found.append(node("watchdog", model="i6300esb", action=plan.watchdog))
    found.append(node("memballoon", model="virtio"))
    if "q35" in (plan.machine or ""):
        found += new_ports(_on_ports(plan))
    return found


def _on_ports(plan: VmConfig) -> int:
    """How many of the VM's own devices take a PCIe port each; what is built into the chipset takes none."""
    always = 2  # USB controller, memory balloon
    serial = plan.guest_agent or plan.graphics == "spice"
    disks = sum(item.bus == "virtio" for item in plan.disks) + any(item.bus == "scsi" for item in plan.disks)
    return always + disks + len(plan.nics) + serial + plan.rng + (plan.watchdog != "none")


def _display(plan: VmConfig) -> list[Element]:
    """A display that listens on the host's loopback only: Vigie's console comes by the host's link."""
    found = [
        node(
            "graphics",
            node("listen", type="address", address="127.0.0.1"),
            type=plan.graphics,
            autoport="yes",
        )
    ]
    if plan.graphics == "spice":
        found.append(
            node("channel", node("target", type="virtio", name="com.redhat.spice.0"), type="spicevmc")
        )
    found.append(node("video", node("model", type=plan.video or "virtio")))
    if plan.usb:
        # Without a tablet the pointer of a console is not where the mouse is.
        found.append(node("input", type="tablet", bus="usb"))
    return found


def disk(plan: DiskPlan) -> Element:
    """A disk or drive."""
    element = node("disk", type=plan.kind, device=plan.device)
    if plan.format or plan.path:
        element.append(_driver(plan))
    if plan.kind == "volume" and plan.pool and plan.volume:
        element.append(node("source", pool=plan.pool, volume=plan.volume))
    elif plan.path:
        element.append(node("source", {"dev" if plan.kind == "block" else "file": plan.path}))
    element.append(node("target", dev=plan.target, bus=plan.bus))
    limits = _iotune(plan.limits)
    if limits is not None:
        element.append(limits)
    if plan.readonly or plan.device == "cdrom":
        element.append(node("readonly"))
    if plan.shareable:
        element.append(node("shareable"))
    if plan.serial:
        element.append(node("serial", plan.serial))
    if plan.boot_order:
        element.append(node("boot", order=str(plan.boot_order)))
    return element


def _driver(plan: DiskPlan) -> Element:
    driver = node("driver", name="qemu", type=plan.format or "raw")
    if plan.cache != "default":
        driver.set("cache", plan.cache)
    if plan.io != "default":
        driver.set("io", plan.io)
    if plan.discard and plan.device == "disk":
        driver.set("discard", "unmap")
    return driver


def _iotune(limits: Limits) -> Element | None:
    names = {
        "read_bytes_sec": limits.read_bps,
        "write_bytes_sec": limits.write_bps,
        "read_iops_sec": limits.read_iops,
        "write_iops_sec": limits.write_iops,
    }
    parts = [node(name, str(value)) for name, value in names.items() if value]
    return node("iotune", *parts) if parts else None


def nic(plan: NicPlan) -> Element:
    """A network interface."""
    element = node("interface", node("mac", address=plan.mac), type=plan.kind)
    source = node("source", {"dev" if plan.kind == "direct" else plan.kind: plan.source})
    if plan.kind == "direct":
        source.set("mode", plan.mode or "bridge")
    if plan.portgroup:
        source.set("portgroup", plan.portgroup)
    element.append(source)
    if plan.vlan:
        element.append(node("vlan", node("tag", id=str(plan.vlan))))
    element.append(node("model", type=plan.model))
    if plan.filter:
        element.append(node("filterref", filter=plan.filter))
    bandwidth = [
        node(name, average=str(rate))
        for name, rate in (("inbound", plan.in_kbps), ("outbound", plan.out_kbps))
        if rate
    ]
    if bandwidth:
        element.append(node("bandwidth", *bandwidth))
    if not plan.link_up:
        element.append(node("link", state="down"))
    if plan.boot_order:
        element.append(node("boot", order=str(plan.boot_order)))
    return element
