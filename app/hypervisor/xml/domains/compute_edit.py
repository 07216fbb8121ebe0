"""Changes of the machine in a definition, in place. https://libvirt.org/formatdomain.html"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from app.core.vms.compute import QUOTA_PERIOD_US, DiskPatch, MachinePatch, TuningPatch
from app.hypervisor.xml.domains.compute_read import IOTUNE, agent_channel, attribute
from app.hypervisor.xml.domains.read import AGENT_CHANNEL
from app.hypervisor.xml.write import Element, node

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


def change_machine(tree: Element, patch: MachinePatch) -> None:
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
        _drop(cpu.findall("topology"))
        made = node(
            "topology", sockets=str(shape.sockets), cores=str(shape.cores), threads=str(shape.threads)
        )
        model = cpu.findall("model") + cpu.findall("vendor")
        cpu.insert(cpu.index(model[-1]) + 1 if model else 0, made)
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
        _drop(
            each for each in devices.findall("console") if attribute(each.find("target"), "type") != "virtio"
        )
    if patch.guest_agent is not None:
        agent = agent_channel(tree)
        if patch.guest_agent and agent is None:
            devices.append(node("channel", node("target", type="virtio", name=AGENT_CHANNEL), type="unix"))
        elif not patch.guest_agent and agent is not None:
            devices.remove(agent)


def change_tuning(tree: Element, patch: TuningPatch) -> None:
    """Change limits, pins and places of memory."""
    if not patch.model_fields_set.isdisjoint({"cpu_shares", "cpu_limit_percent", "pins", "emulator_cpus"}):
        tune = _child(tree, "cputune", _AFTER_CPUTUNE)
        if patch.cpu_shares is not None:
            _drop(tune.findall("shares"))
            if patch.cpu_shares:
                tune.append(node("shares", str(patch.cpu_shares)))
        if patch.cpu_limit_percent is not None:
            _drop(tune.findall("period") + tune.findall("quota"))
            if patch.cpu_limit_percent:
                tune.append(node("period", str(QUOTA_PERIOD_US)))
                tune.append(node("quota", str(QUOTA_PERIOD_US * patch.cpu_limit_percent // 100)))
        if patch.pins is not None:
            _drop(tune.findall("vcpupin"))
            tune.extend(
                node("vcpupin", vcpu=str(pin.vcpu), cpuset=pin.cpus) for pin in patch.pins if pin.cpus
            )
        if patch.emulator_cpus is not None:
            _drop(tune.findall("emulatorpin"))
            if patch.emulator_cpus:
                tune.append(node("emulatorpin", cpuset=patch.emulator_cpus))
        _drop_if_empty(tune)
    if patch.numa_nodes is not None:
        tune = _child(tree, "numatune", _AFTER_NUMATUNE)
        _drop(tune.findall("memory"))
        if patch.numa_nodes:
            tune.insert(0, node("memory", mode=patch.numa_mode, nodeset=patch.numa_nodes))
        _drop_if_empty(tune)


def change_disk(disk: Element, patch: DiskPatch) -> None:
    """Change how a disk is driven and limited."""
    driver = disk.find("driver")
    if patch.driver and driver is None:
        driver = node("driver", name="qemu")
        disk.insert(0, driver)
    for name, value in patch.driver.items():
        wanted = "unmap" if value is True else None if value in (False, "default") else str(value)
        _set(driver, name, wanted)
    if not patch.limits:
        return
    tune = disk.find("iotune")
    if tune is None:
        tune = node("iotune")
        target = disk.find("target")
        disk.insert(disk.index(target) + 1 if target is not None else len(disk), tune)
    for name, limit in patch.limits.items():
        # A total and a part of it exclude each other.
        _drop(tune.findall(IOTUNE[name]) + tune.findall(f"total_{IOTUNE[name].partition('_')[2]}"))
        if limit:
            tune.append(node(IOTUNE[name], str(limit)))
    _drop_if_empty(tune)


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


def limits_to_set(disk: Element, patch: DiskPatch) -> dict[str, int]:
    """What to tell libvirt of a disk that runs, once it is changed: with one limit of a kind it forgets the others."""
    found: dict[str, int] = {}
    for kind in ("bps", "iops"):
        names = [f"read_{kind}", f"write_{kind}"]
        if any(name in patch.limits for name in names):
            found |= {IOTUNE[name]: int(disk.findtext(f"iotune/{IOTUNE[name]}") or 0) for name in names}
    return found


def change_nic(
    nic: Element,
    *,
    link_up: bool | None,
    network: str | None,
    filter: str | None,
    in_kbps: int | None,
    out_kbps: int | None,
) -> None:
    """Change an interface's network, cable, traffic filter ("" takes it away) and rates (0 takes one away).

    VLAN tags stay behind with the old network: of a running VM, libvirt shows those of the network as the interface's.
    """
    if network is not None:
        nic.set("type", "network")
        _drop([each for name in ("source", "target", "vlan", "virtualport") for each in nic.findall(name)])
        nic.insert(0, node("source", network=network))
    if link_up is not None:
        _drop(nic.findall("link"))
        nic.append(node("link", state="up" if link_up else "down"))
    if in_kbps is not None or out_kbps is not None:
        bandwidth = nic.find("bandwidth")
        if bandwidth is None:
            bandwidth = node("bandwidth")
            nic.append(bandwidth)
        for name, rate in (("inbound", in_kbps), ("outbound", out_kbps)):
            if rate is not None:
                _drop(bandwidth.findall(name))
                if rate:
                    bandwidth.append(node(name, average=str(rate)))
        _drop_if_empty(bandwidth)
    if filter is not None:
        _drop(nic.findall("filterref"))
        if filter:
            nic.append(node("filterref", filter=filter))


def _set_cpu(tree: Element, mode: str, model: str | None) -> None:
    cpu = _child(tree, "cpu", _AFTER_CPU)
    for name in ("mode", "match", "check", "migratable"):
        cpu.attrib.pop(name, "")
    _drop(cpu.findall("model") + cpu.findall("vendor") + cpu.findall("feature"))
    if mode == "default":
        _drop_if_empty(cpu)
        return
    cpu.set("mode", mode)
    cpu.set("check", "none" if mode in ("host-passthrough", "maximum") else "partial")
    if model:
        if mode == "custom":
            cpu.set("match", "exact")
        cpu.insert(0, node("model", model, fallback="forbid"))


def _set_firmware(tree: Element, firmware: str) -> None:
    system = tree.find("os")
    if system is None:
        return
    for name in ("firmware", "loader", "nvram"):
        _drop(system.findall(name))
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
        _drop(parent.findall("smm"))
        parent.append(node("smm", state="on"))


def _set_graphics(devices: Element, kind: str) -> None:
    same = [each for each in devices.findall("graphics") if each.get("type") == kind]
    _drop(each for each in devices.findall("graphics") if each not in same)
    spice = [
        each
        for each in devices.findall("channel")
        if attribute(each.find("target"), "name") == _SPICE_CHANNEL
    ]
    if kind != "spice":
        _drop(spice)
        _drop(devices.findall("audio[@type='spice']"))
        _drop(devices.findall("redirdev[@type='spicevmc']"))
    if kind == "none" or same:
        return
    listen = node("listen", type="address", address="127.0.0.1")
    devices.append(node("graphics", listen, type=kind, autoport="yes"))
    if kind == "spice" and not spice:
        devices.append(node("channel", node("target", type="virtio", name=_SPICE_CHANNEL), type="spicevmc"))
    if devices.find("video") is None:
        devices.append(node("video", node("model", type="virtio")))


def _set_video(devices: Element, model: str) -> None:
    video = devices.find("video")
    if video is None:
        devices.append(node("video", node("model", type=model)))
        return
    # The memory of a model is of no use to another.
    _drop(video.findall("model") + video.findall("driver") + video.findall("address"))
    video.insert(0, node("model", type=model))


def _set_watchdog(devices: Element, action: str) -> None:
    found = devices.findall("watchdog")
    if action == "none":
        _drop(found)
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
        _drop(found)
    elif not found:
        devices.extend(make())


def _switch_backing(tree: Element, name: str, wanted: bool) -> None:
    backing = _child(tree, "memoryBacking", _AFTER_MEMORY_BACKING)
    found = backing.findall(name)
    if wanted and not found:
        # The schema wants huge pages first.
        backing.insert(0 if name == "hugepages" else len(backing), node(name))
    elif not wanted:
        _drop(found)
    _drop_if_empty(backing)


def _child(tree: Element, tag: str, later: Iterable[str]) -> Element:
    """The child of this tag, made in its place when there is none."""
    found = tree.find(tag)
    if found is None:
        found = node(tag)
        at = next((each for name in later if (each := tree.find(name)) is not None), None)
        if at is None:
            tree.append(found)
        else:
            at.addprevious(found)
    return found


def _drop(elements: Iterable[Element]) -> None:
    for each in list(elements):
        parent = each.getparent()
        if parent is not None:
            parent.remove(each)


def _drop_if_empty(element: Element) -> None:
    if not len(element) and not element.attrib:
        _drop([element])


def _set(element: Element | None, name: str, value: str | None) -> None:
    if element is None:
        return
    if value is None:
        element.attrib.pop(name, "")
    else:
        element.set(name, value)
