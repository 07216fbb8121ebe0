"""Devices of hosts, as libvirt lists them and as VMs have them. https://libvirt.org/formatnode.html

A PCI device is named by its address (0000:01:00.0), a USB device by vendor and product (0x046d:0xc52b), a mediated
device by its UUID.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.core.vms.host_devices import DevicePlan, FilesystemAdd, HostDevice
from app.hypervisor.xml.domains.read import UnreadableXml, parse
from app.hypervisor.xml.write import Element, node

_PCI_CLASS_BRIDGE = "0x06"  # PCI class of bridges: nothing that a guest could have
_HUB_IN_PRODUCT_NAME = "hub"
_PCI_PARTS = ("domain", "bus", "slot", "function")


def read_device(xml: str) -> HostDevice | None:
    """The device; None for one that no VM can have. Raises UnreadableXml."""
    tree = parse(xml, "device")
    name = tree.findtext("name") or ""
    for capability in tree.iterfind("capability"):
        kind = capability.get("type")
        if kind == "pci":
            return _pci(tree, capability, name)
        if kind == "usb_device":
            return _usb(tree, capability, name)
        if kind == "mdev":
            return _mdev(capability, name)
    return None


def host_device(plan: DevicePlan) -> Element:
    """The device of a VM that is this device of the host."""
    if plan.kind == "usb":
        vendor, _, product = plan.address.partition(":")
        source = node("source", node("vendor", id=vendor), node("product", id=product))
        return node("hostdev", source, mode="subsystem", type="usb", managed="yes")
    if plan.kind == "mdev":
        source = node("source", node("address", uuid=plan.address))
        return node("hostdev", source, mode="subsystem", type="mdev", managed="no", model="vfio-pci")
    return node(
        "hostdev", node("source", _pci_address(plan.address)), mode="subsystem", type="pci", managed="yes"
    )


def filesystem(spec: FilesystemAdd) -> Element:
    """The device by which a guest has a shared filesystem."""
    element = node(
        "filesystem", type="mount", accessmode="passthrough" if spec.driver == "virtiofs" else "mapped"
    )
    if spec.driver == "virtiofs":
        element.append(node("driver", type="virtiofs"))
    element.append(node("source", dir=spec.path))
    element.append(node("target", dir=spec.tag))
    if spec.readonly:
        element.append(node("readonly"))
    return element


def address_of(device: Element) -> tuple[str, str] | None:
    """Kind and address of a host's device in a VM; None when it is named in another way."""
    kind, source = device.get("type"), device.find("source")
    if source is None:
        return None
    address = source.find("address")
    if kind == "pci" and address is not None:
        return "pci", _pci_text(_hex(address.get(part)) for part in _PCI_PARTS)
    if kind == "usb" and source.find("vendor") is not None:
        vendor, product = source.find("vendor"), source.find("product")
        ids = [0 if item is None else _hex(item.get("id")) for item in (vendor, product)]
        return "usb", "0x{:04x}:0x{:04x}".format(*ids)
    if kind == "mdev" and address is not None:
        return "mdev", address.get("uuid", "")
    return None


def host_device_at(tree: Element, address: str) -> Element | None:
    """The device of a VM that is the host's device of this address."""
    for device in tree.iterfind("devices/hostdev"):
        found = address_of(device)
        if found is not None and found[1] == address:
            return device
    return None


def filesystem_at(tree: Element, tag: str) -> Element | None:
    """The shared filesystem that the guest knows by this tag."""
    for device in tree.iterfind("devices/filesystem"):
        target = device.find("target")
        if target is not None and target.get("dir") == tag:
            return device
    return None


def _pci(tree: Element, capability: Element, name: str) -> HostDevice | None:
    if (capability.findtext("class") or "").startswith(_PCI_CLASS_BRIDGE):
        return None
    group = capability.find("iommuGroup")
    members = [] if group is None else group.findall("address")
    numa = capability.find("numa")
    return HostDevice(
        name=name,
        kind="pci",
        address=_pci_text(_number(capability.findtext(part)) for part in _PCI_PARTS),
        title=_title(capability),
        driver=tree.findtext("driver/name"),
        iommu_group=None if group is None else _number(group.get("number")),
        group_members=tuple(_pci_text(_hex(member.get(part)) for part in _PCI_PARTS) for member in members),
        numa_node=None if numa is None else _number(numa.get("node")),
    )


def _usb(tree: Element, capability: Element, name: str) -> HostDevice | None:
    vendor, product = capability.find("vendor"), capability.find("product")
    if (
        vendor is None
        or product is None
        or _HUB_IN_PRODUCT_NAME in (capability.findtext("product") or "").lower()
    ):
        return None
    return HostDevice(
        name=name,
        kind="usb",
        address=f"0x{_hex(vendor.get('id')):04x}:0x{_hex(product.get('id')):04x}",
        title=_title(capability),
        driver=tree.findtext("driver/name"),
    )


def _mdev(capability: Element, name: str) -> HostDevice | None:
    kind, group = capability.find("type"), capability.find("iommuGroup")
    address = capability.findtext("uuid") or name.removeprefix("mdev_").replace("_", "-")[:36]
    return HostDevice(
        name=name,
        kind="mdev",
        address=address,
        title="" if kind is None else kind.get("id", ""),
        iommu_group=None if group is None else _number(group.get("number")),
    )


def _title(capability: Element) -> str:
    """Vendor and product by name; by number where the host does not know their names."""
    parts = [item for item in (capability.find("vendor"), capability.find("product")) if item is not None]
    words = [(part.text or "").strip() or part.get("id", "") for part in parts]
    return " ".join(filter(None, words))[:200]


def _pci_text(numbers: Iterable[int]) -> str:
    return "{:04x}:{:02x}:{:02x}.{:x}".format(*numbers)


def _pci_address(text: str) -> Element:
    values = text.replace(".", ":").split(":")
    return node("address", {part: f"0x{value}" for part, value in zip(_PCI_PARTS, values, strict=True)})


def _number(text: str | None) -> int:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _hex(text: str | None) -> int:
    try:
        number = int((text or "0").strip(), 0)
    except ValueError:
        raise UnreadableXml("an address that is no number") from None
    return number if 0 <= number < 2**32 else 0
