"""Changes of compute settings in a definition, in place. https://libvirt.org/formatdomain.html"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from app.core.vms.compute import QUOTA_PERIOD_US, ComputePatch, ResourcesPatch
from app.hypervisor.xml.domains.compute_read import (
    agent_channel,
    attribute,
    cpu_mode_of,
    firmware_of,
)
from app.hypervisor.xml.domains.read import AGENT_CHANNEL
from app.hypervisor.xml.write import Element, drop, drop_if_empty, node

# Where libvirt's schema wants elements; those that come later than a new one.
_AFTER_MEMORY_BACKING = (
    "blkiotune",
    "memtune",
    "vcpu",
    "cputune",
    "numatune",
    "os",
    "features",
    "cpu",
    "devices",
)
_AFTER_CPUTUNE = (
    "numatune",
    "resource",
    "sysinfo",
    "bootloader",
    "os",
    "features",
    "cpu",
    "clock",
    "devices",
)
_AFTER_NUMATUNE = _AFTER_CPUTUNE[1:]
_AFTER_CPU = ("clock", "on_poweroff", "on_reboot", "on_crash", "pm", "perf", "devices")
_SPICE_CHANNEL = "com.redhat.spice.0"


def change_compute(tree: Element, patch: ComputePatch) -> None:
    """Change what the patch names; everything else stays as it is."""
    devices = tree.find("devices")
    if devices is None:
        devices = node("devices")
        tree.append(devices)
    if patch.cpu_mode is not None:
        _set_cpu(tree, patch.cpu_mode, patch.cpu_model)
    if patch.topology is not None:
        shape = patch.topology
        cpu = _child(tree, "cpu", _AFTER_CPU)
        drop(cpu.findall("topology"))
        created = node(
            "topology", sockets=str(shape.sockets), cores=str(shape.cores), threads=str(shape.threads)
        )
        model = cpu.findall("model") + cpu.findall("vendor")
        cpu.insert(cpu.index(model[-1]) + 1 if model else 0, created)
    if patch.firmware is not None:
        _set_firmware(tree, patch.firmware)
    for name, wanted in (("hugepages", patch.huge_pages), ("locked", patch.memory_locked)):
        if wanted is not None:
            _switch_backing(tree, name, wanted)
    if patch.graphics is not None:
        _set_graphics(devices, patch.graphics)
    if patch.video is not None:
        _set_video(devices, patch.video)
    if patch.watchdog is not None:
        _set_watchdog(devices, patch.watchdog)
    for wanted, path, make in (
        (patch.sound, "sound", lambda: [node("sound", model="ich9")]),
        (
            patch.tpm,
            "tpm",
            lambda: [node("tpm", node("backend", type="emulator", version="2.0"), model="tpm-crb")],
        ),
        (
            patch.rng,
            "rng",
            lambda: [node("rng", node("backend", "/dev/urandom", model="random"), model="virtio")],
        ),
        (patch.serial, "serial", _serial),
    ):
        if wanted is not None:
            _switch(devices, path, wanted, make)
    if patch.serial is False:
        drop(
            console
            for console in devices.findall("console")
            if attribute(console.find("target"), "type") != "virtio"
        )
    if patch.guest_agent is not None:
        agent = agent_channel(tree)
        if patch.guest_agent and agent is None:
            devices.append(node("channel", node("target", type="virtio", name=AGENT_CHANNEL), type="unix"))
        elif not patch.guest_agent and agent is not None:
            devices.remove(agent)


def drop_topology(tree: Element, vcpus_max: int) -> bool:
    """Take away a topology that does not make this maximum of vCPUs, and set that; whether there was one.

    libvirt refuses a topology that does not fit; QEMU chooses one where there is none.
    """
    topology = tree.find("cpu/topology")
    parent = None if topology is None else topology.getparent()
    if topology is None or parent is None:
        return False
    product = 1
    for name in ("sockets", "dies", "clusters", "cores", "threads"):
        product *= int(topology.get(name, "1"))
    if product == vcpus_max:
        return False
    parent.remove(topology)
    vcpu = tree.find("vcpu")
    if vcpu is not None:
        vcpu.text = str(vcpus_max)
        if int(vcpu.get("current", "0")) >= vcpus_max:
            del vcpu.attrib["current"]
    return True


def change_resources(tree: Element, patch: ResourcesPatch) -> None:
    """Change limits, pins and places of memory."""
    if not patch.model_fields_set.isdisjoint({"cpu_shares", "cpu_limit_percent", "pins", "emulator_cpus"}):
        tune = _child(tree, "cputune", _AFTER_CPUTUNE)
        if patch.cpu_shares is not None:
            drop(tune.findall("shares"))
            if patch.cpu_shares:
                tune.append(node("shares", str(patch.cpu_shares)))
        if patch.cpu_limit_percent is not None:
            drop(tune.findall("period") + tune.findall("quota"))
            if patch.cpu_limit_percent:
                tune.append(node("period", str(QUOTA_PERIOD_US)))
                tune.append(node("quota", str(QUOTA_PERIOD_US * patch.cpu_limit_percent // 100)))
        if patch.pins is not None:
            drop(tune.findall("vcpupin"))
            tune.extend(
                node("vcpupin", vcpu=str(pin.vcpu), cpuset=pin.cpus) for pin in patch.pins if pin.cpus
            )
        if patch.emulator_cpus is not None:
            drop(tune.findall("emulatorpin"))
            if patch.emulator_cpus:
                tune.append(node("emulatorpin", cpuset=patch.emulator_cpus))
        drop_if_empty(tune)
    if patch.numa_nodes is not None:
        tune = _child(tree, "numatune", _AFTER_NUMATUNE)
        drop(tune.findall("memory"))
        if patch.numa_nodes:
            tune.insert(0, node("memory", mode=patch.numa_mode, nodeset=patch.numa_nodes))
        drop_if_empty(tune)


def share_memory(tree: Element) -> None:
    """Let the VM's memory be shared with a program of the host, as virtiofs needs it."""
    backing = _child(tree, "memoryBacking", _AFTER_MEMORY_BACKING)
    if backing.find("source") is None and backing.find("hugepages") is None:
        backing.append(node("source", type="memfd"))
    access = backing.find("access")
    if access is None:
        access = node("access")
        backing.append(access)
    access.set("mode", "shared")


def _set_cpu(tree: Element, mode: str, model: str | None) -> None:
    if mode == cpu_mode_of(tree) and model in (None, tree.findtext("cpu/model")):
        return
    cpu = _child(tree, "cpu", _AFTER_CPU)
    for name in ("mode", "match", "check", "migratable"):
        cpu.attrib.pop(name, "")
    drop(cpu.findall("model") + cpu.findall("vendor") + cpu.findall("feature"))
    if mode == "default":
        drop_if_empty(cpu)
        return
    cpu.set("mode", mode)
    cpu.set("check", "none" if mode in ("host-passthrough", "maximum") else "partial")
    if model:
        if mode == "custom":
            cpu.set("match", "exact")
        cpu.insert(0, node("model", model, fallback="forbid"))


def _set_firmware(tree: Element, firmware: str) -> None:
    system = tree.find("os")
    if system is None or firmware == firmware_of(tree):
        return
    for name in ("firmware", "loader", "nvram"):
        drop(system.findall(name))
    system.attrib.pop("firmware", "")
    if firmware != "bios":
        system.set("firmware", "efi")
    if firmware == "efi-secure":
        features = (node("feature", enabled="yes", name=name) for name in ("enrolled-keys", "secure-boot"))
        kind = system.find("type")
        at = system.index(kind) + 1 if kind is not None else 0
        system.insert(at, node("firmware", *features))
        system.insert(at + 1, node("loader", secure="yes"))
        parent = _child(tree, "features", ("cpu", *_AFTER_CPU))
        smm = parent.find("smm")
        if smm is None:
            smm = node("smm")
            parent.append(smm)
        smm.set("state", "on")


def _set_graphics(devices: Element, kind: str) -> None:
    same = devices.findall(f"graphics[@type='{kind}']")
    # Beside VNC or SPICE, this one is how QEMU draws in three dimensions.
    kept = [] if kind == "none" else devices.findall("graphics[@type='egl-headless']")
    drop(item for item in devices.findall("graphics") if item not in same + kept)
    if kind != "spice":
        # libvirt refuses such devices without SPICE.
        paths = ("*[@type='spicevmc']", "*[@type='spiceport']", "audio[@type='spice']")
        drop(device for path in paths for device in devices.findall(path))
    if kind == "none" or same:
        return
    listen = node("listen", type="address", address="127.0.0.1")
    devices.append(node("graphics", listen, type=kind, autoport="yes"))
    if kind == "spice" and devices.find(f"channel/target[@name='{_SPICE_CHANNEL}']") is None:
        devices.append(node("channel", node("target", type="virtio", name=_SPICE_CHANNEL), type="spicevmc"))
    if devices.find("video") is None:
        devices.append(node("video", node("model", type="virtio")))


def _set_video(devices: Element, model: str) -> None:
    video = devices.find("video")
    if video is None:
        devices.append(node("video", node("model", type=model)))
        return
    if attribute(video.find("model"), "type") == model:
        return
    # The memory of a model is of no use to another.
    drop(video.findall("model") + video.findall("driver") + video.findall("address"))
    video.insert(0, node("model", type=model))


def _set_watchdog(devices: Element, action: str) -> None:
    found = devices.findall("watchdog")
    if action == "none":
        drop(found)
    elif found:
        found[0].set("action", action)
    else:
        devices.append(node("watchdog", model="i6300esb", action=action))


def _serial() -> list[Element]:
    return [
        node("serial", node("target", port="0"), type="pty"),
        node("console", node("target", type="serial", port="0"), type="pty"),
    ]


def _switch(devices: Element, tag: str, wanted: bool, make: Callable[[], list[Element]]) -> None:
    found = devices.findall(tag)
    if not wanted:
        drop(found)
    elif not found:
        devices.extend(make())


def _switch_backing(tree: Element, name: str, wanted: bool) -> None:
    backing = _child(tree, "memoryBacking", _AFTER_MEMORY_BACKING)
    found = backing.findall(name)
    if wanted and not found:
        # The schema wants huge pages first.
        backing.insert(0 if name == "hugepages" else len(backing), node(name))
    elif not wanted:
        drop(found)
    drop_if_empty(backing)


def _child(tree: Element, tag: str, later: Iterable[str]) -> Element:
    """The child of this tag, made in its place when there is none."""
    found = tree.find(tag)
    if found is None:
        found = node(tag)
        at = next((sibling for name in later if (sibling := tree.find(name)) is not None), None)
        if at is None:
            tree.append(found)
        else:
            at.addprevious(found)
    return found
