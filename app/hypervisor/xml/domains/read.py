"""Reading libvirt's XML into views. What hosts send is hostile: no entities, no network, no huge trees."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from lxml import etree

from app.core.storage.observations import VolumeObservation
from app.core.vms.observations import DefinitionObservation, DeviceView, DiskView, GraphicsView, NicView
from app.hypervisor.xml.domains.files import normal, read_files
from app.hypervisor.xml.domains.host_access import read_reaches
from app.hypervisor.xml.write import Element, text_of

AGENT_CHANNEL = "org.qemu.guest_agent.0"
_OSINFO_ID = "{*}libosinfo/{*}os"
_UNITS = {
    "b": 1, "bytes": 1, "KB": 10**3, "k": 2**10, "KiB": 2**10, "MB": 10**6, "M": 2**20, "MiB": 2**20,
    "GB": 10**9, "G": 2**30, "GiB": 2**30, "TB": 10**12, "T": 2**40, "TiB": 2**40,
    "PB": 10**15, "P": 2**50, "PiB": 2**50, "EB": 10**18, "E": 2**60, "EiB": 2**60,
}  # fmt: skip


class UnreadableXml(ValueError):
    """The text is not XML, or not what was asked for."""


class _Parsers(threading.local):
    """Parsers per thread: one alone would make threads wait for each other."""

    def __init__(self) -> None:
        self.reading = _parser(lossless=False)
        self.editing = _parser(lossless=True)


def _parser(*, lossless: bool) -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=not lossless,
        remove_pis=not lossless,
        strip_cdata=not lossless,
    )


_parsers = _Parsers()


def parse(xml: str | bytes, root: str) -> Element:
    """The tree of a document whose root is `root`, to read: elements only. Raises UnreadableXml."""
    return _parse(xml, root, _parsers.reading)


def parse_for_edit(xml: str | bytes, root: str) -> Element:
    """As `parse`, to edit and write back: with the comments, instructions and CDATA that libvirt keeps in metadata.

    Children can be other things than elements. Raises UnreadableXml.
    """
    return _parse(xml, root, _parsers.editing)


def _parse(xml: str | bytes, root: str, parser: etree.XMLParser) -> Element:
    try:
        tree = etree.fromstring(xml, parser)
    except etree.XMLSyntaxError as error:
        raise UnreadableXml(f"not XML: {error.msg}") from None  # without the name of a file that there is not
    except ValueError as error:
        raise UnreadableXml(f"not XML: {error}") from None
    if tree.tag != root:
        raise UnreadableXml(f"not a {root}")
    return tree


def read_vm(xml: str) -> DefinitionObservation:
    """What a domain's XML says. Raises UnreadableXml."""
    tree = parse(xml, "domain")
    # Looking up children by name once is several times faster than a search for each: there are 45,000 VMs.
    top = {child.tag: child for child in tree}
    system, cpu, vcpu = top.get("os"), top.get("cpu"), top.get("vcpu")
    kind = None if system is None else system.find("type")
    cpu_model = None if cpu is None else cpu.findtext("model")
    maximum = _number(_text(vcpu), 1)
    memory_max = _bytes(top.get("memory"))
    metadata = top.get("metadata")
    parts = _read_devices(top.get("devices"))
    return DefinitionObservation(
        xml=xml,
        digest=hashlib.sha256(xml.encode(errors="surrogatepass")).hexdigest(),
        os_type=_text(kind) or "",
        arch=_get(kind, "arch") or "",
        machine=_get(kind, "machine") or "",
        firmware=read_firmware(system),
        hypervisor=tree.get("type", ""),
        vcpus=_number(_get(vcpu, "current"), maximum),
        vcpus_max=maximum,
        cpu_mode=_get(cpu, "mode") or ("custom" if cpu_model else "default"),
        cpu_model=cpu_model,
        memory_bytes=_bytes(top.get("currentMemory")) or memory_max,
        memory_max_bytes=memory_max,
        title=_text(top.get("title")),
        description=_text(top.get("description")),
        os_id=None if metadata is None else _attribute(metadata, _OSINFO_ID, "id"),
        has_agent_channel=parts.has_agent_channel,
        disks=tuple(parts.disks),
        nics=tuple(parts.nics),
        graphics=tuple(parts.graphics),
        devices=tuple(parts.devices),
        files=read_files(tree),
        reaches=read_reaches(tree),
    )


def is_agent_connected(xml: str) -> bool:
    """Whether a running domain's XML says that a guest agent is there. Raises UnreadableXml."""
    targets = parse(xml, "domain").iterfind("devices/channel/target")
    return any(
        target.get("name") == AGENT_CHANNEL and target.get("state") == "connected" for target in targets
    )


def read_volume(xml: str) -> VolumeObservation:
    """What a storage volume's XML says. Raises UnreadableXml."""
    tree = parse(xml, "volume")
    return VolumeObservation(
        name=tree.findtext("name") or "",
        path=tree.findtext("target/path") or tree.findtext("key") or "",
        kind=tree.get("type", "file"),
        format=_get(tree.find("target/format"), "type"),
        capacity_bytes=_bytes(tree.find("capacity"), default_unit="bytes"),
        allocation_bytes=_bytes(tree.find("allocation"), default_unit="bytes"),
        backing_path=tree.findtext("backingStore/path"),
    )


def read_pool(xml: str) -> tuple[str, str | None, str]:
    """A storage pool's kind, target path, and definition without its fill. Raises UnreadableXml."""
    tree = parse(xml, "pool")
    for name in ("capacity", "allocation", "available"):
        for item in tree.findall(name):
            tree.remove(item)
    return tree.get("type", ""), tree.findtext("target/path"), text_of(tree)


def without_connections(tree: Element) -> str:
    """A network's definition without who is connected at the moment."""
    for item in tree.iter():
        if "connections" in item.attrib:
            del item.attrib["connections"]
    return text_of(tree)


@dataclass(slots=True)
class _Devices:
    """The devices of a domain, by kind."""

    disks: list[DiskView] = field(default_factory=list)
    nics: list[NicView] = field(default_factory=list)
    graphics: list[GraphicsView] = field(default_factory=list)
    devices: list[DeviceView] = field(default_factory=list)
    has_agent_channel: bool = False


def _read_devices(parent: Element | None) -> _Devices:
    found = _Devices()
    for item in () if parent is None else parent:
        tag = item.tag
        if tag == "disk":
            found.disks.append(_disk(item))
        elif tag == "interface":
            found.nics.append(_nic(item))
        elif tag == "graphics":
            found.graphics.append(_graphics(item))
        elif tag != "emulator":
            found.devices.append(DeviceView(tag, _SUMMARIES.get(tag, _plain)(item)))
            if tag == "channel" and _attribute(item, "target", "name") == AGENT_CHANNEL:
                found.has_agent_channel = True
    return found


def _disk(disk: Element) -> DiskView:
    parts = {child.tag: child for child in disk}
    source, target = parts.get("source"), parts.get("target")
    return DiskView(
        target=_get(target, "dev") or "",
        device=disk.get("device", "disk"),
        bus=_get(target, "bus") or "",
        source=None if source is None else _disk_source(disk.get("type", ""), source),
        format=_get(parts.get("driver"), "type"),
        readonly="readonly" in parts,
    )


def _disk_source(kind: str, source: Element) -> str | None:
    if kind == "volume":
        return f"{source.get('pool', '')}/{source.get('volume', '')}"
    if kind == "network":
        host = source.find("host")
        where = "" if host is None else f"{host.get('name', '')}{_prefixed(':', host.get('port'))}"
        return f"{source.get('protocol', '')}://{where}/{source.get('name', '')}"
    for name in ("file", "dev", "dir", "path"):
        if found := source.get(name):
            return normal(found)
    return _get(source.find("address"), "type")


def _nic(nic: Element) -> NicView:
    parts = {child.tag: child for child in nic}
    source = parts.get("source")
    names = ("network", "bridge", "dev", "path", "name")
    found = None if source is None else next((source.get(name) for name in names if source.get(name)), None)
    return NicView(
        mac=_get(parts.get("mac"), "address") or "",
        kind=nic.get("type", ""),
        source=found,
        model=_get(parts.get("model"), "type"),
        target=_get(parts.get("target"), "dev"),
        filter=_get(parts.get("filterref"), "filter"),
    )


def _graphics(graphics: Element) -> GraphicsView:
    port = _number(graphics.get("port"), -1)
    listen = graphics.get("listen")
    if listen is None:
        listen = _attribute(graphics, "listen", "address") or _attribute(graphics, "listen", "socket")
    return GraphicsView(graphics.get("type", ""), listen, port if port > 0 else None)


def read_firmware(system: Element | None) -> str:
    """bios, efi or direct (a kernel of the host's)."""
    if system is None:
        return "bios"
    if system.find("kernel") is not None:
        return "direct"
    loader = system.find("loader")
    efi = (
        system.get("firmware") == "efi"
        or system.find("nvram") is not None
        or _get(loader, "type") == "pflash"
    )
    return "efi" if efi else "bios"


def _plain(device: Element) -> str:
    """The kind and model of a device that says no more: `model type='virtio'`, `controller type='usb'`."""
    words = [
        device.get("type"),
        device.get("model"),
        _attribute(device, "model", "type"),
        _attribute(device, "model", "name"),
    ]
    return _line(*words, _attribute(device, "target", "type"))


def _controller(device: Element) -> str:
    return _line(device.get("type"), device.get("model"), _prefixed("#", device.get("index")))


def _hostdev(device: Element) -> str:
    address = device.find("source/address")
    if device.get("type") == "usb":
        vendor = _attribute(device, "source/vendor", "id")
        product = _attribute(device, "source/product", "id")
        if vendor:
            # As nodedev.address_of has it.
            return _line("usb", f"0x{_hexadecimal(vendor):04x}:0x{_hexadecimal(product):04x}")
        return _line("usb", f"bus {_get(address, 'bus')} device {_get(address, 'device')}")
    if device.get("type") == "mdev":
        return _line("mdev", device.get("model"), _get(address, "uuid"))
    if address is None:
        return _line(device.get("type"), _attribute(device, "source", "protocol"))
    parts = [_number(address.get(name), 0) for name in ("domain", "bus", "slot", "function")]
    return _line(device.get("type"), "{:04x}:{:02x}:{:02x}.{:x}".format(*parts))


def _hexadecimal(text: str | None) -> int:
    try:
        return int((text or "0").strip(), 0)
    except ValueError:
        return 0


def _filesystem(device: Element) -> str:
    source = device.find("source")
    path = None if source is None else source.get("dir") or source.get("file") or source.get("socket")
    driver = _attribute(device, "driver", "type") or device.get("type")
    return _line(driver, path, _prefixed("as ", _attribute(device, "target", "dir")))


def _tpm(device: Element) -> str:
    backend = device.find("backend")
    return _line(device.get("model"), _get(backend, "type"), _prefixed("version ", _get(backend, "version")))


def _rng(device: Element) -> str:
    return _line(device.get("model"), _attribute(device, "backend", "model"), device.findtext("backend"))


def _channel(device: Element) -> str:
    target = device.find("target")
    state = _get(target, "state")
    return _line(
        device.get("type"),
        _get(target, "name") or _get(target, "type"),
        _prefixed("", state and f"({state})"),
    )


def _video(device: Element) -> str:
    model = device.find("model")
    vram = _number(_get(model, "vram"), 0)
    heads = _get(model, "heads")
    return _line(
        _get(model, "type"),
        f"{vram // 1024} MiB" if vram else None,
        (heads and heads != "1" and f"{heads} heads") or None,
    )


def _watchdog(device: Element) -> str:
    return _line(device.get("model"), _prefixed("action ", device.get("action")))


def _input(device: Element) -> str:
    return _line(device.get("type"), device.get("bus"))


def _redirection(device: Element) -> str:
    return _line(device.get("bus"), device.get("type"))


_SUMMARIES: dict[str, Callable[[Element], str]] = {
    "controller": _controller,
    "hostdev": _hostdev,
    "filesystem": _filesystem,
    "tpm": _tpm,
    "rng": _rng,
    "channel": _channel,
    "video": _video,
    "watchdog": _watchdog,
    "input": _input,
    "redirdev": _redirection,
}


def _line(*words: str | None) -> str:
    return " ".join(word.strip() for word in dict.fromkeys(words) if word and word.strip())


def _prefixed(prefix: str, word: str | None) -> str | None:
    return f"{prefix}{word}" if word else None


def _bytes(element: Element | None, default_unit: str = "KiB") -> int:
    if element is None:
        return 0
    return _number(element.text, 0) * _UNITS.get(element.get("unit", default_unit), 1)


def _number(text: str | None, default: int) -> int:
    """An integer as libvirt writes them, decimal or 0x…; `default` when there is none or it is absurd."""
    if not text or len(text) > 20:
        return default
    try:
        return int(text, 0)
    except ValueError:
        return default


def _text(element: Element | None) -> str | None:
    return None if element is None else element.text


def _get(element: Element | None, name: str) -> str | None:
    return None if element is None else element.get(name)


def _attribute(parent: Element, path: str, name: str) -> str | None:
    return _get(parent.find(path), name)


def physical_bytes(xml: str) -> int | None:
    """Length of a volume's file, from its XML; None where that does not say. Raises UnreadableXml."""
    physical = parse(xml, "volume").find("physical")
    return None if physical is None else _bytes(physical, default_unit="bytes")
