"""PCIe root ports of a definition: each takes one device that is plugged in while the VM runs.

https://libvirt.org/pci-hotplug.html
"""

from __future__ import annotations

from app.hypervisor.xml.write import Element, node

SPARE = 8  # devices that a new VM can be given while it runs


def free_ports(tree: Element) -> int | None:
    """Ports that no device has; None for machines without such ports, where devices share one bus."""
    found = _ports(tree)
    if not found:
        return None
    used = {_number(item.get("bus")) for item in tree.iterfind("devices/*/address[@type='pci']")}
    return len(found - used)


def new_ports(own: int) -> list[Element]:
    """Ports for so many devices of a new VM and for what is plugged in later. libvirt numbers and places them."""
    ports = [node("controller", type="pci", model="pcie-root-port") for _ in range(own + SPARE)]
    return [node("controller", type="pci", model="pcie-root"), *ports]


def _ports(tree: Element) -> set[int]:
    found = tree.iterfind("devices/controller[@type='pci'][@model='pcie-root-port']")
    return {_number(item.get("index")) for item in found}


def _number(text: str | None) -> int:
    try:
        return int(text or "0", 0)
    except ValueError:
        return 0
