"""Changes of disks, media, interfaces, shared filesystems and the boot order in a definition, in place.

https://libvirt.org/formatdomain.html
"""

from __future__ import annotations

from copy import deepcopy

from lxml import etree

from app.core.vms.compute import DiskPatch
from app.core.vms.host_devices import FilesystemAdd
from app.hypervisor.xml.domains.compute_edit import share_memory
from app.hypervisor.xml.domains.compute_read import IOTUNE, attribute
from app.hypervisor.xml.domains.read import parse_for_edit
from app.hypervisor.xml.node_devices import filesystem, filesystem_at
from app.hypervisor.xml.write import Element, drop, drop_if_empty, edited, node

# What belongs to the kind of an interface, or to what it was connected to: slirp and passt have the last four.
_OF_A_KIND = ("source", "target", "vlan", "virtualport", "ip", "route", "portForward", "backend[@type]")
_IOPS = ("total_iops_sec", "read_iops_sec", "write_iops_sec")


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
        _set_limit(tune, IOTUNE[name], limit)
    drop_if_empty(tune)


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
    """Change an interface's network, cable, network filter ("" takes it away) and rates (0 takes one away).

    VLAN tags stay behind with the old network: of a running VM, libvirt shows those of the network as the interface's.
    A network or filter that it has already keeps its port group or parameters.
    """
    now = nic.get("type"), attribute(nic.find("source"), "network")
    if network is not None and now != ("network", network):
        nic.set("type", "network")
        nic.attrib.pop("managed", "")
        drop(item for path in _OF_A_KIND for item in nic.findall(path))
        nic.insert(0, node("source", network=network))
    if link_up is not None:
        link = nic.find("link")
        if link is None:
            link = node("link")
            nic.append(link)
        link.set("state", "up" if link_up else "down")
    if in_kbps is not None or out_kbps is not None:
        bandwidth = nic.find("bandwidth")
        if bandwidth is None:
            bandwidth = node("bandwidth")
            nic.append(bandwidth)
        for name, rate in (("inbound", in_kbps), ("outbound", out_kbps)):
            if rate is not None:
                _set_rate(bandwidth, name, rate)
        drop_if_empty(bandwidth)
    if filter is not None and filter != attribute(nic.find("filterref"), "filter"):
        drop(nic.findall("filterref"))
        if filter:
            nic.append(node("filterref", filter=filter))


def add_filesystem(tree: Element, spec: FilesystemAdd) -> None:
    """Share a directory of the host by virtiofs; none of this tag twice."""
    share_memory(tree)
    devices = tree.find("devices")
    if devices is not None and filesystem_at(tree, spec.tag) is None:
        devices.append(filesystem(spec))


def device_at(tree: Element, key: str) -> Element | None:
    """The disk of this target, or the interface of this MAC address."""
    found = tree.xpath(
        "devices/disk[target/@dev = $key] | devices/interface[mac[translate(@address, 'ABCDEF', 'abcdef') = $key]]",
        key=key.lower(),
    )
    return found[0] if isinstance(found, list) and found and isinstance(found[0], etree._Element) else None


def in_boot_order(tree: Element, order: tuple[str, ...]) -> None:
    """Number the devices as they shall boot; older ways of saying it go."""
    for device in tree.iterfind("devices/*"):
        for boot in device.findall("boot"):
            device.remove(boot)
    system = tree.find("os")
    for boot in [] if system is None else system.findall("boot"):
        boot.getparent().remove(boot)  # type: ignore[union-attr]
    for number, key in enumerate(order, 1):
        found = device_at(tree, key)
        if found is not None:
            found.append(node("boot", order=str(number)))


def change_media(drive: Element, media: Element | None) -> None:
    """Put what lies in one drive, as `build.disk` makes it, into another; None empties it."""
    for old in drive.findall("source"):
        drive.remove(old)
    if media is None:
        return
    drive.set("type", media.get("type", "file"))
    source, target = media.find("source"), drive.find("target")
    if source is not None and target is not None:
        target.addprevious(deepcopy(source))


def without_media(xml: str, target: str, name: str) -> str:
    """The definition with the drive emptied if the file of this name lies in it. Raises UnreadableXml."""
    tree = parse_for_edit(xml, "domain")
    drive = device_at(tree, target)
    source = None if drive is None else drive.find("source")
    if drive is None or source is None or not holds_file(drive, name):
        return xml
    drive.remove(source)
    return edited(tree)


def holds_file(device: Element, name: str) -> bool:
    """Whether a disk or drive has the volume or file of this name."""
    source = device.find("source")
    if source is None:
        return False
    path = source.get("file") or source.get("dev") or source.get("volume") or ""
    return path.rsplit("/", 1)[-1] == name


def _set_limit(tune: Element, name: str, limit: int) -> None:
    """Set one limit of a disk; 0 takes it away.

    libvirt refuses a total beside its parts, QEMU a burst (`_max`) without its limit or below it, and the size of
    operations without a limit of those.
    """
    total = f"total_{name.partition('_')[2]}"
    gone = [name, total, f"{total}_max", f"{total}_max_length"]
    if not limit or int(tune.findtext(f"{name}_max") or 0) < limit:
        gone += [f"{name}_max", f"{name}_max_length"]
    drop(item for tag in gone for item in tune.findall(tag))
    if limit:
        tune.append(node(name, str(limit)))
    if not any(tune.find(iop) is not None for iop in _IOPS):
        drop(tune.findall("size_iops_sec"))


def _set_rate(bandwidth: Element, name: str, rate: int) -> None:
    """Set the average of a direction; 0 takes it away. A peak below it would win over it, so it goes."""
    found = bandwidth.find(name)
    if not rate:
        drop(bandwidth.findall(name))
    elif found is None:
        bandwidth.append(node(name, average=str(rate)))
    else:
        found.set("average", str(rate))
        if int(found.get("peak") or 0) < rate:
            found.attrib.pop("peak", "")


def _set(element: Element | None, name: str, value: str | None) -> None:
    if element is None:
        return
    if value is None:
        element.attrib.pop(name, "")
    else:
        element.set(name, value)
