"""Changes of definitions in place: what Vigie does not know stays as it is, comments and order included."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from copy import deepcopy

from lxml import etree

from app.hypervisor.xml.domains.files import source_of
from app.hypervisor.xml.domains.read import parse, parse_for_edit
from app.hypervisor.xml.write import Element, node

LOOPBACK = "127.0.0.1"
HIDDEN = "••••"


def edited(tree: Element) -> str:
    """The tree as text, as it was but for what was changed."""
    return etree.tostring(tree, encoding="unicode")


def disk_at(tree: Element, sources: Collection[str]) -> Element | None:
    """The first disk with one of these sources: paths, or `pool/volume`."""
    return next(_disks_at(tree, sources), None)


def _disks_at(tree: Element, sources: Collection[str]) -> Iterator[Element]:
    return (disk for disk in tree.iterfind("devices/disk") if source_of(disk) in sources)


def repointed(xml: str, sources: Collection[str], to: str, format: str) -> str:
    """The definition with every disk that has one of these sources at the path `to`; as it was when it has none.

    Raises UnreadableXml.
    """
    tree = parse_for_edit(xml, "domain")
    disks = list(_disks_at(tree, sources))
    kind = "block" if to.startswith("/dev/") else "file"
    for disk in disks:
        disk.set("type", kind)
        for source in disk.findall("source"):
            for name in ("file", "dev", "pool", "volume", "mode"):
                if name in source.attrib:
                    del source.attrib[name]
            source.set("dev" if kind == "block" else "file", to)
        driver = disk.find("driver")
        if driver is None:
            driver = node("driver", name="qemu")
            disk.insert(0, driver)
        driver.set("type", format)
    return edited(tree) if disks else xml


def copy_target(path: str, format: str) -> str:
    """The disk element that a block copy writes to."""
    kind = "block" if path.startswith("/dev/") else "file"
    source = node("source", {"dev" if kind == "block" else "file": path})
    tree = node("disk", node("driver", name="qemu", type=format), source, type=kind)
    return edited(tree)


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


def with_secrets(xml: str, secure: str) -> str:
    """The definition with the passwords of displays that it had before, which readers are not shown.

    Raises UnreadableXml.
    """
    tree, before = parse_for_edit(xml, "domain"), parse(secure, "domain")
    for old in before.iterfind("devices/graphics[@passwd]"):
        for new in tree.iterfind(f"devices/graphics[@type='{old.get('type')}']"):
            if new.get("passwd") is None:
                for name in ("passwd", "passwdValidTo", "connected"):
                    if old.get(name) is not None:
                        new.set(name, str(old.get(name)))
    return edited(tree)


def with_displays_closed(xml: str) -> tuple[str, bool]:
    """The definition with displays that have no password reachable from their host only, and whether any was not.

    Raises UnreadableXml.
    """
    tree = parse_for_edit(xml, "domain")
    closed = False
    for display in tree.iterfind("devices/graphics"):
        if display.get("passwd") is not None or display.get("type") not in ("vnc", "spice"):
            continue
        for listen in display.findall("listen"):
            if listen.get("type") == "network" or not _is_closed(listen.get("address")):
                listen.attrib.clear()
                listen.set("type", "address")
                listen.set("address", LOOPBACK)
                closed = True
        if not _is_closed(display.get("listen")):
            display.set("listen", LOOPBACK)
            closed = True
    return edited(tree) if closed else xml, closed


def _is_closed(address: str | None) -> bool:
    """Whether nothing but the host itself reaches a display that listens there. None: the host's own default."""
    return address in (None, "", "localhost", "::1") or str(address).startswith("127.")


def without_secrets(xml: str) -> str:
    """The definition with signs in the place of the passwords of its displays. Raises UnreadableXml."""
    tree = parse_for_edit(xml, "domain")
    protected = [display for display in tree.iterfind("devices/graphics") if display.get("passwd")]
    for display in protected:
        display.set("passwd", HIDDEN)
    return edited(tree) if protected else xml


def hidden(text: str, xml: str) -> str:
    """What was said of a definition, without the passwords that stand in that. Raises UnreadableXml."""
    for display in parse(xml, "domain").iterfind("devices/graphics[@passwd]"):
        text = text.replace(display.get("passwd") or HIDDEN, HIDDEN)
    return text


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
